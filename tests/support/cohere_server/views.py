"""What the model sees of a request. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from tests.support.provider_server.json_types import JsonObject, objects, string

from .replies import Reply

_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """The whole context one request put before the model.

    Args:
        model: The model that was asked for.
        tool_names: The tools on offer, in order.
        messages: The messages, in order.
    """

    model: str
    tool_names: tuple[str, ...]
    messages: tuple[JsonObject, ...]

    @property
    def instructions(self) -> str | None:
        """The system message at the very beginning."""
        first = self.messages[0] if self.messages else {}
        return text_of(first) if string(first, "role") == "system" else None

    @property
    def user_texts(self) -> list[str]:
        """The texts of all user messages."""
        return [text_of(message) for message in self.messages if string(message, "role") == "user"]

    @property
    def roles(self) -> list[str]:
        """Who says each message."""
        return [string(message, "role") for message in self.messages]

    @property
    def token_count(self) -> int:
        """The tokens the server bills for this context."""
        return sum(3 + len(text_of(message)) // _CHARACTERS_PER_TOKEN for message in self.messages)


def view_of(body: JsonObject) -> ModelView:
    """Return what the model sees of a body."""
    functions = [tool.get("function") for tool in objects(body.get("tools"))]
    names = tuple(string(function, "name") for function in functions if isinstance(function, dict))
    return ModelView(model=string(body, "model"), tool_names=names, messages=tuple(objects(body.get("messages"))))


def text_of(message: JsonObject) -> str:
    """Return the text of a message as the model reads it."""
    return content_text(message.get("content"))


def content_text(content: JsonValue) -> str:
    """Return the text of a message's content."""
    if isinstance(content, str):
        return content
    return "".join(string(block, "text") for block in objects(content))


def default_reply(view: ModelView) -> Reply:
    """Say how many user messages there were and repeat the last one, or what the tools said last."""
    count = len(view.user_texts)
    results: list[str] = []
    for message in reversed(view.messages):
        if string(message, "role") != "tool":
            break
        results.insert(0, text_of(message))
    if results:
        return Reply(text=f"[{count}] Tools said: {', '.join(results)}")
    return Reply(text=f"[{count}] You said: {view.user_texts[-1] if count else ''}")
