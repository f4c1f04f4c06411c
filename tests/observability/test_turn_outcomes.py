"""A turn that is broken off, that fails or falls back: its span, those below it, and its metrics say so alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import HistogramDataPoint
from opentelemetry.sdk.trace import ReadableSpan

from langswarm_sessions import (
    IncompleteStreamError,
    MiddlewareError,
    MockProviderSession,
    ProviderError,
    ProviderSessionFactory,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RetryPolicy,
    Session,
    SessionManager,
    SessionMessage,
    SessionMiddleware,
    ToolCall,
)
from langswarm_sessions.interfaces.provider import ProviderEvent, ProviderRequest
from langswarm_sessions.turns.readers.log import Interruption
from tests.session.kit import Gate, until
from tests.support.recorded import Recorded

AT_ONCE = RetryPolicy(max_attempts=2, initial_delay=0, jitter=0)
TURN = "invoke_agent session"
DURATION = "langswarm.session.turn.duration"
CALL_DURATION = "gen_ai.client.operation.duration"
LATE = "langswarm_sessions.ProviderTimeoutError"
FIRST, HANGS, NEVER = "outcomes-first", "outcomes-hangs", Gate("never")
Way = Callable[[Session], Awaitable[None]]


def answering(session_id: str, model: str, config: dict[str, object]) -> MockProviderSession:
    return MockProviderSession(session_id, model)


def hanging(session_id: str, model: str, config: dict[str, object]) -> MockProviderSession:
    made = MockProviderSession(session_id, model)
    made.set_responses([NEVER])
    return made


ProviderSessionFactory.register_provider(FIRST, answering)
ProviderSessionFactory.register_provider(HANGS, hanging)


@pytest.fixture
async def session(recorded: Recorded) -> Any:
    telemetry = recorded.telemetry()
    async with SessionManager("memory", telemetry=telemetry, retry=AT_ONCE) as manager:
        made = await manager.create_session("user", "mock", "mock-model")
        recorded.exporter.clear()
        yield made


def attributes_of(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


def last(recorded: Recorded, name: str = TURN) -> ReadableSpan:
    return [span for span in recorded.spans if span.name == name][-1]


def errors_of(recorded: Recorded, metric: str) -> list[object]:
    return [(point.attributes or {}).get("error.type") for point in recorded.points(metric)]


def engine_of(session: Session) -> Any:
    return session._runtime.engine


# Broken off


async def idles(session: Session) -> None:
    stream = session.send_message_stream("one two three")
    await anext(stream)

    def was_given_up() -> bool:
        let_time_pass(25)  # longer than a reader is waited for
        return not engine_of(session)._live.of(session.session_id)

    await until(was_given_up)
    with suppress(IncompleteStreamError):
        await anext(stream)


async def leaves(session: Session) -> None:
    stream = session.send_message_stream("one two three")
    await anext(stream)
    await stream.aclose()


async def cancels(session: Session) -> None:
    turn = await session.start_turn("hi")
    await silent(session).asked.wait()
    await turn.cancel()


async def loses_its_lease(session: Session) -> None:
    turn = await session.start_turn("hi")
    await silent(session).asked.wait()
    [(task, log)] = engine_of(session)._live.of(session.session_id)
    log.interrupt(Interruption.LEASE_LOST)
    task.cancel()
    with pytest.raises(IncompleteStreamError):
        await turn.result()


async def runs_out_of_time(session: Session) -> None:
    sending = asyncio.ensure_future(session.send_message("hi", timeout=60))
    await silent(session).asked.wait()
    let_time_pass(100)
    with pytest.raises(ProviderTimeoutError):
        await sending


def let_time_pass(seconds: float) -> None:
    """Set the clock of the running loop ahead."""
    loop: Any = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds


def silent(session: Session) -> Gate:
    gate: Gate = session.provider_session.gate
    return gate


WAYS: dict[str, Way] = {
    "idle": idles,
    "abandoned": leaves,
    "cancelled": cancels,
    "lease_lost": loses_its_lease,
    LATE: runs_out_of_time,
}


@pytest.mark.parametrize(("outcome", "way"), WAYS.items(), ids=WAYS)
@pytest.mark.parametrize("rebuilds", [False, True], ids=["at once", "in a rebuild"])
async def test_what_breaks_a_turn_off_is_told_of_its_steps(
    session: Session, recorded: Recorded, outcome: str, way: Way, rebuilds: bool
) -> None:
    if rebuilds:
        await session.send_message("before")
        session.provider_session.forget()
        recorded.exporter.clear()
    session.provider_session.gate = Gate("never")
    if way not in (idles, leaves):
        session.provider_session.set_responses([session.provider_session.gate])
    await way(session)
    broken = [TURN, "chat mock-model", *(["langswarm.session.rebuild"] if rebuilds else [])]
    assert {name: attributes_of(last(recorded, name)).get("error.type") for name in broken} == dict.fromkeys(
        broken, outcome
    )
    assert outcome in errors_of(recorded, CALL_DURATION)
    failed = recorded.events_named("gen_ai.client.operation.exception")
    told = [(event.log_record.attributes or {}).get("error.type") for event in failed]
    assert [error for error in told if not str(error).endswith("NativeStateLostError")] == (
        [LATE] if outcome == LATE else []
    ), "a call that was broken off did not fail"


@pytest.mark.parametrize("outcome", ["cancelled", LATE])
async def test_what_breaks_tools_off_is_told_of_them(session: Session, recorded: Recorded, outcome: str) -> None:
    asked = asyncio.Event()

    async def clock() -> str:
        """Tell the time."""
        asked.set()
        await asyncio.Event().wait()
        return "noon"

    session.provider_session.set_responses([[ToolCall(id="call_1", name="clock")]])
    options: dict[str, Any] = {"tools": [clock], "run_tools": True}
    sending = asyncio.ensure_future(session.send_message("what time is it?", timeout=60, **options))
    await asked.wait()
    if outcome == LATE:
        let_time_pass(100)
    else:
        sending.cancel()
    with pytest.raises((asyncio.CancelledError, ProviderTimeoutError)):
        await sending
    assert attributes_of(last(recorded, "execute_tool clock"))["error.type"] == outcome
    assert attributes_of(last(recorded))["error.type"] == outcome
    assert errors_of(recorded, DURATION) == errors_of(recorded, "gen_ai.execute_tool.duration") == [outcome]


async def test_a_lease_that_is_lost_between_two_turns_of_a_send(session: Session, recorded: Recorded) -> None:
    asked = asyncio.Event()

    async def clock() -> str:
        """Tell the time."""
        asked.set()
        await asyncio.Event().wait()
        return "noon"

    session.provider_session.set_responses([[ToolCall(id="call_1", name="clock")]])
    sending = asyncio.ensure_future(session.send_message("what time is it?", tools=[clock], run_tools=True))
    await asked.wait()
    [(task, log)] = engine_of(session)._live.of(session.session_id)
    log.interrupt(Interruption.LEASE_LOST)
    task.cancel()
    with pytest.raises(IncompleteStreamError, match="took the session over"):
        await sending
    assert attributes_of(last(recorded, "execute_tool clock"))["error.type"] == "lease_lost"
    assert attributes_of(last(recorded))["error.type"] == "lease_lost"
    assert [event.name for event in last(recorded).events] == ["langswarm.session.lease_lost"]
    [lost] = recorded.points("langswarm.session.lease.lost")
    assert lost.value == 1  # type: ignore[union-attr]


async def test_a_summary_that_takes_too_long_is_late_not_cancelled(recorded: Recorded) -> None:
    async with SessionManager(
        "memory", telemetry=recorded.telemetry(), summarizer=f"{HANGS}/other", retry=RetryPolicy(deadline=None)
    ) as manager:
        session = await manager.create_session("user", "mock", "mock-model", strategy="client")
        await session.update_config({"max_messages": 10})
        for number in range(5):
            await session.send_message(f"{number}")
        sending = asyncio.ensure_future(session.send_message("one too many"))
        await NEVER.asked.wait()
        let_time_pass(30)
        await sending
    assert attributes_of(recorded.span("chat other"))["error.type"] == "TimeoutError"
    assert attributes_of(recorded.span("langswarm.session.summarize"))["error.type"] == "TimeoutError"


class LeavesErrorsAsTheyAre(MockProviderSession):
    """Raises what its SDK does; the engine has it translated."""

    async def stream_turn(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        raise ConnectionResetError("of a library of theirs")
        yield

    def translate(self, error: Exception) -> Exception:
        return ProviderUnavailableError("It is down.") if isinstance(error, OSError) else error


async def test_a_summary_tells_of_errors_in_this_librarys_words(recorded: Recorded) -> None:
    ProviderSessionFactory.register_provider("outcomes-raw", LeavesErrorsAsTheyAre)
    async with SessionManager("memory", telemetry=recorded.telemetry(), summarizer="outcomes-raw/small") as manager:
        session = await manager.create_session("user", "mock", "mock-model", strategy="client")
        await session.update_config({"max_messages": 2})
        for number in range(3):
            await session.send_message(f"{number}")
    told = {attributes_of(last(recorded, name))["error.type"] for name in ("chat small", "langswarm.session.summarize")}
    assert told == {"langswarm_sessions.ProviderUnavailableError"}


# Failed


class Refuses(SessionMiddleware):
    """Lets no answer through."""

    async def process_message(self, session_id: str, message: SessionMessage, context: Any) -> SessionMessage:
        if message.role == "assistant":
            raise ValueError("no")
        return message


async def test_a_failed_turn_tells_its_retries(session: Session, recorded: Recorded) -> None:
    session.provider_session.fail_next("unavailable", times=2)
    with pytest.raises(ProviderUnavailableError):
        await session.send_message("hi")
    told = attributes_of(last(recorded))
    assert told["langswarm.turn.retries"] == 1
    assert (told["langswarm.history.messages_sent"], told["langswarm.history.messages_total"]) == (1, 1)


async def test_a_turn_that_failed_after_its_answer_tells_its_tokens(recorded: Recorded) -> None:
    async with SessionManager("memory", telemetry=recorded.telemetry(), middleware=[Refuses()]) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        with pytest.raises(MiddlewareError):
            await session.send_message("hi")
    turn, call = attributes_of(last(recorded)), attributes_of(last(recorded, "chat mock-model"))
    for name in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
        assert turn[name] == call[name] > 0
    assert "gen_ai.response.finish_reasons" not in turn


class Uncounted:
    """Somebody's own provider, which counts no tokens."""

    provider_session_id = None

    async def send_message(self, content: str) -> str:
        if "fail" in content:
            raise ValueError("no")
        return "well"

    def get_provider_metadata(self) -> dict[str, Any]:
        return {}

    async def update_provider_config(self, config: dict[str, Any]) -> None:
        pass

    async def cleanup_provider_resources(self) -> None:
        pass


def uncounted(session_id: str, model: str, config: dict[str, object]) -> Any:
    return Uncounted()


async def test_tokens_that_nobody_counted_are_not_told_as_none(recorded: Recorded) -> None:
    ProviderSessionFactory.register_provider("outcomes-uncounted", uncounted)
    async with SessionManager("memory", telemetry=recorded.telemetry(), retry=AT_ONCE) as manager:
        session = await manager.create_session("user", "outcomes-uncounted", "m")
        await session.send_message("hi")
        with pytest.raises(ProviderError):
            await session.send_message("fail")
    told = {name for span in recorded.spans for name in attributes_of(span) if name.startswith("gen_ai.usage.")}
    assert told == set()
    assert recorded.points("gen_ai.client.token.usage") == []
    assert len(errors_of(recorded, CALL_DURATION)) == 2, "the calls themselves are counted"


# Another provider


async def test_after_a_fallback_the_turn_tells_of_who_answered(recorded: Recorded) -> None:
    async with SessionManager(
        "memory", telemetry=recorded.telemetry(), retry=AT_ONCE, fallback="mock/second-model"
    ) as manager:
        session = await manager.create_session("user", FIRST, "first-model")
        session.provider_session.fail_next("unavailable", times=2)
        await session.send_message("hi")
    told = attributes_of(last(recorded))
    names = ("langswarm.fallback.from.provider", "langswarm.fallback.to.provider")
    assert [told[name] for name in ("gen_ai.request.model", "langswarm.session.mode", *names)] == [
        "second-model",
        "client",
        "mock",
        "mock",
    ]
    assert told["langswarm.turn.retries"] == 1, "those at the provider that could not"
    [point] = recorded.points(DURATION)
    assert point.attributes == {
        "gen_ai.provider.name": "mock",
        "gen_ai.request.model": "second-model",
        "gen_ai.request.stream": False,
        "langswarm.session.mode": "client",
        "langswarm.fallback.from.provider": "mock",
    }
    [agent] = recorded.points("gen_ai.invoke_agent.duration")
    assert (agent.attributes or {})["gen_ai.request.model"] == "second-model"


# A reader that is slow


async def test_a_slow_reader_is_no_slow_provider(
    session: Session, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 1000.0
    for module in ("chat", "scope", "turn"):
        monkeypatch.setattr(f"langswarm_sessions_otel.scopes.{module}.perf_counter", lambda: moment)
    async for _ in session.send_message_stream("one two three"):
        moment += 60.0
    for metric in (CALL_DURATION, "gen_ai.client.operation.time_per_output_chunk"):
        [point] = recorded.points(metric)
        assert isinstance(point, HistogramDataPoint)
        assert point.sum == 0
    [turn] = recorded.points(DURATION)
    waited = attributes_of(last(recorded, "chat mock-model"))["langswarm.stream.reader_wait_seconds"]
    assert turn.sum == pytest.approx(waited)  # type: ignore[union-attr]
    assert waited >= 60.0


async def test_a_reader_that_leaves_did_not_wait_for_the_provider(
    session: Session, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 1000.0
    for module in ("chat", "scope", "turn"):
        monkeypatch.setattr(f"langswarm_sessions_otel.scopes.{module}.perf_counter", lambda: moment)
    stream = session.send_message_stream("one two three")
    await anext(stream)
    moment += 60.0
    await stream.aclose()
    [point] = recorded.points(CALL_DURATION)
    assert point.sum == 0  # type: ignore[union-attr]
