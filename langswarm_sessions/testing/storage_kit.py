"""What the conformance suite of storages is written with: sessions, turns and owners in one line each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from langswarm_sessions.config import SessionConfig, Strategy
from langswarm_sessions.ids import new_id, now
from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.messages import MessageKind, Role, SessionMessage, TurnState
from langswarm_sessions.records import (
    BeginTurn,
    Begun,
    Finished,
    FinishTurn,
    HistoryQuery,
    LeaseOwner,
    MessageFilter,
    NativeKind,
    NativeState,
    SessionRecord,
    Usage,
)
from langswarm_sessions.storage.liveness import this_process

__all__ = [
    "LEASE_SECONDS",
    "StorageFixtures",
    "StorageKit",
    "begun",
    "dead_owner",
    "everything",
    "instructions",
    "native_state",
    "no_history",
    "said",
    "session_record",
    "texts",
]

LEASE_SECONDS = 30.0


def no_history(_: SessionRecord) -> HistoryQuery | None:
    """Need nothing of the transcript, as a turn on a native thread does."""
    return None


def everything(_: SessionRecord) -> HistoryQuery | None:
    """Need the whole transcript."""
    return HistoryQuery()


def said(content: str, role: Role = Role.USER, **fields: Any) -> SessionMessage:
    """Return a message."""
    return SessionMessage(role=role, content=content, **fields)


def texts(messages: Sequence[SessionMessage]) -> list[str]:
    """Return what the messages say, in their order."""
    return [message.content for message in messages]


def session_record(session_id: str | None = None, *, user_id: str = "user", **fields: Any) -> SessionRecord:
    """Return a new session of provider `mock`, active now."""
    moment = fields.pop("last_activity", None) or now()
    values: dict[str, Any] = {
        "provider": "mock",
        "model": "mock-model",
        "strategy": Strategy.HYBRID,
        "created_at": moment,
        "last_activity": moment,
        "config": SessionConfig(),
        **fields,
    }
    return SessionRecord(session_id=session_id or new_id(), user_id=user_id, **values)


def native_state(*, cursor: int, turn_id: str, **fields: Any) -> NativeState:
    """Return native state of provider `mock`."""
    return NativeState(provider="mock", kind=NativeKind.NODE, id="node-1", cursor=cursor, turn_id=turn_id, **fields)


def dead_owner() -> LeaseOwner:
    """Return the identity of a process of this host that has ended."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
        process.wait()
    return replace(this_process(), pid=process.pid, started=1.0)


def begun(outcome: object) -> Begun:
    """Return an outcome of begin_turn that must be a beginning."""
    assert isinstance(outcome, Begun), outcome
    return outcome


@dataclass(frozen=True, slots=True)
class StorageKit:
    """Turns of one session, in one line each.

    Args:
        storage: The storage under test.
        session_id: The session.
        moment: When the first turn begins.
    """

    storage: EngineStorage
    session_id: str
    moment: datetime

    @classmethod
    async def of_new_session(cls, storage: EngineStorage, **fields: Any) -> StorageKit:
        """Create a session and return a kit for it."""
        record = session_record(**fields)
        await storage.insert_session(record)
        return cls(storage, record.session_id, now())

    def beginning(
        self,
        *contents: str,
        after_s: float = 0.0,
        needs: Callable[[SessionRecord], HistoryQuery | None] = no_history,
        **fields: Any,
    ) -> BeginTurn:
        """Return the beginning of a turn that says `contents`, `after_s` seconds after the kit's moment."""
        inputs: tuple[SessionMessage, ...] = fields.pop("inputs", None) or tuple(map(said, contents))
        values: dict[str, Any] = {
            "turn_id": new_id(),
            "owner": this_process(),
            "lease_seconds": LEASE_SECONDS,
            "input_digest": "|".join(message.content for message in inputs),
            **fields,
        }
        moment = self.moment + timedelta(seconds=after_s)
        return BeginTurn(session_id=self.session_id, inputs=inputs, needs=needs, now=moment, **values)

    async def begin(self, *contents: str, **fields: Any) -> Begun:
        """Begin a turn that must not have to wait."""
        return begun(await self.storage.begin_turn(self.beginning(*contents, **fields)))

    def ending(self, turn: Begun, *answers: str, state: TurnState = TurnState.COMPLETED, **fields: Any) -> FinishTurn:
        """Return the end of a turn with assistant messages `answers`."""
        given: tuple[SessionMessage, ...] = fields.pop("answers", None) or tuple(
            said(answer, Role.ASSISTANT) for answer in answers
        )
        values: dict[str, Any] = {
            "now": now(),
            "provider": "mock",
            "model": "mock-model",
            "mode": "client",
            "usage": Usage(input_tokens=3, output_tokens=4, total_tokens=7),
            "duration_ms": 10.0,
            **fields,
        }
        return FinishTurn(lease=turn.lease, state=state, answers=given, **values)

    async def finish(self, turn: Begun, *answers: str, **fields: Any) -> Finished:
        """End a turn."""
        return await self.storage.finish_turn(self.ending(turn, *answers, **fields))

    async def turn(self, question: str, answer: str, **fields: Any) -> Finished:
        """Run a whole turn."""
        return await self.finish(await self.begin(question, **fields), answer)

    async def failed_turn(self, question: str, **fields: Any) -> Begun:
        """Run a turn that fails; return its beginning."""
        turn = await self.begin(question, **fields)
        await self.finish(turn, state=TurnState.FAILED, usage=None, error_type="ProviderUnavailableError")
        return turn

    async def append(self, *contents: str, role: Role = Role.USER, **fields: Any) -> Finished:
        """Append messages outside any turn."""
        return await self.storage.append_messages(
            self.session_id, [said(content, role, **fields) for content in contents]
        )

    async def transcript(self, **conditions: Any) -> list[SessionMessage]:
        """Return the messages of the session."""
        return await self.storage.list_messages(self.session_id, MessageFilter(**conditions))

    async def record(self) -> SessionRecord:
        """Return the session's row."""
        record = await self.storage.load_session(self.session_id)
        assert record is not None
        return record

    async def change(self, **fields: Any) -> SessionRecord:
        """Change the session's row."""
        changed = await self.storage.change_session(self.session_id, lambda record: replace(record, **fields))
        assert changed is not None
        return changed

    async def clear(self) -> SessionRecord:
        """Hide what was said so far, as `clear_messages` does."""

        def cleared(record: SessionRecord) -> SessionRecord:
            kept = replace(record.counters, messages=0, user_messages=0, assistant_messages=0, system_messages=0)
            return replace(record, cleared_seq=record.next_seq - 1, native=None, instructions=None, counters=kept)

        changed = await self.storage.change_session(self.session_id, cleared)
        assert changed is not None
        return changed


def instructions(content: str) -> SessionMessage:
    """Return a message of instructions."""
    return SessionMessage(role=Role.SYSTEM, content=content, kind=MessageKind.INSTRUCTIONS)


class StorageFixtures:
    """The fixtures every part of the suite stands on. Override `storage`."""

    @pytest.fixture
    async def storage(self) -> EngineStorage:
        """Return the storage under test; close it afterwards."""
        raise AssertionError("override the fixture `storage`")

    @pytest.fixture
    async def kit(self, storage: EngineStorage) -> StorageKit:
        """Return a kit for a new session."""
        return await StorageKit.of_new_session(storage)
