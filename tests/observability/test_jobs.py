"""Work over many sessions: how many spans one trace has, what the storage is asked for, and races."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan

from langswarm_sessions import SessionManager
from langswarm_sessions.storage import InMemorySessionStorage
from langswarm_sessions_otel.scopes import jobs
from tests.importing.sources import Listed
from tests.support.recorded import Recorded

MOST = 3


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_SPANS_BELOW", MOST)


def named(recorded: Recorded, name: str) -> list[ReadableSpan]:
    return [span for span in recorded.spans if span.name == name]


def operations(recorded: Recorded) -> dict[str, int]:
    """Return how often the storage was asked for what, as the metric tells it."""
    counts: dict[str, int] = {}
    for point in recorded.points("langswarm.storage.operation.duration"):
        assert isinstance(point, HistogramDataPoint)
        name = str((point.attributes or {})["langswarm.storage.operation"])
        counts[name] = counts.get(name, 0) + point.count
    return counts


def transitions(recorded: Recorded) -> list[dict[str, object]]:
    points = [point for point in recorded.points("langswarm.session.transitions") if isinstance(point, NumberDataPoint)]
    return [{**(point.attributes or {}), "count": point.value} for point in points]


async def test_a_job_over_many_sessions_is_many_traces(manager: SessionManager, recorded: Recorded) -> None:
    for _ in range(5):
        await manager.create_session("user", "mock", "mock-model")
    recorded.exporter.clear()
    assert await manager.cleanup_inactive_sessions(0) == 5

    [job] = named(recorded, "langswarm.session.cleanup")
    assert job.context is not None
    archived = named(recorded, "langswarm.session.archive")
    below = [span for span in archived if span.parent and span.parent.span_id == job.context.span_id]
    roots = [span for span in archived if span.parent is None]
    assert (len(below), len(roots)) == (MOST - 1, 5 - (MOST - 1)), "the statement for all of them is one, too"
    for root in roots:
        assert root.context is not None
        [link] = root.links
        assert link.context.span_id == job.context.span_id
        assert dict(link.attributes or {}) == {"langswarm.link.kind": "job"}
        [load] = [span for span in recorded.spans if span.parent and span.parent.span_id == root.context.span_id]
        assert load.name == "langswarm.storage.load"
        assert load.context is not None
        assert load.context.trace_id == root.context.trace_id
    assert not any(span.links for span in below)


async def test_an_import_of_many_sessions_tells_the_storages_metric_all(
    manager: SessionManager, recorded: Recorded
) -> None:
    source = Listed([(name, text) for name in "abcd" for text in ("one", "two")])
    await manager.import_from(source, user_id="ada", provider="mock", model="mock-model")

    [job] = named(recorded, "langswarm.session.import")
    assert job.context is not None
    assert len([span for span in recorded.spans if span.parent and span.parent.span_id == job.context.span_id]) == MOST
    created = named(recorded, "langswarm.session.create")
    assert len(created) == 4
    assert all(span.parent is None or span.parent.span_id == job.context.span_id for span in created)
    stored = operations(recorded)
    assert stored["create"] == 4
    assert stored["append"] >= 4
    assert all(span.parent is not None for span in recorded.spans if span.name.startswith("langswarm.storage."))


async def test_a_session_that_somebody_else_just_imported_is_no_failed_creation(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = InMemorySessionStorage()
    rows = [("a", "one")]
    arguments = {"user_id": "ada", "provider": "mock", "model": "mock-model"}
    async with (
        SessionManager(storage, telemetry=False) as other,
        SessionManager(storage, telemetry=recorded.telemetry()) as manager,
    ):
        insert = storage.insert_session

        async def late(record: object) -> None:
            monkeypatch.setattr(storage, "insert_session", insert)
            await other.import_from(Listed(rows), **arguments)  # type: ignore[arg-type]
            await insert(record)  # type: ignore[arg-type]

        monkeypatch.setattr(storage, "insert_session", late)
        report = await manager.import_from(Listed(rows), **arguments)  # type: ignore[arg-type]
    assert report.messages_already_there + report.messages_stored == 1
    assert transitions(recorded) == []
    [creation] = named(recorded, "langswarm.session.create")
    assert "error.type" not in (creation.attributes or {})


async def test_of_two_who_open_a_session_one_creates_it(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = InMemorySessionStorage()
    async with SessionManager(storage, telemetry=recorded.telemetry()) as manager:
        insert = storage.insert_session

        async def late(record: object) -> None:
            monkeypatch.setattr(storage, "insert_session", insert)
            await manager.create_session("user", "mock", "mock-model", session_id="s")
            await insert(record)  # type: ignore[arg-type]

        monkeypatch.setattr(storage, "insert_session", late)
        session = await manager.open_session("s", user_id="user", provider="mock", model="mock-model")
        assert session.session_id == "s"
    assert [(point.get("error.type"), point["count"]) for point in transitions(recorded)] == [(None, 1)]


async def test_each_step_of_a_sessions_life_tells_what_its_storage_took(
    manager: SessionManager, recorded: Recorded
) -> None:
    session = await manager.create_session("user", "mock", "mock-model")
    assert operations(recorded) == {"create": 1}
    for number, step in enumerate((session.archive, session.restore, session.clear_messages, session.delete), 1):
        await step()
        assert operations(recorded)["replace"] == number
    await manager.cleanup_deleted_sessions(0)
    assert operations(recorded)["delete"] == 1
    [purge] = named(recorded, "langswarm.storage.delete")
    assert (purge.attributes or {})["langswarm.storage.count"] == 1
