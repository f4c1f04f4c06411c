"""What of a graph's messages the session knows, and what a model call adds to it. Pure functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage

from langswarm_sessions.ids import new_id
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.turns.input import input_digest
from langswarm_sessions.window.repair import INTERRUPTED_RESULT
from langswarm_sessions_langchain.messages import from_langchain, messages_to_langchain

__all__ = ["answered_calls", "id_of", "mark", "newest_answer", "newly_said", "turn_key", "what_is_sent"]

_SESSION = "session_id"


def mark(message: BaseMessage, *, session_id: str) -> BaseMessage:
    """Say on a message that a session has it, by which it is known again wherever the graph keeps it."""
    message.id = message.id or new_id()
    message.response_metadata = {**message.response_metadata, _SESSION: session_id}
    return message


def newest_answer(messages: Sequence[BaseMessage], *, session_id: str) -> int:
    """Return the position of the newest answer that a session has; -1 when it has none of these."""
    held = (at for at in reversed(range(len(messages))) if isinstance(messages[at], AIMessage))
    return next((at for at in held if _is_marked(messages[at], session_id)), -1)


def newly_said(messages: Sequence[BaseMessage], *, session_id: str) -> list[BaseMessage]:
    """Return the messages after the session's newest answer that it is not known to have.

    Left out are summaries that stand for older messages: what they stand for is in the transcript.

    Args:
        messages: Those of the graph's state.
        session_id: The session.
    """
    after = messages[newest_answer(messages, session_id=session_id) + 1 :]
    return [message for message in after if not _is_marked(message, session_id) and not _is_summary(message)]


def turn_key(
    messages: Sequence[BaseMessage], inputs: Sequence[BaseMessage], *, session_id: str, agent: str = ""
) -> str:
    """Return the idempotency key of a model call: the same for the same words at the same place in a conversation.

    Args:
        messages: Those of the graph's state.
        inputs: What the call adds to the transcript.
        session_id: The session.
        agent: Whose call it is, where several share a conversation.
    """
    at = newest_answer(messages, session_id=session_id)
    asked = inputs or messages[at + 1 :]
    words = input_digest([from_langchain(message) for message in asked])  # callers may use an id again
    place = [agent, messages[at].id if at >= 0 else None, [message.id for message in asked], words]
    return f"agent-{hashlib.sha256(json.dumps(place).encode()).hexdigest()}"


def what_is_sent(
    window: Sequence[SessionMessage], requested: Sequence[BaseMessage], state: Sequence[BaseMessage]
) -> list[BaseMessage]:
    """Return what the model is given where the session owns the history.

    What was said before this run comes from the session's window; what the graph has, as the request has it.

    Args:
        window: The window the planner chose, this run's messages included.
        requested: The messages of the request, as other middleware may have changed them.
        state: The messages of the graph's state.
    """
    of_window = messages_to_langchain(window)
    places = {message.id: at for at, message in enumerate(of_window)}
    graph_ids = {id_of(message) for message in state}
    # A model, or a cache of its answers, may give one id twice: it is the run's first message that counts.
    ours = next((places[message.id] for message in state if message.id in places), len(of_window))
    before = of_window[:ours]
    first = next((at for at, message in enumerate(requested) if id_of(message) in places), 0)
    latest = next((at for at in reversed(range(len(requested))) if isinstance(requested[at], HumanMessage)), 0)
    first = min(first, latest)
    own = [message for at, message in enumerate(requested) if at >= first or id_of(message) not in graph_ids]
    told = [message for message in before if message.type == "system"]
    return [*told, *(message for message in before if message.type != "system"), *own]


def answered_calls(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return messages with a result for every tool call: no service takes a call without one.

    A run that was broken off between a call and its result leaves one in the graph's state. It gets a result that says
    so, in what is sent; the state and the transcript stay as they are.

    Args:
        messages: What the model is to be given.
    """
    given: list[BaseMessage] = []
    open_calls: list[ToolCall] = []
    for at, message in enumerate(messages):
        if not isinstance(message, ToolMessage):
            given += map(_interrupted, open_calls)
            open_calls = []
        given.append(message)
        if isinstance(message, AIMessage) and message.tool_calls:
            answered = _answered_before_the_next(messages[at + 1 :])
            open_calls = [call for call in message.tool_calls if call["id"] not in answered]
    return [*given, *map(_interrupted, open_calls)]


def _answered_before_the_next(later: Sequence[BaseMessage]) -> set[str]:
    """Return the ids of the calls that are answered before others are made."""
    is_next = (at for at, message in enumerate(later) if isinstance(message, AIMessage) and message.tool_calls)
    until = next(is_next, len(later))
    return {message.tool_call_id for message in later[:until] if isinstance(message, ToolMessage)}


def _interrupted(call: ToolCall) -> BaseMessage:
    return ToolMessage(INTERRUPTED_RESULT, tool_call_id=call["id"] or "", name=call["name"], status="error")


def id_of(message: object) -> str | None:
    """Return a message's id; None for what is no message (middleware may put dicts among them)."""
    return message.id if isinstance(message, BaseMessage) else None


def _is_marked(message: BaseMessage, session_id: str) -> bool:
    return message.response_metadata.get(_SESSION) == session_id


def _is_summary(message: BaseMessage) -> bool:
    return message.additional_kwargs.get("lc_source") == "summarization"
