"""Whatever raises where telemetry calls out, to OpenTelemetry or to what others have loaded: the turn answers."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import baggage, metrics, trace
from opentelemetry import context as context_api
from opentelemetry.metrics import Counter, Histogram, UpDownCounter
from opentelemetry.sdk._logs import Logger
from opentelemetry.sdk.trace import Span, Tracer

from langswarm_sessions import RetryPolicy, SessionManager, SessionMessage
from langswarm_sessions.errors import ProviderUnavailableError
from langswarm_sessions.interfaces.hooks import SessionLifecycleHook
from langswarm_sessions.messages import ToolCall
from langswarm_sessions.storage import InMemorySessionStorage
from langswarm_sessions.turns import captured
from langswarm_sessions_otel import Telemetry
from langswarm_sessions_otel.beside import recorded_elsewhere
from langswarm_sessions_otel.process.later import LATER
from langswarm_sessions_otel.providers import SPANS, Source, _warn_once
from tests.support.recorded import Recorded

_OUTWARD: list[tuple[Any, tuple[str, ...]]] = [
    (context_api, ("get_current", "attach", "detach", "set_value")),
    (trace, ("get_current_span", "set_span_in_context", "get_tracer_provider")),
    (metrics, ("get_meter_provider",)),
    (baggage, ("set_baggage",)),
    (Tracer, ("start_span",)),
    (
        Span,
        (
            "set_attributes",
            "set_attribute",
            "add_link",
            "add_event",
            "set_status",
            "is_recording",
            "get_span_context",
            "end",
        ),
    ),
    (Logger, ("emit",)),
    *((kind, ("record",)) for kind in Histogram.__subclasses__()),
    *((kind, ("add",)) for kind in (*Counter.__subclasses__(), *UpDownCounter.__subclasses__())),
]


class OutwardError(Exception):
    """Raised where telemetry calls out."""


class Faults:
    """Has every call that telemetry makes to OpenTelemetry fail, each place in the code once, or always."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.failed: set[str] = set()
        self.is_on = False
        self.always = False
        for owner, names in _OUTWARD:
            for name in names:
                if name in vars(owner):
                    patch.setattr(owner, name, self._failing(getattr(owner, name), name))

    def _failing(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            caller = sys._getframe(1)
            module = caller.f_globals.get("__name__", "")
            place = f"{module}:{caller.f_lineno} {name}"
            if name in ("record", "add"):  # all instruments are told in one place
                place += f" {args[0].name}"
            is_ours = module.startswith("langswarm_sessions_otel")
            if self.is_on and is_ours and (self.always or place not in self.failed):
                self.failed.add(place)
                raise OutwardError(place)
            return function(*args, **kwargs)

        return call


class _Hook(SessionLifecycleHook):
    async def on_message_sent(self, session_id: str, message: SessionMessage) -> None:
        """Hear of it."""


async def _everything(telemetry: Telemetry) -> list[str]:
    """Let happen what telemetry hears of, and return what was answered."""
    retry = RetryPolicy(max_attempts=2, initial_delay=0, jitter=0)
    storage = InMemorySessionStorage()
    async with SessionManager(
        storage, telemetry=telemetry, hooks=[_Hook()], retry=retry, strategy="hybrid", fallback=None
    ) as manager:
        session = await manager.create_session("user", "mock", "mock-model", session_id="s")
        mock = session.provider_session
        mock.set_responses([[ToolCall(id="1", name="clock")], "noon", "streamed", "again", "rebuilt", "later"])

        def clock() -> str:
            """Tell the time."""
            return "12:00"

        said = [(await session.send_message("when?", tools=[clock], run_tools=True)).content]
        said.append("".join([chunk async for chunk in session.send_message_stream("and?")]))
        mock.fail_next("unavailable")
        said.append((await session.send_message("retried?")).content)
        mock.fail_next("lost")
        said.append((await session.send_message("lost?")).content)
        await session.add_message("user", "by the way")
        await session.archive()
        await session.restore()
        await session.handoff("mock", "other-model")
        session.provider_session.set_responses(["later"])
        said.append((await session.send_message("who?")).content)
        session.provider_session.fail_next("unavailable", times=2)
        with pytest.raises(ProviderUnavailableError):
            await session.send_message("down?")
        async with session.hold_turn():
            pass
        await session.clear_messages()
        await manager.run_cleanup()
        await session.delete()
        assert await manager.cleanup_deleted_sessions(0) == 1
    LATER.do_all()
    return said


@pytest.fixture
def telemetry(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Telemetry]:
    monkeypatch.setenv("LANGSWARM_SESSIONS_BAGGAGE", "on")
    return lambda: recorded.telemetry(capture_content="SPAN_AND_EVENT", session_events=True)


async def test_each_outward_call_may_fail(
    telemetry: Callable[[], Telemetry], recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults(monkeypatch)
    answers = await _everything(telemetry())
    assert len(answers) == 5
    assert "noon" in answers

    with recorded.tracer_provider.get_tracer("caller").start_as_current_span("caller"):
        while True:  # what is called after a failure is reached once that has been
            before, faults.is_on = set(faults.failed), True
            assert await _everything(telemetry()) == answers, sorted(faults.failed - before)
            faults.is_on = False
            if faults.failed == before:
                break
    assert len(faults.failed) > 40
    called = {place.split()[1] for place in faults.failed}
    assert called >= {"start_span", "end", "record", "add", "emit", "attach"}
    assert recorded.points("langswarm.telemetry.errors")


async def test_every_outward_call_may_fail(telemetry: Callable[[], Telemetry], monkeypatch: pytest.MonkeyPatch) -> None:
    faults = Faults(monkeypatch)
    answers = await _everything(telemetry())
    faults.is_on = faults.always = True
    assert await _everything(telemetry()) == answers


class _Lazy(ModuleType):
    def __getattr__(self, name: str) -> Any:
        raise ImportError(f"{name} needs what is not installed")


@pytest.mark.parametrize(
    "foreign",
    [
        "openinference.instrumentation",
        "opentelemetry.semconv_ai",
        "opentelemetry.util.genai.invocation",
        "opentelemetry.util.genai._conversation_context",
    ],
)
async def test_a_module_of_others_that_fails_to_say_what_it_has(
    telemetry: Callable[[], Telemetry], recorded: Recorded, monkeypatch: pytest.MonkeyPatch, foreign: str
) -> None:
    monkeypatch.setitem(sys.modules, foreign, _Lazy(foreign))
    async with SessionManager("memory", telemetry=telemetry()) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        provider: Any = session.provider_session.__class__

        def sdk_calls(_: object) -> tuple[str, ...]:
            return (f"{foreign}:Client.create",)

        monkeypatch.setattr(provider, "sdk_calls", sdk_calls)
        assert (await session.send_message("hi")).content
    chat, turn = recorded.span("chat mock-model"), recorded.span("invoke_agent session")
    assert chat.parent is not None
    assert turn.context is not None
    assert chat.parent.span_id == turn.context.span_id
    assert not recorded.points("langswarm.telemetry.errors")


def test_a_wrapper_of_itself_is_left_at_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sdk = ModuleType("some_sdk")

    def create() -> None:
        """Call the model."""

    create.__wrapped__ = create  # type: ignore[attr-defined]
    sdk.create = create  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "some_sdk", sdk)
    monkeypatch.setitem(sys.modules, "openinference.instrumentation", ModuleType("openinference.instrumentation"))
    assert recorded_elsewhere(context_api.get_current(), ["some_sdk:create"]) is None


async def test_what_cannot_be_told_costs_its_content_alone(
    telemetry: Callable[[], Telemetry], recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _fail(_: object) -> Any:
        raise OutwardError("canary")

    monkeypatch.setattr(captured, "_part", _fail)
    async with SessionManager("memory", telemetry=telemetry()) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        assert (await session.send_message("hi")).content
    assert "input.value" not in (recorded.span("invoke_agent session").attributes or {})
    [point] = recorded.points("langswarm.telemetry.errors")
    assert dict(point.attributes or {}) == {"stage": "content"}


def test_a_variable_that_is_not_set_is_not_blamed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> trace.TracerProvider:
        raise LookupError

    monkeypatch.delenv(SPANS.variable, raising=False)
    _warn_once.cache_clear()
    source = Source(replace(SPANS, find=fail))
    tracer = source.make(lambda provider: provider.get_tracer("any"), instead=trace.NoOpTracer)
    assert isinstance(tracer, trace.NoOpTracer)
    assert caplog.messages == ["no spans are recorded: the provider of the process cannot be used (LookupError)."]
