"""Every way a turn can end leaves one whole trace: one root, its children below it, one metric point, no open span."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from langswarm_sessions import (
    AuthenticationError,
    ContextOverflowError,
    ProviderUnavailableError,
    Session,
    SessionArchivedError,
    SessionLifecycleHook,
    SessionManager,
    SessionMessage,
    SessionMiddleware,
    ToolCall,
)
from langswarm_sessions.window import estimate_tokens
from tests.support.recorded import Recorded

CANARY = "the canary sings at noon"
TURNS = "langswarm.session.turn"
DURATION = f"{TURNS}.duration"


async def new_session(manager: SessionManager) -> Session:
    return await manager.create_session("user", "mock", "mock-model")


def turn_root(recorded: Recorded) -> ReadableSpan:
    return recorded.span("invoke_agent session")


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    span_id: int = span.context.span_id
    return span_id


def outcome_of(recorded: Recorded) -> object:
    [point] = recorded.points(DURATION)
    assert isinstance(point, HistogramDataPoint)
    assert point.count == 1
    return (point.attributes or {}).get("error.type")


async def held_back(asked: asyncio.Event) -> AsyncIterator[str]:
    asked.set()
    yield "one "
    yield "two "
    await asyncio.Event().wait()


async def send(session: Session) -> None:
    await session.send_message("hi")


async def stream(session: Session) -> None:
    async for _ in session.send_message_stream("hi"):
        pass


@pytest.mark.parametrize("turn", [send, stream])
async def test_a_turn_is_one_trace(manager: SessionManager, recorded: Recorded, turn: object) -> None:
    session = await new_session(manager)
    recorded.exporter.clear()
    await (send if turn is send else stream)(session)
    names = sorted(span.name for span in recorded.spans)
    assert names == ["chat mock-model", "invoke_agent session", "langswarm.storage.append", "langswarm.storage.load"]
    root = turn_root(recorded)
    assert root.parent is None
    assert root.kind is SpanKind.INTERNAL
    assert root.status.status_code is StatusCode.UNSET
    assert recorded.span("chat mock-model").kind is SpanKind.CLIENT
    for span in recorded.spans:
        assert span.end_time is not None
        attributes = span.attributes or {}
        assert attributes["gen_ai.conversation.id"] == attributes["session.id"] == session.session_id
        if span is not root:
            assert span.parent is not None
            assert span.parent.span_id == id_of(root)
    assert outcome_of(recorded) is None


@pytest.mark.parametrize("turn", [send, stream])
async def test_a_failed_turn_says_so_once_on_span_and_metric(
    manager: SessionManager, recorded: Recorded, turn: object
) -> None:
    session = await new_session(manager)
    recorded.exporter.clear()
    session.provider_session.fail_next("overflow", times=4)
    with pytest.raises(ContextOverflowError):
        await (send if turn is send else stream)(session)
    root = turn_root(recorded)
    assert root.status.status_code is StatusCode.ERROR
    error_type = (root.attributes or {})["error.type"]
    assert outcome_of(recorded) == error_type
    assert str(error_type).endswith("ContextOverflowError")
    assert all(span.end_time for span in recorded.spans)


async def test_a_cancelled_turn(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager)
    recorded.exporter.clear()
    asked = asyncio.Event()
    session.provider_session.set_responses([held_back(asked)])
    task = asyncio.create_task(session.send_message("hi"))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    root = turn_root(recorded)
    assert root.status.status_code is StatusCode.ERROR
    assert (root.attributes or {})["error.type"] == outcome_of(recorded) == "cancelled"


async def test_an_abandoned_stream(
    manager: SessionManager, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    session = await new_session(manager)
    recorded.exporter.clear()
    tracer = trace.get_tracer("consumer")
    before = trace.get_current_span()
    async for _ in session.send_message_stream("a b c"):
        assert trace.get_current_span() is before, "the consumer's context is its own"
        with tracer.start_as_current_span("consumer's work"):
            pass
        break
    await session.get_messages()
    assert (turn_root(recorded).attributes or {})["error.type"] == outcome_of(recorded) == "abandoned"
    assert trace.get_current_span() is before
    assert "detach" not in caplog.text


async def test_consumer_spans_are_not_our_children(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager)
    recorded.exporter.clear()
    tracer = recorded.tracer_provider.get_tracer("consumer")
    with tracer.start_as_current_span("request") as request:
        async for _ in session.send_message_stream("a b"):
            with tracer.start_as_current_span("render"):
                pass
    root = turn_root(recorded)
    assert root.parent is not None
    assert root.parent.span_id == request.get_span_context().span_id
    for span in recorded.spans:
        if span.name == "render":
            assert span.parent is not None
            assert span.parent.span_id == request.get_span_context().span_id


async def test_turns_are_linked_across_managers(recorded: Recorded) -> None:
    place = {"db_path": "linked.db"}
    async with SessionManager("sqlite", storage_config=place, telemetry=recorded.telemetry()) as first:
        session = await first.create_session("user", "mock", "mock-model", session_id="s")
        await session.send_message("one")
    earlier = turn_root(recorded)
    recorded.exporter.clear()
    async with SessionManager("sqlite", storage_config=place, telemetry=recorded.telemetry()) as second:
        await (await second.get_session("s")).send_message("two")
    [link] = turn_root(recorded).links
    assert link.context.span_id == id_of(earlier)
    assert earlier.context is not None
    assert link.context.trace_id == earlier.context.trace_id


async def test_retries_are_events_and_a_recovered_turn_is_no_error(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager)
    recorded.exporter.clear()
    session.provider_session.fail_next("rate_limit", retry_after=0)
    await session.send_message("hi")
    root = turn_root(recorded)
    assert root.status.status_code is StatusCode.UNSET
    assert any("retry" in event.name for event in root.events)
    assert len([span for span in recorded.spans if span.name == "chat mock-model"]) == 2


async def test_a_lost_thread_is_a_rebuild_span_below_the_turn(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager)
    await session.send_message("one")
    session.provider_session.forget()
    recorded.exporter.clear()
    await session.send_message("two")
    rebuild = recorded.span("langswarm.session.rebuild")
    root = turn_root(recorded)
    assert rebuild.parent is not None
    assert rebuild.parent.span_id == id_of(root)
    assert root.status.status_code is StatusCode.UNSET
    [point] = recorded.points("langswarm.session.rebuilds")
    assert (point.attributes or {})["langswarm.rebuild.reason"] == "not_found"


class Masks(SessionMiddleware):
    """Has to see a whole answer before anybody does."""

    async def process_message(self, session_id: str, message: SessionMessage, context: object) -> None:
        message.content = message.content.replace("two", "***")


class MasksChunks(Masks):
    """Lets pieces through as they come."""

    async def process_chunk(self, session_id: str, chunk: str, context: object) -> str:
        return chunk.replace("two", "***")


@pytest.mark.parametrize(("masks", "seconds"), [(MasksChunks, 0.0), (Masks, 60.0)], ids=["piece by piece", "held back"])
async def test_the_first_chunk_is_the_one_that_the_reader_gets(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, masks: type[SessionMiddleware], seconds: float
) -> None:
    moment = 1000.0
    for module in ("chat", "scope", "turn"):
        monkeypatch.setattr(f"langswarm_sessions_otel.scopes.{module}.perf_counter", lambda: moment)

    async def slow() -> AsyncIterator[str]:
        nonlocal moment
        yield "one "
        moment += 60.0
        yield "two "

    async with SessionManager("memory", telemetry=recorded.telemetry(), middleware=[masks()]) as manager:
        session = await new_session(manager)
        session.provider_session.set_responses([slow()])
        assert "".join([chunk async for chunk in session.send_message_stream("count")]) == "one *** "
    told = [recorded.points(f"{name}.time_to_first_chunk") for name in (TURNS, "gen_ai.client.operation")]
    assert [point.sum for [point] in told if isinstance(point, HistogramDataPoint)] == [seconds, 0.0]


@pytest.mark.parametrize("trims", [False, True], ids=["whole", "window trimmed"])
@pytest.mark.parametrize("fails", [False, True], ids=["answered", "failed"])
async def test_a_rebuild_tells_of_what_was_sent_in_the_end(
    manager: SessionManager, recorded: Recorded, trims: bool, fails: bool
) -> None:
    session = await new_session(manager)
    for _ in range(4):
        await session.send_message("as long as the others")
    recorded.exporter.clear()
    session.provider_session.fail_next("lost")
    if trims:
        session.provider_session.fail_next("overflow")
    if fails:
        session.provider_session.fail_next("auth")
    with suppress(AuthenticationError):
        await session.send_message("two")
    sent = session.provider_session.requests[-1].messages
    assert (len(sent) < 9) is trims
    told = recorded.span("langswarm.session.rebuild").attributes or {}
    assert told["langswarm.rebuild.messages"] == len(sent)
    [tokens] = recorded.points("langswarm.session.rebuild.tokens")
    assert isinstance(tokens, HistogramDataPoint)
    assert tokens.sum == told["langswarm.rebuild.tokens"] == sum(map(estimate_tokens, sent))


async def test_tool_results_are_a_turn_too(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager)
    session.provider_session.set_responses([[ToolCall(id="call_1", name="clock")]])
    await session.send_message("what time is it?", tools=[{"name": "clock", "parameters": {"type": "object"}}])
    recorded.exporter.clear()
    await session.send_tool_results([{"tool_call_id": "call_1", "content": "noon"}])
    assert (turn_root(recorded).attributes or {})["langswarm.session.operation"] == "tool_results"


async def test_a_refused_turn_has_its_span(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager)
    await session.archive()
    recorded.exporter.clear()
    with pytest.raises(SessionArchivedError):
        await session.send_message("hi")
    assert str((turn_root(recorded).attributes or {})["error.type"]).endswith("SessionArchivedError")


class Hook(SessionLifecycleHook):
    """Fails after every turn."""

    async def on_message_sent(self, session_id: str, message: SessionMessage) -> None:
        raise RuntimeError(CANARY)


async def test_a_failing_hook_marks_its_span_and_nothing_else(manager: SessionManager, recorded: Recorded) -> None:
    manager.add_lifecycle_hook(Hook())
    session = await new_session(manager)
    recorded.exporter.clear()
    await session.send_message("hi")
    [hook] = [span for span in recorded.spans if span.name.startswith("langswarm.hook")]
    assert hook.status.status_code is StatusCode.ERROR
    assert (hook.attributes or {})["error.type"] == "RuntimeError"
    assert turn_root(recorded).status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("transition", ["create", "archive", "restore", "delete", "clear"])
async def test_lifecycle_outside_a_turn_carries_our_id_only(
    manager: SessionManager, recorded: Recorded, transition: str
) -> None:
    session = await new_session(manager)
    await session.archive()
    await session.restore()
    await session.clear_messages()
    await session.delete()
    spans = [span for span in recorded.spans if span.name == f"langswarm.session.{transition}"]
    assert len(spans) == 1
    attributes = spans[0].attributes or {}
    assert attributes["langswarm.session.id"] == session.session_id
    assert "session.id" not in attributes
    assert "gen_ai.conversation.id" not in attributes
    [active] = recorded.points("langswarm.session.open")
    assert isinstance(active, NumberDataPoint)
    assert active.value == 0, "created, archived, restored, deleted"
    points = recorded.points("langswarm.session.transitions")
    assert transition in [(point.attributes or {})["langswarm.session.transition"] for point in points]


async def test_nothing_said_leaves_through_telemetry(manager: SessionManager, recorded: Recorded) -> None:
    manager.add_lifecycle_hook(Hook())
    session = await new_session(manager)
    assert CANARY in (await session.send_message(CANARY)).content
    assert CANARY in "".join([chunk async for chunk in session.send_message_stream(CANARY)])
    session.provider_session.fail_next("unavailable", times=9)
    with pytest.raises(ProviderUnavailableError):
        await session.send_message(CANARY)
    await session.send_system_message(CANARY)
    manager_points = recorded.all_points()
    assert CANARY not in "".join(span.to_json() for span in recorded.spans)
    assert CANARY not in str(manager_points)


async def test_no_id_in_any_metric_attribute(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager)
    reply = await session.send_message("hi")
    await session.delete()
    secret = {session.session_id, session.user_id, reply.message_id, reply.turn_id}
    for points in recorded.all_points().values():
        for point in points:
            assert secret.isdisjoint((point.attributes or {}).values())


async def test_content_is_on_spans_when_asked(
    manager: SessionManager, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    async with SessionManager("memory", telemetry=recorded.telemetry()) as open_manager:
        session = await new_session(open_manager)
        await session.send_message(CANARY)
    root = turn_root(recorded)
    assert (root.attributes or {})["input.value"] == CANARY
    assert (root.attributes or {})["output.value"] == f"Mock response to: {CANARY}"
    chat = recorded.span("chat mock-model")
    assert CANARY in str((chat.attributes or {})["gen_ai.input.messages"])
