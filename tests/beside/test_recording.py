"""Who records a call of a model: we, unless somebody does who cannot be told to keep silent."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest
from opentelemetry import context as context_api
from opentelemetry.context import Context

from langswarm_sessions_otel import beside, recorded_around
from langswarm_sessions_otel.scopes.turn import TurnScope
from tests.support.recorded import Recorded

Wrap = Callable[[str, str], str]

TOKENS = "gen_ai.client.token.usage"
OPENINFERENCE = "openinference.instrumentation.sdk._request"
TRACELOOP = "opentelemetry.instrumentation.openai.utils"


def turn_of(recorded: Recorded) -> TurnScope:
    return recorded.telemetry().turn(
        session_id="s",
        agent_name="session",
        operation="send",
        mode="client",
        provider="openai",
        model="m",
        stream=False,
    )


def ask(recorded: Recorded, *sdk_calls: str, aside: bool = False) -> Context:
    """Ask a model in a turn and return the context that the SDK is called in."""
    with (
        turn_of(recorded) as turn,
        turn.chat(provider="openai", model="m", stream=False, sdk_calls=sdk_calls, aside=aside) as chat,
    ):
        within = context_api.get_current()
        chat.finished(input_tokens=5, output_tokens=2)
    return within


def names(recorded: Recorded) -> list[str]:
    return [span.name for span in recorded.spans]


def test_alone_nothing_is_put_into_the_context(wrap: Wrap) -> None:
    """Whoever instruments nothing pays for nothing: no context is made, and no package is loaded."""
    before = Context({"mine": 1})
    assert beside.name_conversation(before, "s") is before
    assert beside.silencing(before, beside.Silenced.WHO_LISTENS) is before
    assert beside.taken_around(before) == (None, before)
    assert beside.recorded_elsewhere(before, [wrap("sdk", OPENINFERENCE)]) is None


@pytest.mark.usefixtures("openinference", "official", "traceloop")
def test_others_are_told_the_conversation() -> None:
    given = Context({"association_properties": {"user": "ada"}, "mine": 1})
    named = beside.name_conversation(given, "s")
    assert dict(named) == {
        "mine": 1,
        "session.id": "s",
        "official-conversation": "s",
        "conversation_id": "s",
        "association_properties": {"user": "ada", "session_id": "s"},
    }


@pytest.mark.usefixtures("official", "traceloop")
def test_who_can_be_silenced_is(recorded: Recorded) -> None:
    within = ask(recorded)
    assert names(recorded) == ["chat m", "invoke_agent session"]
    assert within["traceloop-switch"] is True
    assert within["official-inference"].upload_completion is True  # type: ignore[attr-defined]
    assert len(recorded.points(TOKENS)) == 2


@pytest.mark.usefixtures("openinference", "official", "traceloop")
def test_who_cannot_be_silenced_has_the_span_and_we_the_metrics(recorded: Recorded, wrap: Wrap) -> None:
    within = ask(recorded, "not.loaded:Messages.create", wrap("sdk", OPENINFERENCE))
    assert names(recorded) == ["invoke_agent session"]
    assert within["traceloop-switch"] is True, "a third one keeps silent"
    assert [point.attributes["gen_ai.token.type"] for point in recorded.points(TOKENS) if point.attributes] == [
        "input",
        "output",
    ]


@pytest.mark.usefixtures("traceloop")
def test_who_does_not_obey_the_switch_is_not_switched(recorded: Recorded, wrap: Wrap) -> None:
    within = ask(recorded, wrap("openai.resources.responses", TRACELOOP))
    assert names(recorded) == ["invoke_agent session"]
    assert "traceloop-switch" not in within
    within = ask(recorded, wrap("openai.resources.chat.completions", TRACELOOP))
    assert names(recorded)[1:] == ["chat m", "invoke_agent session"]
    assert within["traceloop-switch"] is True


@pytest.mark.usefixtures("openinference")
def test_another_wrapper_changes_nothing(recorded: Recorded, wrap: Wrap) -> None:
    ask(recorded, wrap("sdk", "my.own.retries"))
    assert names(recorded) == ["chat m", "invoke_agent session"]


@pytest.mark.parametrize("metrics", [True, False])
def test_a_turn_within_a_recorded_call_adds_none(recorded: Recorded, metrics: bool) -> None:
    token = context_api.attach(recorded_around(context_api.get_current(), metrics=metrics))
    try:
        within = ask(recorded)
        assert names(recorded) == ["invoke_agent session"]
        assert len(recorded.points(TOKENS)) == (0 if metrics else 2)
        ask(recorded, aside=True)
        assert names(recorded)[1:] == ["chat m", "invoke_agent session"], "a summary is another call"
    finally:
        context_api.detach(token)
    assert beside.taken_around(within)[0] is None, "what a tool asks of another session is another call"


@pytest.mark.usefixtures("openinference")
def test_within_a_recorded_call_everybody_is_silenced_who_knows_no_other_word(recorded: Recorded, wrap: Wrap) -> None:
    token = context_api.attach(recorded_around(context_api.get_current(), metrics=False))
    try:
        within = ask(recorded, wrap("sdk", OPENINFERENCE))
    finally:
        context_api.detach(token)
    assert names(recorded) == ["invoke_agent session"]
    assert [value for key, value in within.items() if key.startswith("suppress_instrumentation")] == [True]


@pytest.mark.usefixtures("official")
def test_a_turn_within_an_official_call_adds_none(recorded: Recorded) -> None:
    data: type = sys.modules["opentelemetry.util.genai.invocation"].InferenceData

    token = context_api.attach(context_api.set_value("official-inference", data()))
    try:
        within = ask(recorded)
    finally:
        context_api.detach(token)
    assert names(recorded) == ["invoke_agent session"]
    assert within["official-inference"].upload_completion is False  # type: ignore[attr-defined]
    assert recorded.points(TOKENS) == []


@pytest.mark.parametrize(
    ("provider", "module", "is_silenced"),
    [
        ("gemini", "google_genai", True),
        ("mistral", "mistralai", True),
        ("openai", "mistralai", False),
        ("gemini", "mistralai", False),
        ("gemini", "", False),
    ],
)
def test_who_would_change_the_stream_of_an_sdk_is_kept_out_of_the_call(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, provider: str, module: str, is_silenced: bool
) -> None:
    if module:
        monkeypatch.setitem(sys.modules, f"openinference.instrumentation.{module}", ModuleType(module))
    with turn_of(recorded) as turn, turn.chat(provider=provider, model="m", stream=True):
        within = context_api.get_current()
    assert bool(within.get(context_api._SUPPRESS_INSTRUMENTATION_KEY)) == is_silenced
    assert names(recorded) == ["chat m", "invoke_agent session"]
