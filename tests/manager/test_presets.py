"""The presets, by what they do: lines in the log, cleanup, and the arguments that beat them."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from langswarm_sessions import AuthenticationError, LoggingHook, Session, SessionManager, create_session_manager
from langswarm_sessions.ids import monotonic, use_clock
from tests.session.kit import AT_ONCE, in_database

CANARY = "canary-4711"
TELLING = {"langswarm_sessions.hooks", "langswarm_sessions.middleware.logging"}
LIBRARY = logging.getLogger("langswarm_sessions")


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Leave the library's logger as it was found."""
    level, handlers = LIBRARY.level, list(LIBRARY.handlers)
    yield
    LIBRARY.setLevel(level)
    LIBRARY.handlers[:] = handlers


async def talk(manager: SessionManager) -> Session:
    """One turn that succeeds and one that fails, both saying the canary."""
    session = await manager.create_session("user", "mock", "mock-model", session_id="s")
    await session.send_message(CANARY)
    session.provider_session.fail_next("auth")
    with pytest.raises(AuthenticationError):
        await session.send_message(CANARY)
    return session


async def test_development_shows_messages_and_detailed_errors_and_nothing_that_was_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with create_session_manager(preset="development") as manager:
        await talk(manager)
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]
    assert "Session s created with mock/mock-model." in lines
    assert "Session s: user message of 11 characters." in lines
    assert "Session s: assistant message of 29 characters." in lines
    assert any(line.startswith("Session s answered (message ") for line in lines)
    [failure] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert failure.startswith("Session s failed: AuthenticationError\n")
    assert "mock" in failure, "the places lead to the provider"
    assert CANARY not in caplog.text


PROGRAM = """
import asyncio, logging, sys
from langswarm_sessions import create_session_manager
root = logging.getLogger()
{before}
manager = create_session_manager(preset="development")
{after}
async def main():
    async with manager:
        await manager.create_session("user", "mock", "mock-model", session_id="s")
asyncio.run(main())
assert root.level == {level}, root.level
assert len(root.handlers) == {handlers}, root.handlers
"""
BASIC = "logging.basicConfig(stream=sys.stderr)"


@pytest.mark.parametrize(
    ("before", "after", "handlers"),
    [("", "", 0), (BASIC, "", 1), ("", BASIC, 1), ("logging.getLogger('langswarm_sessions').propagate = True", "", 0)],
)
def test_development_is_seen_once_and_the_root_logger_is_the_programs(
    own_folder: Path, before: str, after: str, handlers: int
) -> None:
    program = PROGRAM.format(before=before, after=after, level=logging.WARNING, handlers=handlers)
    done = subprocess.run([sys.executable, "-c", program], cwd=own_folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Session s created with mock/mock-model.") == 1


def test_development_adds_one_handler_however_many_managers_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(LIBRARY, "handlers", [])
    for _ in range(3):
        create_session_manager(preset="development")
    assert len(LIBRARY.handlers) == 1
    assert LIBRARY.level == logging.DEBUG


async def test_production_has_wal_and_monitors_errors_without_what_was_said(
    own_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with create_session_manager(preset="production") as manager:
        await talk(manager)
        mode = in_database(own_folder / "langswarm_sessions.db", "PRAGMA journal_mode")
    assert mode == [{"journal_mode": "wal"}]
    levels = {record.getMessage().split(" (")[0]: record.levelno for record in caplog.records}
    assert levels["Session s created with mock/mock-model."] == logging.INFO
    assert levels["Session s answered"] == logging.INFO
    assert levels["Session s failed: AuthenticationError"] == logging.ERROR
    assert CANARY not in caplog.text


async def test_production_warns_of_slow_turns_with_their_figures(
    own_folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn's own clock is put forward while the provider answers."""
    ahead = [0.0]
    monkeypatch.setattr("langswarm_sessions.turns.send.round.monotonic", lambda: monotonic() + ahead[0])

    def answer(_: object) -> str:
        ahead[0] += 31
        return CANARY

    async with create_session_manager(preset="production", retry=AT_ONCE) as manager:
        session = await manager.create_session("user", "mock", "mock-model", session_id="s")
        await session.send_message("first")
        session.provider_session.forget()
        session.provider_session.set_responses([answer])
        session.provider_session.fail_next("unavailable", times=1)
        reply = await session.send_message(CANARY)
        tokens = reply.provider_metadata["usage"]["total_tokens"]
        session.provider_session.fail_next("auth")
        with pytest.raises(AuthenticationError):
            await session.send_message(CANARY)
    [slow] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    figures = rf"31\d\d\d ms with mock/mock-model, {tokens} tokens, 1 retries, 1 rebuilds, turn {reply.turn_id}"
    assert re.fullmatch(rf"Session s answered slowly: {figures}\.", slow)
    [failed] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert re.search(r"AuthenticationError \(\d+ ms with mock/mock-model, 0 tokens, 0 retries, 0 rebuilds", failed)
    assert CANARY not in caplog.text


async def test_production_cleans_up_by_its_numbers(own_folder: Path) -> None:
    async with create_session_manager(preset="production") as manager:
        for name, days in {"young": 29, "idle": 31, "kept": 89, "old": 91}.items():
            with use_clock(partial(_ago, days)):
                session = await manager.create_session("user", "mock", "m", session_id=name)
                if days > 60:
                    await session.archive()
        assert await manager.run_cleanup() == {"archived": 1, "deleted": 1}
        found = {one.session_id: one.status for one in await manager.get_user_sessions("user")}
        assert found == {"young": "active", "idle": "archived", "kept": "archived"}


@pytest.mark.parametrize("preset", ["development", "production"])
async def test_explicit_lists_win_also_when_empty(
    preset: Any, own_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="langswarm_sessions")
    async with create_session_manager(preset=preset, middleware=[], hooks=[]) as manager:
        await talk(manager)
    assert {record.name for record in caplog.records}.isdisjoint(TELLING)
    async with create_session_manager("memory", preset=preset, middleware=[], hooks=[LoggingHook("ERROR")]) as manager:
        await talk(manager)
    assert {record.levelno for record in caplog.records if record.name in TELLING} == {logging.ERROR}


def _ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
