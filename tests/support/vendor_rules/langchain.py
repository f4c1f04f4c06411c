"""What some chat model behind LangChain refuses: the strictest of each."""

from __future__ import annotations

import re

from langchain_core.messages import AIMessage

from tests.support.chat_model import judge

from .table import Body, Rule, refused, rule

__all__ = ["MESSAGE_RULES"]

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}", re.ASCII)


@rule(
    "One system message, first; calls and results pair at once; ids of calls are unique and have 1 to 40 letters, "
    "digits, _ and -; no message is empty; the user or a tool is last; no id of the server.",
    source="the rules of the providers above, the strictest of each: a chat model may be any of them",
)
def messages_fit_together(body: Body) -> str | None:
    return refused(lambda: judge(body["messages"]))


@rule("The name of a function has 1 to 64 letters, digits, _ and -, and no digit first.", source="as above")
def names_are_plain(body: Body) -> str | None:
    answers = [message for message in body["messages"] if isinstance(message, AIMessage)]
    names = [call["name"] for answer in answers for call in answer.tool_calls]
    return next((repr(name) for name in names if not _NAME.fullmatch(name)), None)


MESSAGE_RULES: tuple[Rule, ...] = (messages_fit_together, names_are_plain)
