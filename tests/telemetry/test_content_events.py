"""Events: calls of the model, what they failed with, and what became of a session; asked for, and to somebody."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry._logs import SeverityNumber

from langswarm_sessions import InvalidRequestError, SessionManager
from langswarm_sessions_otel import Telemetry, TurnScope, beside
from langswarm_sessions_otel.beside import RecordedElsewhere
from tests.support.recorded import Recorded

if TYPE_CHECKING:
    from tests.support.otlp import Receiver
    from tests.telemetry.conftest import RunPython

WholeTurn = Callable[..., str | None]
StartTurn = Callable[..., TurnScope]
DETAILS = "gen_ai.client.inference.operation.details"
EXCEPTION = "gen_ai.client.operation.exception"
CONTENT = {
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
}


def _call(telemetry: Telemetry, start_turn: StartTurn, work: Callable[[], object]) -> None:
    with start_turn(telemetry) as turn, turn.chat(provider="openai", model="gpt-5", stream=False):
        work()


def _raiser(error: type[BaseException]) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def _span_id(recorded: Recorded, name: str) -> tuple[int, int]:
    context = recorded.span(name).get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def test_the_details_of_a_call_are_those_of_its_span(
    recorded: Recorded, whole_turn: WholeTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "true")
    whole_turn(recorded.telemetry(capture_content="SPAN_ONLY"))
    [event] = recorded.events
    record = event.log_record
    assert (record.event_name, record.severity_number, record.body) == (DETAILS, SeverityNumber.DEBUG, None)
    assert (record.trace_id, record.span_id) == _span_id(recorded, "chat gpt-5")
    assert record.timestamp
    on_span = dict(recorded.span("chat gpt-5").attributes or {})
    assert set(on_span) & CONTENT
    assert dict(record.attributes or {}) == {name: value for name, value in on_span.items() if name not in CONTENT}


def test_content_is_structured_in_events(recorded: Recorded, start_turn: StartTurn) -> None:
    call = {"type": "tool_call", "id": "c", "name": "clock", "arguments": {"zone": "UTC", "deep": [{"a": None}]}}
    telemetry = recorded.telemetry(capture_content="EVENT_ONLY")
    with start_turn(telemetry) as turn, turn.chat(provider="openai", model="gpt-5", stream=False) as chat:
        chat.content(instructions="Be.", tool_definitions=[{"type": "function", "name": "clock"}])
        chat.content(output_messages=[{"role": "assistant", "parts": [call]}])
    [event] = recorded.events
    told = event.log_record.attributes or {}
    assert told["gen_ai.output.messages"] == (
        {
            "role": "assistant",
            "parts": ({**call, "arguments": {"zone": "UTC", "deep": ({"a": None},)}},),
        },
    )
    assert told["gen_ai.system_instructions"] == ({"type": "text", "content": "Be."},)
    assert told["gen_ai.tool.definitions"] == ({"type": "function", "name": "clock"},)
    assert not set(recorded.span("chat gpt-5").attributes or {}) & CONTENT


@pytest.mark.parametrize(("capture", "quoted"), [("NO_CONTENT", False), ("SPAN_ONLY", False), ("EVENT_ONLY", True)])
def test_a_failed_call_is_told_of(recorded: Recorded, start_turn: StartTurn, capture: Any, quoted: bool) -> None:
    telemetry = recorded.telemetry(capture_content=capture)
    with pytest.raises(json.JSONDecodeError):
        _call(telemetry, start_turn, lambda: json.loads("{secret"))
    [event] = recorded.events_named(EXCEPTION)
    record = event.log_record
    assert record.severity_number is SeverityNumber.WARN
    assert (record.trace_id, record.span_id) == _span_id(recorded, "chat gpt-5")
    told = dict(record.attributes or {})
    assert told["exception.type"] == "json.decoder.JSONDecodeError"
    assert told["error.type"] == "json.JSONDecodeError"
    assert (told["gen_ai.request.model"], told["gen_ai.conversation.id"]) == ("gpt-5", "session-1")
    assert ("exception.message" in told) is quoted
    assert ("exception.stacktrace" in told) is quoted


def test_an_error_in_an_event_says_that_it_was_cut(
    recorded: Recorded, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "300")
    telemetry = recorded.telemetry(capture_content="SPAN_AND_EVENT")

    def fail() -> None:
        raise ValueError("too long" * 100)

    with pytest.raises(ValueError, match="too long"):
        _call(telemetry, start_turn, fail)
    [event] = recorded.events_named(EXCEPTION)
    told = event.log_record.attributes or {}
    for name in ("exception.message", "exception.stacktrace"):
        assert len(str(told[name])) <= 300
        assert str(told[name]).endswith("characters cut]")
    [on_span] = recorded.span("chat gpt-5").events
    assert len(str((on_span.attributes or {})["exception.message"])) == 800


@pytest.mark.parametrize("error", [GeneratorExit, KeyboardInterrupt])
def test_a_call_that_was_broken_off_did_not_fail(
    recorded: Recorded, start_turn: StartTurn, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        _call(recorded.telemetry(), start_turn, _raiser(error))
    assert len(recorded.events_named(EXCEPTION)) == (error is KeyboardInterrupt)


def test_a_call_of_others_is_theirs_to_tell_of(recorded: Recorded, start_turn: StartTurn) -> None:
    telemetry = recorded.telemetry(capture_content="EVENT_ONLY")
    with start_turn(telemetry) as turn, suppress(ValueError), turn.foreign_chat() as chat:
        chat.content(instructions="x")
        raise ValueError("x")
    assert recorded.events == ()


def test_a_call_that_others_record_is_theirs_to_tell_of(
    recorded: Recorded, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def redact(kind: str, text: str) -> str:
        asked.append(kind)
        return text

    def others(*_: object, **__: object) -> RecordedElsewhere:
        return RecordedElsewhere(metrics=False)

    monkeypatch.setattr(beside, "recorded_elsewhere", others)
    telemetry = recorded.telemetry(capture_content="SPAN_AND_EVENT", redact=redact)
    chat_arguments: dict[str, Any] = {"provider": "openai", "model": "gpt-5", "stream": False}
    with start_turn(telemetry) as turn, suppress(ValueError), turn.chat(**chat_arguments) as chat:
        chat.content(instructions="x")
        raise ValueError("x")
    assert [span.name for span in recorded.spans] == ["invoke_agent session"]
    assert recorded.events == ()
    assert asked == []


async def test_transitions_are_told_of_when_asked_for(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    for switch, arguments in (("off", {}), ("on", {"session_events": False}), ("on", {})):
        monkeypatch.setenv("LANGSWARM_SESSIONS_EVENTS", switch)
        assert recorded.events == ()
        async with SessionManager("memory", telemetry=recorded.telemetry(**arguments)) as manager:
            session = await manager.create_session("user", "mock", "m", session_id="s")
            await session.clear_messages()
            await session.handoff("mock", "other")
            await session.archive()
            await session.archive()
            await session.restore()
            await session.delete()
    names = [event.log_record.event_name for event in recorded.events]
    assert names == [
        f"langswarm.session.{step}" for step in ("create", "clear", "handoff", "archive", "restore", "delete")
    ]
    by_name = {event.log_record.event_name: event.log_record for event in recorded.events}
    archived = dict(by_name["langswarm.session.archive"].attributes or {})
    assert archived["langswarm.session.id"] == "s"
    assert archived["langswarm.session.transition"] == "archive"
    assert dict(by_name["langswarm.session.handoff"].attributes or {})["langswarm.handoff.to.model"] == "other"
    assert all(record.severity_number is SeverityNumber.INFO for record in by_name.values())
    assert all(record.trace_id and record.span_id for record in by_name.values())


async def test_every_failed_attempt_is_told_of(recorded: Recorded) -> None:
    async with SessionManager("memory", telemetry=recorded.telemetry()) as manager:
        session = await manager.create_session("user", "mock", "m")
        session.provider_session.fail_next(InvalidRequestError("bad"))
        with pytest.raises(InvalidRequestError):
            await session.send_message("hi")
        await session.send_message("hi")
    assert len(recorded.events) == len(recorded.events_named(EXCEPTION)) == 1


def test_a_logger_that_fails_changes_nothing(recorded: Recorded, start_turn: StartTurn) -> None:
    telemetry = recorded.telemetry(capture_content="EVENT_ONLY")
    events = telemetry._recorder.events
    assert events is not None

    class Raises:
        def emit(self, **_: object) -> None:
            raise RuntimeError("secret")

    events._logger = Raises()  # type: ignore[assignment]
    with start_turn(telemetry) as turn, turn.chat(provider="openai", model="gpt-5", stream=False):
        pass
    assert recorded.span("chat gpt-5").end_time
    assert [(point.attributes or {})["stage"] for point in recorded.points("langswarm.telemetry.errors")] == ["event"]


def test_a_provider_of_loggers_alone_that_is_set_later_is_found(run_python: RunPython) -> None:
    printed = run_python("""
        from opentelemetry import _logs
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
        from langswarm_sessions_otel import Telemetry
        telemetry = Telemetry(capture_content="EVENT_ONLY")
        arguments = dict(session_id="s", agent_name="a", operation="send", mode="native", provider="mock",
                         model="m", stream=False)
        def call():
            with telemetry.turn(**arguments) as turn, turn.chat(provider="mock", model="m", stream=False) as chat:
                print(turn.captures_content, end=" ")
                chat.content(instructions="Be.")
        call()
        exporter, provider = InMemoryLogRecordExporter(), LoggerProvider()
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        _logs.set_logger_provider(provider)
        call()
        [event] = exporter.get_finished_logs()
        print(event.log_record.event_name, event.log_record.attributes["gen_ai.system_instructions"][0]["content"])
    """)
    assert printed == f"False True {DETAILS} Be.\n"


def test_configure_telemetry_exports_events(receiver: Receiver, run_python: RunPython) -> None:
    run_python(
        """
        import os
        from langswarm_sessions_otel import Telemetry, configure_telemetry
        configure_telemetry(endpoint=os.environ["RECEIVER"])
        telemetry = Telemetry(capture_content="SPAN_AND_EVENT", session_events=True)
        with telemetry.lifecycle("archive", session_id="s"):
            pass
        with telemetry.turn(session_id="s", agent_name="a", operation="send", mode="native", provider="mock",
                            model="m", stream=False) as turn:
            with turn.chat(provider="mock", model="m", stream=False) as chat:
                chat.content(instructions="Be.")
        """,
        RECEIVER=receiver.url,
    )
    [resource] = receiver.logs().resource_logs
    sent = {record.event_name: record for scope in resource.scope_logs for record in scope.log_records}
    assert set(sent) == {"langswarm.session.archive", DETAILS}
    told = {item.key: item.value for item in sent[DETAILS].attributes}
    [part] = told["gen_ai.system_instructions"].array_value.values
    assert {item.key: item.value.string_value for item in part.kvlist_value.values} == {
        "type": "text",
        "content": "Be.",
    }
    chats = [
        span
        for traces in receiver.traces().resource_spans
        for scope in traces.scope_spans
        for span in scope.spans
        if span.name == "chat m"
    ]
    assert [span.span_id for span in chats] == [sent[DETAILS].span_id]
    names = {item.key: item.value.string_value for item in resource.resource.attributes}
    assert names["service.name"] == "langswarm-sessions"


def test_no_events_are_exported_where_the_variable_says_so(receiver: Receiver, run_python: RunPython) -> None:
    run_python(
        """
        import os
        from opentelemetry import _logs
        from langswarm_sessions_otel import configure_telemetry
        configure_telemetry(endpoint=os.environ["RECEIVER"])
        assert type(_logs.get_logger_provider()).__name__ == "ProxyLoggerProvider"
        """,
        RECEIVER=receiver.url,
        OTEL_LOGS_EXPORTER="none",
    )
    assert "/v1/logs" not in {path for path, _, _ in receiver.requests}


def test_telemetry_that_is_off_tells_nothing(recorded: Recorded, start_turn: StartTurn) -> None:
    telemetry: Telemetry = recorded.telemetry(enabled=False, capture_content="SPAN_AND_EVENT", session_events=True)
    with start_turn(telemetry) as turn, turn.chat(provider="mock", model="m", stream=False) as chat:
        assert not turn.captures_content
        chat.content(instructions="Be.")
    with telemetry.lifecycle("archive", session_id="s"):
        pass
    assert recorded.events == ()
    assert recorded.spans == ()
