"""An exported conversation becomes a session, whole or not at all."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from langswarm_sessions.errors import ConfigurationError, SessionExistsError
from langswarm_sessions.importing.exports import ExportedConversation, Remedies
from langswarm_sessions.lifecycle import stored_record
from langswarm_sessions.messages import SessionMessage, content_bytes
from langswarm_sessions.records import MessageFilter, SessionRecord, SessionStatus
from langswarm_sessions.runtime import Runtime
from langswarm_sessions.turns import TurnSubject

__all__ = ["are_the_same", "rehearse", "take_over"]


async def take_over(
    runtime: Runtime, conversation: ExportedConversation, remedies: Remedies
) -> tuple[TurnSubject, bool]:
    """Store an exported conversation; return its session, and whether it was not there already.

    Args:
        runtime: The manager's.
        conversation: What to store.
        remedies: What errors say is to be done.

    Raises:
        SessionExistsError: The id is taken by another conversation.
        ConfigurationError: Its provider, model, settings or strategy cannot work.
        StorageError: The storage failed, or cannot do this; nothing was stored.
    """
    record = conversation.record

    async def store() -> SessionRecord:
        services, messages = runtime.services, conversation.messages
        with services.storage_span("create", record.session_id) as op:
            stored = await services.storage.insert_conversation(record, messages, summary=conversation.summary)
            op.done(count=len(messages), size=content_bytes(messages))
        return stored

    with _telling(remedies):
        made = await runtime.create_unless_there(record, store=store)
    if made is not None:
        return made, True
    there = await stored_record(runtime, record.session_id)
    return runtime.handle(await _same(runtime, there, conversation, remedies)), False


async def rehearse(runtime: Runtime, conversation: ExportedConversation, remedies: Remedies) -> bool:
    """Refuse what `take_over` refuses, and store nothing; return whether the session would be new.

    Args:
        runtime: The manager's.
        conversation: What would be stored.
        remedies: What errors say is to be done.

    Raises:
        SessionExistsError: The id is taken by another conversation.
        ConfigurationError: Its provider, model, settings or strategy cannot work.
    """
    record = conversation.record
    with _telling(remedies):
        await runtime.check_new(record)
    there = await stored_record(runtime, record.session_id)
    if there is not None:
        await _same(runtime, there, conversation, remedies)
    return there is None


@contextmanager
def _telling(remedies: Remedies) -> Generator[None]:
    try:
        yield
    except ConfigurationError as error:
        error.args = (f"{error} {remedies.answerer}",)
        raise


async def _same(
    runtime: Runtime, there: SessionRecord | None, conversation: ExportedConversation, remedies: Remedies
) -> SessionRecord:
    """Return the session that is there, if it is that of the export."""
    if there is None or not await _holds(runtime, there, conversation):
        raise SessionExistsError(
            "session_id: another session of this id is there (it may be archived, deleted or another user's), or what "
            f"was imported was changed since. {remedies.taken}",
            session_id=conversation.record.session_id,
        )
    return there


async def _holds(runtime: Runtime, there: SessionRecord, conversation: ExportedConversation) -> bool:
    """Whether a session is the one of an export, which may have gone on since."""
    record, given = conversation.record, conversation.messages
    if (there.user_id, there.created_at) != (record.user_id, record.created_at):
        return False
    if there.status is SessionStatus.DELETED:
        return False
    held = await runtime.services.storage.list_messages(there.session_id, MessageFilter())
    return await asyncio.to_thread(are_the_same, held[: len(given)], given)


def are_the_same(held: Sequence[SessionMessage], given: Sequence[SessionMessage]) -> bool:
    """Whether messages say the same, whatever ids they got here."""
    return len(held) == len(given) and all(map(operator.eq, map(_said, held), map(_said, given)))


def _said(message: SessionMessage) -> tuple[Any, ...]:
    """Return what makes a message this one, but its id."""
    return (
        message.role,
        message.kind,
        message.content,
        message.parts,
        message.timestamp,
        message.status,
        message.turn_id,
        message.metadata,
        message.provider_metadata,
        message.provider_payload,
    )
