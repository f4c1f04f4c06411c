"""Content: nowhere by default; on spans, in events or in both when asked for; redacted, and no more than fits."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from langswarm_sessions_otel import Telemetry, TelemetryConfigurationError, TurnScope
from langswarm_sessions_otel.content.capture import ContentCapture
from langswarm_sessions_otel.settings import ContentArguments, read_settings, warn_once

if TYPE_CHECKING:
    from tests.support.recorded import Recorded

WholeTurn = Callable[..., str | None]
StartTurn = Callable[..., TurnScope]
CANARY = "canary-5f1c"
VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
EMIT = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
CONTENT = {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"}


def _fail(telemetry: Telemetry, start_turn: StartTurn) -> None:
    with start_turn(telemetry) as turn, turn.chat(provider="openai", model="gpt-5", stream=False):
        raise ValueError(CANARY)


def _everything(recorded: Recorded) -> str:
    told = [span.to_json() for span in recorded.spans] + [event.to_json() for event in recorded.events]
    return "\n".join([*told, repr(recorded.reader.get_metrics_data())])


# ---------------------------------------------------------------------- where


@pytest.mark.parametrize("value", ["", "NO_CONTENT", "true", "1", "SPAN"])
def test_content_is_nowhere_unless_asked_for(
    recorded: Recorded,
    whole_turn: WholeTurn,
    start_turn: StartTurn,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    value: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(VARIABLE, value)
    monkeypatch.setenv(EMIT, "true")
    telemetry = recorded.telemetry()
    with start_turn(telemetry) as turn:
        assert not turn.captures_content
        assert not turn.shows_content
    whole_turn(telemetry, text=CANARY)
    with pytest.raises(ValueError, match=CANARY):
        _fail(telemetry, start_turn)

    assert len(recorded.events_named("gen_ai.client.inference.operation.details")) == 2
    assert CANARY not in _everything(recorded) + caplog.text


@pytest.mark.parametrize(
    ("value", "on_span", "in_event"),
    [
        ("SPAN_ONLY", True, False),
        ("event_only", False, True),
        (" span_and_event ", True, True),
        ("NO_CONTENT", False, False),
    ],
)
def test_the_variable_says_where(
    recorded: Recorded,
    whole_turn: WholeTurn,
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    on_span: bool,
    in_event: bool,
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    whole_turn(recorded.telemetry(), text="grüß dich")

    turn = dict(recorded.span("invoke_agent session").attributes or {})
    chat = dict(recorded.span("chat gpt-5").attributes or {})
    assert (set(chat) & CONTENT == CONTENT) is on_span
    assert (turn.get("input.value") == turn.get("output.value") == "grüß dich") is on_span
    part = {"type": "text", "content": "grüß dich"}
    if on_span:
        assert turn["input.mime_type"] == turn["output.mime_type"] == "text/plain"
        assert json.loads(str(chat["gen_ai.system_instructions"])) == [part]
        assert json.loads(str(chat["gen_ai.input.messages"])) == [{"role": "user", "parts": [part]}]
        assert "grüß" in str(chat["gen_ai.output.messages"])
    events = recorded.events_named("gen_ai.client.inference.operation.details")
    assert len(events) == in_event
    for event in events:
        said = dict(event.log_record.attributes or {})
        assert said["gen_ai.input.messages"] == ({"role": "user", "parts": (part,)},)
        assert said["gen_ai.system_instructions"] == (part,)
    assert ("dich" in _everything(recorded)) is (on_span or in_event)


@pytest.mark.parametrize(
    ("argument", "variable", "found"),
    [
        (None, None, "NO_CONTENT"),
        (None, "EVENT_ONLY", "EVENT_ONLY"),
        ("SPAN_ONLY", "EVENT_ONLY", "SPAN_ONLY"),
        ("no_content", "SPAN_AND_EVENT", "NO_CONTENT"),
        ("SPAN_ONLY", "true", "SPAN_ONLY"),
    ],
)
def test_the_argument_beats_the_variable(argument: Any, variable: str | None, found: str) -> None:
    environ = {} if variable is None else {VARIABLE: variable}
    settings = read_settings(content=ContentArguments(capture=argument), environ=environ)
    assert settings.content.capture is ContentCapture(found)


def test_a_wrong_variable_is_warned_of_once_and_means_no_content(caplog: pytest.LogCaptureFixture) -> None:
    warn_once.cache_clear()
    for _ in range(3):
        settings = read_settings(environ={VARIABLE: "true", EMIT: "maybe", "LANGSWARM_SESSIONS_CONTENT_LIMIT": "-1"})
        assert settings.content.capture is ContentCapture.NO_CONTENT
        assert not settings.inference_events
        assert settings.content.span_limit == 32_768
    assert [record.getMessage() for record in caplog.records] == [
        "LANGSWARM_SESSIONS_CONTENT_LIMIT must be a number of characters, at least 256: it is 32768.",
        f"{VARIABLE} must be one of NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT: no content is recorded.",
        f"{EMIT} must be true or false: the events follow what is captured.",
    ]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"capture_content": "true"}, "capture_content"),
        ({"capture_content": True}, "capture_content"),
        ({"redact": "x"}, "redact"),
        ({"content_limit": 10}, "content_limit"),
        ({"content_limit": 300.5}, "content_limit"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(TelemetryConfigurationError, match=named):
        Telemetry(**arguments)


def test_an_asynchronous_redaction_is_refused() -> None:
    async def later(kind: str, text: str) -> str:
        return text

    with pytest.raises(TelemetryConfigurationError, match="plain function"):
        Telemetry(redact=later)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("capture", "emit", "told"),
    [
        ("NO_CONTENT", "", False),
        ("SPAN_ONLY", "", False),
        ("EVENT_ONLY", "", True),
        ("SPAN_AND_EVENT", "FALSE", False),
        ("NO_CONTENT", "True", True),
        ("SPAN_ONLY", "true", True),
    ],
)
def test_whether_calls_are_told_of_as_events(capture: str, emit: str, told: bool) -> None:
    assert read_settings(environ={VARIABLE: capture, EMIT: emit}).inference_events is told


# ---------------------------------------------------------------------- failures


def test_captured_failures_keep_their_text(
    recorded: Recorded, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "SPAN_ONLY")
    with pytest.raises(ValueError, match=CANARY):
        _fail(recorded.telemetry(), start_turn)

    chat = recorded.span("chat gpt-5")
    assert chat.status.description == f"ValueError: {CANARY}"
    [event] = chat.events
    told = dict(event.attributes or {})
    assert (event.name, told["exception.type"], told["exception.message"]) == ("exception", "ValueError", CANARY)
    assert "Traceback" in str(told["exception.stacktrace"])


class _Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError(CANARY)


def test_an_error_without_a_text_marks_the_span_all_the_same(recorded: Recorded, start_turn: StartTurn) -> None:
    telemetry = recorded.telemetry(capture_content="SPAN_AND_EVENT")
    chat_arguments: dict[str, Any] = {"provider": "openai", "model": "gpt-5", "stream": False}
    with start_turn(telemetry) as turn, suppress(_Unspeakable), turn.chat(**chat_arguments):
        raise _Unspeakable
    assert recorded.span("chat gpt-5").status.description == "_Unspeakable: [left out]"
    [event] = recorded.events_named("gen_ai.client.operation.exception")
    assert (event.log_record.attributes or {})["exception.message"] == "[left out]"
    assert CANARY not in _everything(recorded)
    stages = {str((point.attributes or {})["stage"]) for point in recorded.points("langswarm.telemetry.errors")}
    assert stages == {"content"}


def test_content_that_is_no_json_is_written_all_the_same(recorded: Recorded, start_turn: StartTurn) -> None:
    with start_turn(recorded.telemetry(capture_content="SPAN_ONLY")) as turn:
        assert turn.captures_content
        with turn.chat(provider="openai", model="gpt-5", stream=False) as chat:
            chat.content(input_messages=[{"role": "user", "parts": [{"type": "blob", "content": b"\x00"}]}])

    assert "gen_ai.input.messages" in (recorded.span("chat gpt-5").attributes or {})
    assert recorded.points("langswarm.telemetry.errors") == []


# ---------------------------------------------------------------------- redaction


def test_every_kind_of_content_is_redacted_wherever_it_goes(
    recorded: Recorded, whole_turn: WholeTurn, start_turn: StartTurn
) -> None:
    kinds: set[str] = set()

    def redact(kind: str, text: str) -> str:
        kinds.add(kind)
        return text.replace(CANARY, "***").replace("4111222233334444", "***")

    telemetry = recorded.telemetry(capture_content="SPAN_AND_EVENT", redact=redact)
    whole_turn(telemetry, text=CANARY)
    with pytest.raises(ValueError, match=CANARY):
        _fail(telemetry, start_turn)
    with start_turn(telemetry) as turn, turn.tool(name="pay", call_id="c1", description=f"Pays {CANARY}.") as tool:
        tool.content(arguments={"card": 4111222233334444, CANARY: [{"deep": CANARY}]}, result=CANARY)
    with start_turn(telemetry) as turn, turn.chat(provider="openai", model="gpt-5", stream=False) as chat:
        chat.content(tool_definitions=[{"type": "function", "name": "pay", "description": CANARY}])

    everything = _everything(recorded)
    assert CANARY not in everything
    assert "4111222233334444" not in everything
    paid = dict(recorded.span("execute_tool pay").attributes or {})
    assert json.loads(str(paid["gen_ai.tool.call.arguments"])) == {"card": "***", "***": [{"deep": "***"}]}
    assert paid["gen_ai.tool.call.result"] == "***"
    assert paid["gen_ai.tool.description"] == "Pays ***."
    assert kinds == {
        "instructions",
        "input",
        "output",
        "error",
        "tool_arguments",
        "tool_result",
        "tool_definitions",
    }


def _seven(kind: str, text: str) -> int:
    return 7


def _nothing(kind: str, text: str) -> None:
    return None


def _raises(kind: str, text: str) -> str:
    raise RuntimeError(text)


@pytest.mark.parametrize(
    ("redact", "errors"),
    [(_raises, True), (_seven, True), (_nothing, False)],
)
def test_what_a_redaction_does_not_return_is_left_out(
    recorded: Recorded,
    whole_turn: WholeTurn,
    start_turn: StartTurn,
    caplog: pytest.LogCaptureFixture,
    redact: Any,
    errors: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    telemetry = recorded.telemetry(capture_content="SPAN_AND_EVENT", redact=redact)
    whole_turn(telemetry, text=CANARY)
    with pytest.raises(ValueError, match=CANARY):
        _fail(telemetry, start_turn)

    turns = [span for span in recorded.spans if span.name.startswith("invoke_agent")]
    assert (turns[0].attributes or {})["input.value"] == "[left out]"
    assert CANARY not in _everything(recorded) + caplog.text
    stages = {str((point.attributes or {})["stage"]) for point in recorded.points("langswarm.telemetry.errors")}
    assert stages == ({"redact"} if errors else set())


# ---------------------------------------------------------------------- limits


def test_what_is_too_long_says_how_much_is_missing(recorded: Recorded, start_turn: StartTurn) -> None:
    text = "0123456789" * 100
    telemetry = recorded.telemetry(capture_content="SPAN_ONLY", content_limit=300)
    with start_turn(telemetry) as turn:
        turn.input_content(text)
        with turn.tool(name="pay", call_id="c1") as tool:
            tool.content(arguments={"note": text}, result=text)
        with turn.chat(provider="openai", model="gpt-5", stream=False) as chat:
            said = [{"role": "user", "parts": [{"type": "text", "content": f"{number} {text}"}]} for number in range(9)]
            chat.content(input_messages=said)

    shown = str((recorded.span("invoke_agent session").attributes or {})["input.value"])
    assert shown.startswith(text[:200])
    assert shown.endswith(f"…[{1000 - shown.index('…')} characters cut]")
    assert len(shown) <= 300
    paid = json.loads(str((recorded.span("execute_tool pay").attributes or {})["gen_ai.tool.call.arguments"]))
    assert paid["note"].startswith("0123456789")
    assert "characters cut]" in paid["note"]
    written = str((recorded.span("chat gpt-5").attributes or {})["gen_ai.input.messages"])
    assert len(written) <= 300
    first, *_, last = json.loads(written)
    assert first["parts"] == [{"type": "cut", "messages": 8}]
    assert last["parts"][0]["content"].startswith("8 0123")
    assert "characters cut]" in last["parts"][0]["content"]


@pytest.mark.parametrize(
    ("variables", "span_limit", "event_limit"),
    [
        ({}, 32_768, 32_768),
        ({"LANGSWARM_SESSIONS_CONTENT_LIMIT": "5000"}, 5_000, 5_000),
        ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1000"}, 1_000, 1_000),
        (
            {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1000", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "2000"},
            2_000,
            1_000,
        ),
        ({"OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": "700"}, 32_768, 700),
        ({"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "99999"}, 32_768, 32_768),
    ],
)
def test_limits_of_the_sdk_are_kept(variables: dict[str, str], span_limit: int, event_limit: int) -> None:
    content = read_settings(environ=variables).content
    assert (content.span_limit, content.event_limit) == (span_limit, event_limit)


def test_the_sdk_never_cuts_our_json(
    recorded: Recorded, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "200")
    limited = type(recorded)()  # its SDK reads the variable
    telemetry = limited.telemetry(capture_content="SPAN_ONLY")
    with start_turn(telemetry) as turn, turn.chat(provider="openai", model="gpt-5", stream=False) as chat:
        chat.content(input_messages=[{"role": "user", "parts": [{"type": "text", "content": "x" * 5000}]}])
    written = str((limited.span("chat gpt-5").attributes or {})["gen_ai.input.messages"])
    assert len(written) <= 200
    assert json.loads(written)[0]["parts"][0]["content"].endswith("characters cut]")


# ---------------------------------------------------------------------- cost


def test_nothing_is_built_where_nothing_is_recorded(start_turn: StartTurn, recorded: Recorded) -> None:
    asked: list[str] = []

    def redact(kind: str, text: str) -> str:
        asked.append(kind)
        return text

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    unsampled = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    with start_turn(Telemetry(tracer_provider=unsampled, capture_content="SPAN_ONLY", redact=redact)) as turn:
        assert not turn.captures_content
        turn.input_content("hello")
        with turn.chat(provider="openai", model="gpt-5", stream=False) as chat:
            chat.content(instructions="hello")
    silent = Telemetry(tracer_provider=recorded.tracer_provider, capture_content="EVENT_ONLY", redact=redact)
    with start_turn(silent) as turn:  # nobody takes events
        assert not turn.captures_content
        with turn.chat(provider="openai", model="gpt-5", stream=False) as chat:
            chat.content(instructions="hello")
    assert asked == []
