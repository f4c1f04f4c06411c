"""Random lives of a session against a simple model of one: what is stored, counted, and given to the provider."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from langswarm_sessions import AuthenticationError, Session, SessionArchivedError, SessionManager, TurnConflictError
from tests.session.kit import AT_ONCE, leftovers

T = TypeVar("T")
TEXTS = st.text("ab c", min_size=1, max_size=6).filter(lambda text: text.strip() != "")
KEYS = st.sampled_from(["k1", "k2", "k3"])


@dataclass
class Line:
    """One message as the model has it."""

    role: str
    content: str
    status: str = "completed"
    cleared: bool = False


class SessionLife(RuleBasedStateMachine):
    """Drives one session and its model."""

    storage = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.manager = self._open()
        self.session: Session = self._run(
            self.manager.create_session("user", "mock", "m", session_id="s", strategy="hybrid")
        )
        self.lines: list[Line] = []
        self.keys: dict[str, tuple[Line, str | None]] = {}
        self.archived = False
        self.context: dict[str, int] = {}

    def _open(self) -> SessionManager:
        if self.storage == "memory":
            return SessionManager("memory", retry=AT_ONCE)
        path = Path(self.folder.name) / "sessions.db"
        return SessionManager("sqlite", storage_config={"db_path": str(path)}, retry=AT_ONCE)

    def _run(self, work: Awaitable[T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(10):
                return await work

        return self.loop.run_until_complete(bounded())

    def teardown(self) -> None:
        self._run(self.manager.close())
        self.loop.close()
        self.folder.cleanup()

    def _answered(self, text: str) -> str:
        return f"Mock response to: {text}"

    def _visible(self) -> list[Line]:
        return [line for line in self.lines if not line.cleared]

    # What can happen

    @precondition(lambda self: not self.archived)
    @rule(text=TEXTS)
    def sends(self, text: str) -> None:
        self._run(self.session.send_message(text))
        self.lines += [Line("user", text), Line("assistant", self._answered(text))]
        self._check_what_was_sent(text)

    @precondition(lambda self: not self.archived)
    @rule(text=TEXTS)
    def streams(self, text: str) -> None:
        async def read() -> str:
            return "".join([chunk async for chunk in self.session.send_message_stream(text)])

        assert self._run(read()) == self._answered(text)
        self.lines += [Line("user", text), Line("assistant", self._answered(text))]
        self._check_what_was_sent(text)

    @precondition(lambda self: not self.archived)
    @rule(text=TEXTS, pieces=st.integers(1, 3))
    def leaves_a_stream(self, text: str, pieces: int) -> None:
        async def leave() -> str:
            async with self.session.send_message_stream(text) as stream:
                return "".join([await anext(stream) for _ in range(pieces)])

        shown = self._run(leave())
        self.lines += [Line("user", text, "interrupted"), Line("assistant", shown, "interrupted")]

    @precondition(lambda self: not self.archived)
    @rule(text=TEXTS)
    def fails(self, text: str) -> None:
        self.session.provider_session.fail_next("auth")
        with pytest.raises(AuthenticationError):
            self._run(self.session.send_message(text))
        self.lines.append(Line("user", text, "failed"))

    @precondition(lambda self: not self.archived)
    @rule(text=TEXTS)
    def is_refused_for_a_while(self, text: str) -> None:
        self.session.provider_session.fail_next("unavailable", times=2)
        self._run(self.session.send_message(text))
        self.lines += [Line("user", text), Line("assistant", self._answered(text))]

    @precondition(lambda self: not self.archived)
    @rule(text=TEXTS, key=KEYS, failing=st.booleans())
    def sends_with_a_key(self, text: str, key: str, failing: bool) -> None:
        line, answer = self.keys.get(key, (None, None))
        if line is not None and line.content != text:
            with pytest.raises(TurnConflictError):
                self._run(self.session.send_message(text, idempotency_key=key))
            return
        if line is not None and answer is not None:
            assert self._run(self.session.send_message(text, idempotency_key=key)).message_id == answer
            return
        if line is None:
            line = Line("user", text)
            self.lines.append(line)
        elif self.lines[-1] is not line or line.cleared:
            self.lines.remove(line)
            self.lines.append(line)
        line.cleared = False
        self.keys[key] = (line, None)
        if failing:
            self.session.provider_session.fail_next("auth")
            with pytest.raises(AuthenticationError):
                self._run(self.session.send_message(text, idempotency_key=key))
            line.status = "failed"
            return
        reply = self._run(self.session.send_message(text, idempotency_key=key))
        line.status = "completed"
        self.lines.append(Line("assistant", reply.content))
        self.keys[key] = (line, reply.message_id)

    @precondition(lambda self: not self.archived)
    @rule(text=TEXTS, role=st.sampled_from(["user", "assistant", "system"]))
    def adds(self, text: str, role: str) -> None:
        self._run(self.session.add_message(role, text))
        self.lines.append(Line(role, text))

    @rule()
    def clears(self) -> None:
        self._run(self.session.clear_messages())
        for line in self.lines:
            line.cleared = True

    @rule()
    def is_forgotten_by_the_provider(self) -> None:
        self.session.provider_session.forget()

    @rule(key=st.sampled_from("xyz"), value=st.integers())
    def changes_context(self, key: str, value: int) -> None:
        self._run(self.session.update_context({key: value}))
        self.context[key] = value

    @rule()
    def archives(self) -> None:
        self._run(self.session.archive())
        self.archived = True

    @rule()
    def restores(self) -> None:
        self._run(self.session.restore())
        self.archived = False

    @precondition(lambda self: self.archived)
    @rule(text=TEXTS)
    def is_refused_while_archived(self, text: str) -> None:
        with pytest.raises(SessionArchivedError):
            self._run(self.session.send_message(text))

    @precondition(lambda self: self.storage == "sqlite")
    @rule()
    def is_opened_again(self) -> None:
        self._run(self.manager.close())
        self.manager = self._open()
        self.session = self._run(self.manager.get_session("s"))

    # What holds

    def _check_what_was_sent(self, text: str) -> None:
        """What the model had before it: all that is visible and did not fail, once and in order."""
        given = [(line.role, line.content) for line in self._visible() if line.status != "failed"]
        assert self.session.provider_session.seen == given

    @invariant()
    def the_transcript_is_the_models(self) -> None:
        messages = self._run(self.session.get_messages())
        visible = self._visible()
        assert [(m.role.value, m.content, m.status.value) for m in messages] == [
            (line.role, line.content, line.status) for line in visible
        ]
        sequence = [message.seq or 0 for message in messages]
        assert sequence == sorted(set(sequence))

    @invariant()
    def the_counters_are_the_models(self) -> None:
        metrics = self._run(self.session.get_metrics())
        visible = self._visible()
        assert metrics.total_messages == self.session.message_count == len(visible)
        assert metrics.user_messages == sum(line.role == "user" for line in visible)
        assert metrics.assistant_messages == sum(line.role == "assistant" for line in visible)

    @invariant()
    def nothing_is_held(self) -> None:
        assert self._run(leftovers(self.manager)) == []
        assert self._run(self.session.get_context()).user_context == self.context
        assert self.session.status == ("archived" if self.archived else "active")


class SessionLifeOnSqlite(SessionLife):
    storage = "sqlite"


TestInMemory: Any = SessionLife.TestCase
TestOnSqlite: Any = SessionLifeOnSqlite.TestCase
TestInMemory.settings = settings(max_examples=settings().max_examples // 2, stateful_step_count=20)
TestOnSqlite.settings = settings(max_examples=settings().max_examples // 4, stateful_step_count=20)
