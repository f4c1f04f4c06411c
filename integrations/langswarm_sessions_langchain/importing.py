"""LangChain messages as other stores keep them, read as ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import BaseMessage, messages_from_dict
from langchain_core.messages.utils import convert_to_messages

from langswarm_sessions.errors import ImportFormatError, InvalidInputError
from langswarm_sessions.importing import Assembled, Assembler, SourceEntry
from langswarm_sessions.importing.rows import json_object
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions_langchain.messages import from_langchain

__all__ = ["MessageAssembler", "read_message"]

_CLASS_KINDS = {
    "HumanMessage": "human",
    "AIMessage": "ai",
    "SystemMessage": "system",
    "ToolMessage": "tool",
    "FunctionMessage": "function",
    "ChatMessage": "chat",
    "RemoveMessage": "remove",
}
_KINDS = {"user": "human", "assistant": "ai", "developer": "system"}
_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, NotImplementedError, RecursionError)


class MessageAssembler(Assembler):
    """Makes one message of each row: a LangChain message as plain data, or as the JSON of it."""

    def add(self, entry: SourceEntry) -> Sequence[Assembled]:
        """Return the row's message.

        Raises:
            ImportFormatError: It is none.
        """
        return (Assembled(entries=(entry,), message=read_message(json_object(entry.data))),)


def read_message(data: object) -> SessionMessage:
    """Return a stored LangChain message as ours.

    Args:
        data: Plain data: what `message_to_dict` makes, the "constructor" form of LangChain's own serialisation (nothing
            is constructed from it but a message), or a dict with role and content.

    Raises:
        ImportFormatError: It is none of these.

    Example:
        >>> read_message({"type": "human", "data": {"content": "hi"}}).content
        'hi'
    """
    try:
        message = _message_of(data)
        read = None if message is None else from_langchain(message)
    except InvalidInputError as error:
        raise ImportFormatError(str(error)) from None
    except _UNREADABLE:
        read = None  # what was raised may quote what was said
    if read is None:
        raise ImportFormatError("it is not a message as LangChain stores it")
    return read


def _message_of(data: object) -> BaseMessage | None:
    if isinstance(data, BaseMessage):
        return data
    if not isinstance(data, Mapping):
        return None
    told = cast("Mapping[str, Any]", data)
    if "lc" in told and "kwargs" in told:
        kwargs = told["kwargs"]
        kind = kwargs.get("type") or _CLASS_KINDS[str(told["id"][-1]).removesuffix("Chunk")]
        return _built(kind, kwargs)
    if "type" in told and "data" in told:
        return _built(told["type"], told["data"])
    return convert_to_messages([dict(told)])[0] if "role" in told and "content" in told else None


def _built(kind: str, fields: Mapping[str, Any]) -> BaseMessage:
    kind = _KINDS.get(kind, kind)
    return messages_from_dict([{"type": kind, "data": {**fields, "type": kind}}])[0]
