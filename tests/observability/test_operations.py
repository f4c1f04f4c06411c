"""A session's life on spans and metrics: done, for nothing, failed, cancelled; and the agent's name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from langswarm_sessions import (
    ConfigurationError,
    Session,
    SessionLifecycleHook,
    SessionManager,
    SessionMessage,
    SessionNotFoundError,
    StorageError,
    ToolCall,
)
from tests.importing.sources import Listed
from tests.support.recorded import Recorded

STEPS: dict[str, Callable[[Session], Awaitable[Any]]] = {
    "archive": lambda session: session.archive(),
    "restore": lambda session: session.restore(),
    "delete": lambda session: session.delete(),
    "clear": lambda session: session.clear_messages(),
}


def span_of(recorded: Recorded, step: str) -> ReadableSpan:
    return recorded.span(f"langswarm.session.{step}")


def transitions(recorded: Recorded, step: str) -> list[tuple[object, float]]:
    """Return the errors and counts of a step's metric."""
    points = [point for point in recorded.points("langswarm.session.transitions") if isinstance(point, NumberDataPoint)]
    of_step = [point for point in points if (point.attributes or {})["langswarm.session.transition"] == step]
    return [((point.attributes or {}).get("error.type"), point.value) for point in of_step]


async def new_session(manager: SessionManager, step: str) -> Session:
    session = await manager.create_session("user", "mock", "mock-model", session_config={"agent_name": "support"})
    if step == "restore":
        await session.archive()
    return session


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_that_fails(
    manager: SessionManager, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    session = await new_session(manager, step)

    async def fails(*_: object) -> None:
        raise StorageError("The disk is full.")

    monkeypatch.setattr(manager._services.storage, "change_session", fails)
    with pytest.raises(StorageError):
        await STEPS[step](session)
    span = span_of(recorded, step)
    assert span.status.status_code is StatusCode.ERROR
    assert str((span.attributes or {})["error.type"]).endswith("StorageError")
    assert [count for error, count in transitions(recorded, step) if str(error).endswith("StorageError")] == [1]


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_that_is_cancelled(
    manager: SessionManager, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    session = await new_session(manager, step)
    asked = asyncio.Event()

    async def never(*_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(manager._services.storage, "change_session", never)
    call = asyncio.ensure_future(STEPS[step](session))
    await asked.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (span_of(recorded, step).attributes or {})["error.type"] == "cancelled"
    assert transitions(recorded, step) == [("cancelled", 1)]


async def test_a_step_for_nothing_is_no_transition(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager, "archive")
    for _ in range(3):
        await session.archive()
    assert transitions(recorded, "archive") == [(None, 1)]
    assert len([span for span in recorded.spans if span.name == "langswarm.session.archive"]) == 3


async def test_the_agents_name_is_on_its_turns(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager, "send")
    await session.send_message("hi")
    turn = recorded.span("invoke_agent support")
    assert (turn.attributes or {})["gen_ai.agent.name"] == "support"


def open_sessions(recorded: Recorded) -> float:
    [point] = recorded.points("langswarm.session.open")
    assert isinstance(point, NumberDataPoint)
    return point.value


async def test_open_sessions_are_changes_since_the_start_of_the_process(tmp_path: Path) -> None:
    before, after = Recorded(), Recorded()
    place = {"db_path": str(tmp_path / "open.db")}
    async with SessionManager("sqlite", storage_config=place, telemetry=before.telemetry()) as manager:
        sessions = [await new_session(manager, "archive") for _ in range(3)]
        await sessions[0].archive()
        await sessions[0].archive()
        assert open_sessions(before) == 2
        await sessions[0].delete()
        assert open_sessions(before) == 2, "an archived one was not open"
        await sessions[0].restore()
        assert open_sessions(before) == 3
    assert open_sessions(before) == 3, "closing a manager ends no session"
    async with SessionManager("sqlite", storage_config=place, telemetry=after.telemetry()) as manager:
        await manager.get_session(sessions[0].session_id)
        assert after.points("langswarm.session.open") == []
        assert await manager.cleanup_inactive_sessions(0) == 3
        assert open_sessions(after) == -3
        assert await manager.cleanup_archived_sessions(0) == 3
        assert await manager.cleanup_deleted_sessions(0) == 3
        assert open_sessions(after) == -3


async def test_a_cleanup_is_one_trace_with_a_span_for_each_session(manager: SessionManager, recorded: Recorded) -> None:
    for _ in range(2):
        await new_session(manager, "archive")
    recorded.exporter.clear()
    assert await manager.cleanup_inactive_sessions(0) == 2
    job = span_of(recorded, "cleanup")
    assert job.parent is None
    assert dict(job.attributes or {}) == {"langswarm.job.name": "cleanup", "langswarm.job.sessions": 2}
    assert job.context is not None
    archived = [span for span in recorded.spans if span.name == "langswarm.session.archive"]
    assert len(archived) == 2
    assert {span.parent and span.parent.span_id for span in archived} == {job.context.span_id}
    assert transitions(recorded, "archive") == [(None, 2)]
    await manager.cleanup_archived_sessions(0)
    await manager.cleanup_deleted_sessions(0)
    assert transitions(recorded, "purge") == [(None, 2)]


async def test_an_import_says_what_it_brought(manager: SessionManager, recorded: Recorded) -> None:
    source = Listed([("a", "one"), ("a", "two"), ("b", "three")])
    await manager.import_from(source, user_id="ada", provider="mock", model="mock-model")
    assert dict(span_of(recorded, "import").attributes or {}) == {
        "langswarm.job.name": "import",
        "langswarm.job.sessions": 2,
        "langswarm.job.messages": 3,
    }
    recorded.exporter.clear()
    await manager.import_from(source, user_id="ada", provider="mock", model="mock-model", dry_run=True)
    told = dict(span_of(recorded, "import").attributes or {})
    assert told["langswarm.job.dry_run"] is True
    assert told["langswarm.job.sessions"] == 0, "they are there already"


async def test_the_import_of_an_export_says_what_it_brought(manager: SessionManager, recorded: Recorded) -> None:
    session = await manager.create_session("ada", "mock", "mock-model", session_id="old")
    await session.send_message("hi")
    data = await session.export_conversation()
    recorded.exporter.clear()
    await manager.import_conversation(data, session_id="new")
    job = span_of(recorded, "import")
    assert dict(job.attributes or {}) == {
        "langswarm.job.name": "import",
        "langswarm.job.sessions": 1,
        "langswarm.job.messages": 2,
    }
    created = span_of(recorded, "create")
    assert job.context is not None
    assert created.context is not None
    assert created.parent is not None
    assert created.parent.span_id == job.context.span_id
    [stored] = [span for span in recorded.spans if span.name == "langswarm.storage.create"]
    assert stored.parent is not None
    assert stored.parent.span_id == created.context.span_id
    assert transitions(recorded, "create") == [(None, 2)]

    recorded.exporter.clear()
    await manager.import_conversation(data, session_id="new")
    again = dict(span_of(recorded, "import").attributes or {})
    assert (again["langswarm.job.sessions"], again["langswarm.job.messages"]) == (0, 0), "it is there already"
    assert "error.type" not in (span_of(recorded, "create").attributes or {})
    assert transitions(recorded, "create") == [(None, 2)]


async def test_what_is_written_beside_turns_is_no_root_of_a_trace(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager, "archive")
    recorded.exporter.clear()
    await session.add_message("user", "hi")
    await session.update_context({"a": 1})
    assert recorded.spans == ()
    with recorded.tracer_provider.get_tracer("caller").start_as_current_span("request"):
        await session.add_message("user", "hi")
    write = recorded.span("langswarm.storage.append")
    assert write.parent is not None
    attributes = dict(write.attributes or {})
    assert attributes["langswarm.session.id"] == session.session_id
    assert attributes["langswarm.storage.count"] == 1
    assert "gen_ai.conversation.id" not in attributes
    counts: dict[str, int] = {}
    for point in recorded.points("langswarm.storage.operation.duration"):
        assert isinstance(point, HistogramDataPoint)
        counts[str((point.attributes or {})["langswarm.storage.operation"])] = point.count
    assert counts == {"create": 1, "append": 2, "replace": 1}


async def test_what_a_tool_writes_belongs_to_the_conversation(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager, "archive")

    async def note() -> str:
        """Take a note."""
        await session.update_context({"noted": True})
        return "done"

    session.provider_session.set_responses([[ToolCall(id="call_1", name="note")], "noted"])
    await session.send_message("note it", tools=[note], run_tools=True)
    tool, write = recorded.span("execute_tool note"), recorded.span("langswarm.storage.replace")
    assert tool.context is not None
    assert write.parent is not None
    assert write.parent.span_id == tool.context.span_id
    attributes = dict(write.attributes or {})
    assert attributes["gen_ai.conversation.id"] == attributes["session.id"] == session.session_id
    [calls] = recorded.points("gen_ai.invoke_agent.inference_calls")
    [tools] = recorded.points("gen_ai.invoke_agent.tool_calls")
    assert (calls.sum, tools.sum) == (2, 1)  # type: ignore[union-attr]


async def test_a_summary_by_a_provider_is_a_call_of_the_model(recorded: Recorded) -> None:
    async with SessionManager("memory", telemetry=recorded.telemetry(), summarizer="mock/small") as manager:
        session = await manager.create_session(
            "user", "mock", "mock-model", strategy="client", session_config={"max_messages": 6}
        )
        for number in range(6):
            await session.send_message(f"question {number}")
    summaries = [span for span in recorded.spans if span.name == "langswarm.session.summarize"]
    asked = [span for span in recorded.spans if span.name == "chat small"]
    assert summaries
    assert len(asked) == len(summaries)
    assert {span.parent and span.parent.span_id for span in asked} == {
        span.context and span.context.span_id for span in summaries
    }
    assert all((span.attributes or {})["langswarm.summary.messages"] for span in summaries)
    assert all((span.attributes or {})["gen_ai.usage.input_tokens"] for span in asked)
    [counted] = recorded.points("langswarm.session.summaries")
    assert counted.value == len(summaries)  # type: ignore[union-attr]


async def test_a_refused_creation_and_an_unknown_session_have_their_spans(
    manager: SessionManager, recorded: Recorded
) -> None:
    with pytest.raises(ConfigurationError):
        await manager.create_session("user", "nobody", "model")
    assert str((span_of(recorded, "create").attributes or {})["error.type"]).endswith("ConfigurationError")
    with pytest.raises(SessionNotFoundError):
        await manager.archive_session("no such session")
    assert transitions(recorded, "archive") == [("langswarm_sessions.SessionNotFoundError", 1)]


async def test_a_turn_whose_hook_was_cancelled_was_answered(recorded: Recorded) -> None:
    called = asyncio.Event()

    class Slow(SessionLifecycleHook):
        async def on_message_sent(self, session_id: str, message: SessionMessage) -> None:
            called.set()
            await asyncio.Event().wait()

    async with SessionManager("memory", telemetry=recorded.telemetry(), hooks=[Slow()]) as manager:
        session = await new_session(manager, "archive")
        call = asyncio.ensure_future(session.send_message("hi"))
        await called.wait()
        call.cancel()
        await asyncio.wait({call})
        assert [message.status for message in await session.get_messages()] == ["completed", "completed"]
    assert recorded.span("invoke_agent support").status.status_code is StatusCode.UNSET
    [hook] = [span for span in recorded.spans if span.name.startswith("langswarm.hook ")]
    assert (hook.attributes or {})["error.type"] == "cancelled"
