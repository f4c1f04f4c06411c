"""What a SessionRunnable is given, and what the Runnable it wraps is given for it. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.messages import (
    BaseMessage,
    HumanMessage,
    MessageLikeRepresentation,
    RemoveMessage,
    SystemMessage,
    convert_to_messages,
)
from langchain_core.prompt_values import PromptValue

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.interfaces import ProviderRequest
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions_langchain.messages import from_langchain, messages_to_langchain, to_langchain

__all__ = ["GivenInput", "MessageKeys", "SessionInput", "bound_input", "pick", "read_input"]

SessionInput = str | PromptValue | BaseMessage | Sequence[MessageLikeRepresentation] | Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageKeys:
    """Where messages are in dicts; the same as in RunnableWithMessageHistory.

    Args:
        input: Key of the new messages in an input dict.
        history: Key under which a wrapped Runnable is given the conversation so far.
        output: Key of the answer in a wrapped Runnable's output dict.
    """

    input: str | None = None
    history: str | None = None
    output: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenInput:
    """An input, read.

    Args:
        value: What the caller passed.
        system: The system messages it begins with: this turn's instructions.
        messages: What is new; the system messages above are not among it.
        stored: The same, as it is stored.
    """

    value: SessionInput = field(repr=False)
    system: tuple[BaseMessage, ...] = field(repr=False)
    messages: tuple[BaseMessage, ...] = field(repr=False)
    stored: tuple[SessionMessage, ...]

    @property
    def instructions(self) -> str | None:
        """The instructions as one text, None when the input has none."""
        return "\n\n".join(message.text for message in self.system) if self.system else None


def read_input(value: SessionInput, keys: MessageKeys) -> GivenInput:
    """Read an input.

    Args:
        value: Text, a message, messages in any form LangChain takes, a PromptValue, or a dict that holds one of these.
        keys: Where in a dict.

    Returns:
        The input's messages, instructions apart.

    Raises:
        InvalidInputError: It is none of these, the key is missing, or there is nothing to answer.
    """
    messages = _messages(_from_dict(value, keys.input) if isinstance(value, Mapping) else value)
    start = next((at for at, message in enumerate(messages) if not isinstance(message, SystemMessage)), len(messages))
    if start == len(messages):
        raise InvalidInputError("input: there is nothing to answer; add a message that is not a system message.")
    if any(isinstance(message, RemoveMessage) for message in messages):
        raise InvalidInputError("input: RemoveMessage has no meaning here; use session.clear_messages().")
    new = messages[start:]
    return GivenInput(
        value=value,
        system=tuple(messages[:start]),
        messages=tuple(new),
        stored=tuple(from_langchain(message) for message in new),
    )


def bound_input(given: GivenInput, request: ProviderRequest, keys: MessageKeys) -> tuple[Any, list[BaseMessage]]:
    """Return what a wrapped Runnable is given for a turn, and the messages in it.

    Args:
        given: The caller's input.
        request: The window, its instructions beside it.
        keys: Where a dict gets new messages and history.

    Raises:
        InvalidInputError: `history_messages_key` is set and the input is not a dict.
    """
    at = _first_new(request.messages)
    history = messages_to_langchain(request.messages[:at])
    new = _new_messages(given, request.messages[at:])
    told = _instructions(given, request)
    everything = [*told, *history, *new]
    if keys.history is None:
        if keys.input is None or not isinstance(given.value, Mapping):
            return everything, everything
        return {**given.value, keys.input: everything}, everything
    if not isinstance(given.value, Mapping):
        raise InvalidInputError(
            f"input: history_messages_key={keys.history!r} needs a dict as input, "
            f"for example {{{keys.input or 'input'!r}: 'hi'}}."
        )
    key = _input_key(given.value, keys.input)
    before = history if given.system else [*told, *history]
    return {**given.value, key: _in_shape(given, new, given.value[key]), keys.history: before}, everything


def pick(value: Mapping[str, Any], key: str | None, *, default: str, argument: str) -> Any:
    """Return the entry of a dict that holds messages.

    Args:
        value: The dict.
        key: Which entry; None takes the only one, else `default`.
        default: The entry of a dict with several.
        argument: Name of the argument that sets `key`, for the message.

    Raises:
        InvalidInputError: There is no such entry.
    """
    wanted = key or (next(iter(value)) if len(value) == 1 else default)
    if wanted not in value:
        raise InvalidInputError(f"{argument}: the dict has no entry {wanted!r}; set {argument}= to the one it has.")
    return value[wanted]


def _input_key(value: Mapping[str, Any], key: str | None) -> str:
    return key or (next(iter(value)) if len(value) == 1 else "input")


def _from_dict(value: Mapping[str, Any], key: str | None) -> Any:
    if key is None and {"role", "content"} <= value.keys():
        return [value]
    return pick(value, key, default="input", argument="input_messages_key")


def _messages(value: object) -> list[BaseMessage]:
    if isinstance(value, str):
        return [HumanMessage(value)]
    if isinstance(value, BaseMessage):
        return [value]
    if isinstance(value, PromptValue):
        return value.to_messages()
    if not isinstance(value, Sequence):
        raise InvalidInputError(
            f"input must be a str, a message, a list of messages, a PromptValue or a dict, not {type(value).__name__}."
        )
    try:
        return convert_to_messages(cast("Sequence[MessageLikeRepresentation]", value))
    except (ValueError, NotImplementedError, KeyError, TypeError):
        # LangChain's own message quotes what was said.
        raise InvalidInputError(
            "input: an entry of the list is no message; use messages, (role, text) pairs or "
            "{'role': ..., 'content': ...} dicts with roles LangChain knows."
        ) from None


def _first_new(messages: Sequence[SessionMessage]) -> int:
    """Return where this turn's input begins: it is last, and carries the turn's id."""
    turn_id = next((message.turn_id for message in reversed(messages) if message.turn_id is not None), None)
    if turn_id is None:
        return len(messages)
    return next(at for at, message in enumerate(messages) if message.turn_id == turn_id)


def _new_messages(given: GivenInput, stored: Sequence[SessionMessage]) -> list[BaseMessage]:
    """Return the input as the caller made it (artifacts and all), except where it was edited before it was stored."""
    if len(stored) != len(given.messages):
        return messages_to_langchain(stored)
    return [
        _identified(message, kept) if read.parts == kept.parts and read.role is kept.role else to_langchain(kept)
        for message, read, kept in zip(given.messages, given.stored, stored, strict=True)
    ]


def _identified(message: BaseMessage, stored: SessionMessage) -> BaseMessage:
    return message if message.id is not None else message.model_copy(update={"id": stored.message_id or None})


def _instructions(given: GivenInput, request: ProviderRequest) -> list[BaseMessage]:
    if request.instructions is None:
        return []
    if request.instructions == given.instructions:
        return list(given.system)
    return [SystemMessage(request.instructions)]


def _in_shape(given: GivenInput, new: list[BaseMessage], before: Any) -> Any:
    """Return the new messages in the form the caller gave them in."""
    if isinstance(before, PromptValue):
        return before
    if isinstance(before, str):
        return new[0].text if len(new) == 1 else before
    return new[0] if isinstance(before, BaseMessage) else [*given.system, *new]
