"""What the input of a new run is to a session: new, said before, or that of a run which was broken off."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, RemoveMessage
from langgraph.graph.message import REMOVE_ALL_MESSAGES  # pyright: ignore[reportMissingTypeStubs]

from langswarm_sessions.messages import Role, SessionMessage, TurnState
from langswarm_sessions.records import MessageFilter
from langswarm_sessions.session import Session
from langswarm_sessions.turns.input import input_digest
from langswarm_sessions_langchain.agents.stored import ENDED, pages_back
from langswarm_sessions_langchain.agents.transcript import mark, newly_said
from langswarm_sessions_langchain.messages import from_langchain, messages_to_langchain, one_result_each
from langswarm_sessions_langchain.messages.newness import end_of_answers, held_at

__all__ = ["known_again", "replacing", "said_again"]

_LOOKED_AT_MORE = 20


async def known_again(session: Session, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return the graph's messages when the new input repeats what the session holds, up to its newest answer.

    A client that keeps the conversation itself sends all of it with each input. What the session holds of it is known
    again by ids, or by what it says in the same order, and is given the place and the id it has in the transcript.

    Args:
        session: The session, which owns the history.
        messages: Those of the graph's state.

    Returns:
        All of the graph's messages as they are to be; empty when there is nothing to change.
    """
    said = newly_said(messages, session_id=session.session_id)
    end = end_of_answers(said)
    if not end or session.record.next_seq == 1:
        return []
    page = await session.list_messages(MessageFilter(limit=2 * len(said) + _LOOKED_AT_MORE, for_model=True))
    singles = [single for message in page for single in one_result_each(message)]
    held = messages_to_langchain(singles)
    known = {message.id for message in held}
    # An id the session does not know is most often the graph's: it tells nothing.
    named = [message if message.id in known else message.model_copy(update={"id": None}) for message in said]
    places = {id(message): at for at, message in enumerate(said)}
    found = {at: place for at, place in held_at(named, singles).items() if at < end}
    if not any(isinstance(said[at], AIMessage) for at in found):
        return []

    def kept(message: BaseMessage) -> BaseMessage:
        place = found.get(places.get(id(message), -1))
        return message if place is None else mark(held[place], session_id=session.session_id)

    return [kept(message) for message in messages]


async def said_again(session: Session, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return the graph's messages when the new input is that of a run which was broken off.

    The input is then given the place and the id it has in the transcript, so that the run goes on where it was: what
    was answered is not asked again, and nothing is said twice. Where the graph waits for tools, or for a person, it
    goes back to the input: the answers that there are lead it there again.

    Args:
        session: The session.
        messages: Those of the graph's state, the new input last.

    Returns:
        All of the graph's messages as they are to be; empty when there is nothing to change.
    """
    said = newly_said(messages, session_id=session.session_id)
    if not said or session.record.next_seq == 1:
        return []
    asked, page = await _unfinished_input(session)
    known = {message.id for message in messages_to_langchain(page)}
    new = [message for message in said if message.id not in known]
    if not asked or not new or input_digest(asked) != input_digest([from_langchain(message) for message in new]):
        return []
    before = messages_to_langchain(asked)
    new_ids, before_ids = {message.id for message in new}, {message.id for message in before}
    rest = [message for message in messages if message.id not in new_ids]
    at = next((at for at in reversed(range(len(rest))) if rest[at].id in before_ids), None)
    if at is None:
        return [*rest, *before]
    waits = isinstance(rest[-1], AIMessage)
    return rest[: at + 1] if waits else rest


def replacing(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return the change of a graph's state that puts these messages in place of all it has."""
    return [RemoveMessage(id=REMOVE_ALL_MESSAGES), *messages]


async def _unfinished_input(session: Session) -> tuple[list[SessionMessage], list[SessionMessage]]:
    """Return the input of the newest run, if that was broken off, and what was looked at to find it."""
    seen: list[SessionMessage] = []
    async for page in pages_back(session):
        seen[:0] = page
        said = [message for message in seen if message.role is not Role.SYSTEM]
        if said and said[-1].message_id == session.record.context.get(ENDED):
            break
        asked = _input_of_newest(said, is_all=page.next_cursor is None)
        if asked is not None:
            return asked, seen
    return [], seen


def _input_of_newest(said: Sequence[SessionMessage], *, is_all: bool) -> list[SessionMessage] | None:
    """Return the input of the newest run; empty when that was answered, None when it reaches further back."""
    newest = next((message for message in reversed(said) if message.role is Role.USER or _is_final(message)), None)
    if newest is None:
        return None
    if newest.role is not Role.USER or newest.turn_id is None:
        return []
    own = [
        at
        for at, message in enumerate(said)
        if message.turn_id == newest.turn_id and message.role is not Role.ASSISTANT
    ]
    return None if own[0] == 0 and not is_all else [said[at] for at in own]


def _is_final(message: SessionMessage) -> bool:
    return message.role is Role.ASSISTANT and message.status is TurnState.COMPLETED and not message.tool_calls
