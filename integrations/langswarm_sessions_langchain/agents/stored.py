"""What a session has of an agent's conversation: asked for, and added to, outside of turns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from langswarm_sessions.errors import MessageNotFoundError
from langswarm_sessions.ids import new_id
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.records import MessageFilter, Page
from langswarm_sessions.session import Session
from langswarm_sessions_langchain.agents.transcript import mark, newly_said
from langswarm_sessions_langchain.messages import from_langchain, messages_to_langchain

__all__ = ["ENDED", "add", "call_digest", "inputs_of", "note_end", "pages_back", "recorded_result"]

ENDED = "agent_run_ended_at"
"""Where in a session's context the newest message is named when a run ended with it, though it is no answer."""

_LOOKED_AT = 50  # messages a page: most often one has all that a run has said
_OF_COMMAND = "of_command"
_OF_CALL = "of_call"


async def inputs_of(session: Session, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return what a model call adds to the transcript, or added to it when it was tried before.

    Args:
        session: The session.
        messages: Those of the graph's state.
    """
    said = newly_said(messages, session_id=session.session_id)
    if not said or session.record.next_seq == 1:
        return said
    found = [await _find(session, message) for message in said]
    missing = [message for message, there in zip(said, found, strict=True) if there is None]
    if missing or found[-1] is None:
        return missing
    # All are there: they are the input of a call that is made again, or were added outside of any.
    turn_id = found[-1].turn_id
    of_turn = [message for message, there in zip(said, found, strict=True) if there and there.turn_id == turn_id]
    return [] if turn_id is None else of_turn


async def recorded_result(session: Session, call_id: str, messages: Sequence[BaseMessage]) -> ToolMessage | None:
    """Return the result of a tool call that was stored before the graph could keep it; None when there is none.

    Args:
        session: The session.
        call_id: The call.
        messages: Those of the graph's state: their newest answer made the call. If somebody edited it there since, it
            is another call.
    """
    asking = _asking(messages)
    turn_id = None if asking is None else asking.response_metadata.get("turn_id")
    told = call_digest(messages, call_id)
    found = None if turn_id is None else await _result_after(session, turn_id, call_id, told=told)
    result = None if found is None else _result_in(found, call_id)
    if found is None or result is None or result.status == "error" or _OF_COMMAND in found.metadata:
        return None
    mark(result, session_id=session.session_id)
    return result


def call_digest(messages: Sequence[BaseMessage], call_id: str) -> str | None:
    """Return what tells a tool call apart from the same one with other arguments; None when there is no such call.

    Args:
        messages: Those of the graph's state: their newest answer made the call.
        call_id: The call.
    """
    asking = _asking(messages)
    call = next((call for call in asking.tool_calls if call["id"] == call_id), None) if asking is not None else None
    if call is None:
        return None
    told = json.dumps([call_id, call["name"], call["args"]], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()


async def pages_back(session: Session) -> AsyncIterator[Page[SessionMessage]]:
    """Yield the transcript's pages, the newest first; messages in a page are in order."""
    cursor: str | None = None
    while True:
        page = await session.list_messages(MessageFilter(limit=_LOOKED_AT, cursor=cursor))
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


async def add(
    manager: SessionManager,
    session: Session,
    messages: Sequence[BaseMessage],
    *,
    of_call: str | None = None,
    of_command: bool = False,
) -> None:
    """Store messages outside any turn, all or none, and mark them.

    Args:
        manager: The manager.
        session: The session.
        messages: In order.
        of_call: The `call_digest` of the tool call that came to them.
        of_command: Whether a tool returned them in a Command, which cannot be made again from them.
    """
    if not messages:
        return
    for message in messages:
        message.id = message.id or new_id()
    new = [from_langchain(message) for message in messages]
    for stored in new:
        stored.metadata.update({_OF_COMMAND: True} if of_command else {})
        stored.metadata.update({} if of_call is None else {_OF_CALL: of_call})
    await manager.append_messages(session.session_id, new)
    for message in messages:
        mark(message, session_id=session.session_id)


async def note_end(session: Session) -> None:
    """Note that a run ended with the newest message, though it is no answer; else it would be taken for broken off."""
    page = await session.list_messages(MessageFilter(limit=1))
    if page and session.record.context.get(ENDED) != page[-1].message_id:
        await session.update_context({ENDED: page[-1].message_id})


def _asking(messages: Sequence[BaseMessage]) -> AIMessage | None:
    return next((message for message in reversed(messages) if isinstance(message, AIMessage)), None)


async def _find(session: Session, message: BaseMessage) -> SessionMessage | None:
    if message.id is None:
        return None
    try:
        return await session.get_message(message.id)
    except MessageNotFoundError:
        return None


async def _result_after(session: Session, turn_id: str, call_id: str, *, told: str | None) -> SessionMessage | None:
    """Return the message behind a turn's answer that has the result of one of its calls, as it was told."""
    seen: list[SessionMessage] = []
    async for page in pages_back(session):
        seen[:0] = page
        made = [at for at, message in enumerate(seen) if message.turn_id == turn_id and message.role is Role.ASSISTANT]
        if made:
            after = (message for message in seen[made[-1] + 1 :] if _answers(message, call_id))
            return next((message for message in after if message.metadata.get(_OF_CALL) in (None, told)), None)
    return None


def _answers(message: SessionMessage, call_id: str) -> bool:
    return any(result.tool_call_id == call_id for result in message.tool_results)


def _result_in(message: SessionMessage, call_id: str) -> ToolMessage | None:
    results = (result for result in messages_to_langchain([message]) if isinstance(result, ToolMessage))
    return next((result for result in results if result.tool_call_id == call_id), None)
