"""Content: nowhere by default, on spans as JSON text when asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from langswarm_sessions_otel import Telemetry, TurnScope

if TYPE_CHECKING:
    from tests.support.recorded import Recorded

WholeTurn = Callable[..., str | None]
CANARY = "canary-5f1c"
VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


def _fail(telemetry: Telemetry, start_turn: Callable[..., TurnScope]) -> None:
    with start_turn(telemetry) as turn, turn.chat(provider="openai", model="gpt-5", stream=False):
        raise ValueError(CANARY)


@pytest.mark.parametrize("value", ["", "NO_CONTENT", "EVENT_ONLY", "true"])
def test_content_is_nowhere_unless_asked_for(
    recorded: Recorded,
    whole_turn: WholeTurn,
    start_turn: Callable[..., TurnScope],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    value: str,
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    telemetry = recorded.telemetry()
    with start_turn(telemetry) as turn:
        assert not turn.captures_content
    whole_turn(telemetry, text=CANARY)
    with pytest.raises(ValueError, match=CANARY):
        _fail(telemetry, start_turn)

    everything = [span.to_json() for span in recorded.spans]
    everything += [repr(recorded.reader.get_metrics_data()), caplog.text]
    assert len(recorded.spans) == 9
    assert not [text for text in everything if CANARY in text]


@pytest.mark.parametrize("value", ["SPAN_ONLY", "span_and_event"])
def test_captured_content_is_json_text_on_spans(
    recorded: Recorded, whole_turn: WholeTurn, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    whole_turn(recorded.telemetry(), text="grüß dich")

    turn = recorded.span("invoke_agent session").attributes or {}
    assert turn["input.value"] == turn["output.value"] == "grüß dich"
    assert turn["input.mime_type"] == turn["output.mime_type"] == "text/plain"
    chat = recorded.span("chat gpt-5").attributes or {}
    part = {"type": "text", "content": "grüß dich"}
    assert json.loads(str(chat["gen_ai.system_instructions"])) == [part]
    assert json.loads(str(chat["gen_ai.input.messages"])) == [{"role": "user", "parts": [part]}]
    assert json.loads(str(chat["gen_ai.output.messages"])) == [{"role": "assistant", "parts": [part]}]
    assert "grüß" in str(chat["gen_ai.input.messages"])


def test_captured_failures_keep_their_text(
    recorded: Recorded, start_turn: Callable[..., TurnScope], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "SPAN_ONLY")
    with pytest.raises(ValueError, match=CANARY):
        _fail(recorded.telemetry(), start_turn)

    chat = recorded.span("chat gpt-5")
    assert chat.status.description == f"ValueError: {CANARY}"
    assert [event.name for event in chat.events] == ["exception"]


def test_content_that_is_no_json_is_written_all_the_same(
    recorded: Recorded, start_turn: Callable[..., TurnScope], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "SPAN_ONLY")
    with start_turn(recorded.telemetry()) as turn:
        assert turn.captures_content
        with turn.chat(provider="openai", model="gpt-5", stream=False) as chat:
            chat.content(input_messages=[{"role": "user", "parts": [{"type": "blob", "content": b"\x00"}]}])

    assert "gen_ai.input.messages" in (recorded.span("chat gpt-5").attributes or {})
    assert recorded.points("langswarm.telemetry.errors") == []
