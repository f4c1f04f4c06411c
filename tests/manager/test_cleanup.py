"""Cleaning up many sessions: each is told of as one that was archived or deleted by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import NumberDataPoint

from langswarm_sessions import SessionLifecycleHook, SessionManager
from langswarm_sessions.ids import use_clock
from langswarm_sessions.records import Page, SessionFilter, SessionRecord
from tests.session.kit import OpenManager
from tests.support.recorded import Recorded

MODE = {"langswarm.session.mode": "hybrid"}


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def watched(open_manager: OpenManager, backend: str, recorded: Recorded) -> SessionManager:
    """A manager whose telemetry is kept."""
    return open_manager(backend, telemetry=recorded.telemetry())


def _transitions(recorded: Recorded, transition: str) -> list[tuple[dict[str, Any], float]]:
    points = [point for point in recorded.points("langswarm.session.transitions") if isinstance(point, NumberDataPoint)]
    named = [(dict(point.attributes or {}), point.value) for point in points]
    return [(labels, value) for labels, value in named if labels["langswarm.session.transition"] == transition]


def _open_sessions(recorded: Recorded) -> float:
    [point] = recorded.points("langswarm.session.open")
    assert isinstance(point, NumberDataPoint)
    assert dict(point.attributes or {}) == MODE
    return point.value


async def test_cleaning_up_is_counted_like_archiving_by_hand(watched: SessionManager, recorded: Recorded) -> None:
    events = watched.session_events()
    for name in "abcd":
        await watched.create_session("user", "mock", "m", session_id=name)
    await watched.archive_session("a")
    await watched.archive_session("a")
    assert await watched.cleanup_inactive_sessions(0) == 3
    assert _open_sessions(recorded) == 0
    labels = {**MODE, "langswarm.session.transition": "archive"}
    [(found, count)] = _transitions(recorded, "archive")
    assert found == labels
    assert count == 4, "one by hand (asked for twice), and three by the cleanup"
    assert await watched.cleanup_archived_sessions(0) == 4
    assert _transitions(recorded, "delete") == [({**MODE, "langswarm.session.transition": "delete"}, 4)]
    assert _open_sessions(recorded) == 0, "they were closed before"
    spans = [span for span in recorded.spans if span.name == "langswarm.session.delete"]
    assert {str((span.attributes or {})["langswarm.session.id"]) for span in spans} == set("abcd")
    kinds = [(await anext(events)).type for _ in range(4 + 4 + 4)]
    assert kinds == ["session_created"] * 4 + ["session_archived"] * 4 + ["session_deleted"] * 4


@pytest.mark.parametrize("step", ["archive", "restore", "clear", "delete"])
async def test_every_step_says_the_session_s_mode(watched: SessionManager, recorded: Recorded, step: str) -> None:
    session = await watched.create_session("user", "mock", "m", session_id="s")
    await session.clear_messages()
    del session  # nobody holds it: the row tells
    await watched.archive_session("s")
    await watched.restore_session("s")
    await watched.delete_session("s")
    assert _transitions(recorded, step) == [({**MODE, "langswarm.session.transition": step}, 1)]


async def test_sessions_that_others_changed_meanwhile_are_theirs(
    watched: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        await watched.create_session(
            "user", "mock", "m", session_id=name, session_config={"auto_archive_after": timedelta(0)}
        )
    storage = watched._services.storage
    listed = storage.list_sessions

    async def then_others_come(wanted: SessionFilter) -> Page[SessionRecord]:
        page = await listed(wanted)
        await watched.delete_session("b")
        await watched.archive_session("c")
        return page

    monkeypatch.setattr(storage, "list_sessions", then_others_come)
    assert await watched.run_cleanup() == {"archived": 2, "deleted": 0}
    monkeypatch.undo()
    assert {session.session_id for session in await watched.search_sessions(status="archived")} == {"a", "c", "d"}
    assert [session.session_id for session in await watched.search_sessions(status="deleted")] == ["b"]


@pytest.mark.parametrize("wanted", ["été", "ÉTÉ", "paris", "STRASSE", "100%", "мосКВА"])
async def test_text_is_found_in_any_case_of_letters(manager: SessionManager, wanted: str) -> None:
    named = {"name": "ÉTÉ à Paris", "description": "Hauptstraße, Москва, 100%"}
    await manager.create_session("user", "mock", "m", session_id="found", session_config=named)
    await manager.create_session("user", "mock", "m", session_config={"name": "E1TE a Pari5, 1000"})
    await manager.create_session("user", "mock", "m")
    assert [session.session_id for session in await manager.search_sessions(text=wanted)] == ["found"]


class Heard(SessionLifecycleHook):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def on_session_archived(self, session_id: str) -> None:
        self.told.append(("archived", session_id))

    async def on_session_deleted(self, session_id: str) -> None:
        self.told.append(("deleted", session_id))


async def test_days_without_activity_and_days_in_the_archive(open_manager: OpenManager, backend: str) -> None:
    """Idle 100 days: archived now, and deleted no sooner than it has been archived for 90."""
    heard = Heard()
    numbers = {"archive_after_days": 30, "delete_after_days": 90}
    manager = open_manager(backend, cleanup_config=numbers, hooks=[heard])
    start = datetime(2026, 1, 1, tzinfo=UTC)

    async def cleaned(day: int) -> dict[str, int]:
        with use_clock(lambda: start + timedelta(days=day)):
            return await manager.run_cleanup()

    with use_clock(lambda: start):
        await manager.create_session("user", "mock", "m", session_id="s")
    assert await cleaned(29) == {"archived": 0, "deleted": 0}
    assert await cleaned(100) == {"archived": 1, "deleted": 0}
    assert await cleaned(189) == {"archived": 0, "deleted": 0}
    assert await cleaned(191) == {"archived": 0, "deleted": 1}
    assert heard.told == [("archived", "s"), ("deleted", "s")]
