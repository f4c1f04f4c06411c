"""What a session has of an agent's conversation: asked for, and added to, outside of turns."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, RemoveMessage, ToolMessage

from langswarm_sessions.errors import MessageNotFoundError
from langswarm_sessions.ids import new_id
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.messages import Role, SessionMessage, TurnState
from langswarm_sessions.records import MessageFilter
from langswarm_sessions.session import Session
from langswarm_sessions.turns.input import input_digest
from langswarm_sessions_langchain.agents.transcript import mark, newly_said
from langswarm_sessions_langchain.messages import from_langchain, to_langchain

__all__ = ["add", "inputs_of", "note_end", "recorded_result", "said_again"]

_LOOKED_AT = 50  # newest messages: what a run that was broken off has said, and the results of one answer
_ENDED = "agent_run_ended_at"
_OF_COMMAND = "of_command"


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


async def said_again(session: Session, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return a change of the graph's messages when the new input is that of a run which was broken off.

    The input is then given the place and the id it has in the transcript, so that the run goes on where it was: what
    was answered is not asked again, and nothing is said twice.

    Args:
        session: The session.
        messages: Those of the graph's state, the new input last.
    """
    said = newly_said(messages, session_id=session.session_id)
    if not said or session.record.next_seq == 1:
        return []
    page = await session.list_messages(MessageFilter(limit=_LOOKED_AT))
    asked = _unfinished_input(page, ended_at=session.record.context.get(_ENDED))
    known = {to_langchain(message).id for message in page}
    new = [message for message in said if message.id not in known]
    if not asked or not new or input_digest(asked) != input_digest([from_langchain(message) for message in new]):
        return []
    before = [to_langchain(message) for message in asked]
    new_ids, before_ids = {message.id for message in new}, {message.id for message in before}
    rest = [message for message in messages if message.id not in new_ids]
    if isinstance(rest[-1] if rest else None, AIMessage) and any(message.id in before_ids for message in rest):
        return []  # the graph waits for its tools, or for somebody: what was said goes behind that
    return [*(RemoveMessage(id=message.id or "") for message in new), *before]


async def recorded_result(session: Session, call_id: str, messages: Sequence[BaseMessage]) -> ToolMessage | None:
    """Return the result of a tool call that was stored before the graph could keep it; None when there is none.

    Args:
        session: The session.
        call_id: The call.
        messages: Those of the graph's state: their newest answer made the call.
    """
    asking = next((message for message in reversed(messages) if isinstance(message, AIMessage)), None)
    turn_id = None if asking is None else asking.response_metadata.get("turn_id")
    page = await session.list_messages(MessageFilter(limit=_LOOKED_AT))
    made = [at for at, message in enumerate(page) if message.turn_id == turn_id and message.role is Role.ASSISTANT]
    later = page[made[-1] + 1 :] if made and turn_id is not None else []
    found = next((message for message in later if _answers(message, call_id)), None)
    result = None if found is None else to_langchain(found)
    if (
        found is None
        or not isinstance(result, ToolMessage)
        or result.status == "error"
        or _OF_COMMAND in found.metadata
    ):
        return None
    mark(result, session_id=session.session_id)
    return result


async def add(
    manager: SessionManager, session: Session, messages: Sequence[BaseMessage], *, of_command: bool = False
) -> None:
    """Store messages outside any turn, all or none, and mark them.

    Args:
        manager: The manager.
        session: The session.
        messages: In order.
        of_command: Whether a tool returned them in a Command, which cannot be made again from them.
    """
    if not messages:
        return
    for message in messages:
        message.id = message.id or new_id()
    new = [from_langchain(message) for message in messages]
    for stored in new:
        stored.metadata.update({_OF_COMMAND: True} if of_command else {})
    await manager.append_messages(session.session_id, new)
    for message in messages:
        mark(message, session_id=session.session_id)


async def note_end(session: Session) -> None:
    """Note that a run ended with the newest message, though it is no answer; else it would be taken for broken off."""
    page = await session.list_messages(MessageFilter(limit=1))
    if page and session.record.context.get(_ENDED) != page[-1].message_id:
        await session.update_context({_ENDED: page[-1].message_id})


async def _find(session: Session, message: BaseMessage) -> SessionMessage | None:
    if message.id is None:
        return None
    try:
        return await session.get_message(message.id)
    except MessageNotFoundError:
        return None


def _answers(message: SessionMessage, call_id: str) -> bool:
    return any(result.tool_call_id == call_id for result in message.tool_results)


def _unfinished_input(page: Sequence[SessionMessage], *, ended_at: object) -> list[SessionMessage]:
    """Return the input of the newest run, if that was broken off; nothing when it was not, or is too long ago."""
    said = [message for message in page if message.role is not Role.SYSTEM]
    asked = next((message.turn_id for message in reversed(said) if message.role is Role.USER), None)
    if asked is None or said[-1].message_id == ended_at:
        return []
    own = [at for at, message in enumerate(said) if message.turn_id == asked and message.role is not Role.ASSISTANT]
    after = said[own[-1] + 1 :]
    if any(message.role is Role.ASSISTANT and _is_final(message) for message in after):
        return []
    return [said[at] for at in own]


def _is_final(message: SessionMessage) -> bool:
    return message.status is TurnState.COMPLETED and not message.tool_calls
