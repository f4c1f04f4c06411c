"""Metrics: values, attributes, both generations of the client metrics, and never an id."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint

from langswarm_sessions_otel import Telemetry, TurnScope, semconv

if TYPE_CHECKING:
    from tests.support.recorded import Recorded

WholeTurn = Callable[..., str | None]


def _summary(recorded: Recorded, metric: str) -> list[tuple[float, dict[str, object]]]:
    """Sums or values with their attributes; durations are told by their count."""
    told: list[tuple[float, dict[str, object]]] = []
    for point in recorded.points(metric):
        attributes: dict[str, object] = dict(point.attributes or {})
        if isinstance(point, NumberDataPoint):
            told.append((point.value, attributes))
        else:
            is_duration = any(word in metric for word in ("duration", "time_to", "time_per"))
            told.append((point.count if is_duration else point.sum, attributes))
    return told


CLIENT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.response.model": "gpt-5-2026",
    "server.address": "127.0.0.1",
    "server.port": 8080,
}
ASKED = {name: value for name, value in CLIENT.items() if name != "gen_ai.response.model"}
AGENT = {"gen_ai.agent.name": "session", "gen_ai.request.model": "gpt-5"}
HOOK = {"langswarm.hook.name": "Audit.on_message_sent", "langswarm.hook.point": "on_message_sent"}
TURN = {
    "langswarm.session.mode": "native",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5",
}
REBUILD = {"langswarm.rebuild.reason": "not_found", "gen_ai.provider.name": "openai"}
STORAGE = {"langswarm.storage.backend": "sqlite"}


def test_the_metrics_of_a_turn(recorded: Recorded, telemetry: Telemetry, whole_turn: WholeTurn) -> None:
    whole_turn(telemetry)

    assert {name: _summary(recorded, name) for name in recorded.all_points()} == {
        "langswarm.session.turn.duration": [(1, {**TURN, "gen_ai.request.stream": True})],
        "langswarm.session.turn.oldest_age": [(0, {})],
        "langswarm.session.rate_limit.wait": [(1.5, {"gen_ai.provider.name": "openai"})],
        "langswarm.session.circuit.refusals": [(1, {"gen_ai.provider.name": "openai"})],
        "langswarm.session.lease.wait": [
            (0.5, {"gen_ai.provider.name": "openai", "langswarm.lease.held_by": "another_manager"})
        ],
        "langswarm.session.lease.takeovers": [(1, {"gen_ai.provider.name": "openai"})],
        "langswarm.session.lease.lost": [(1, {"gen_ai.provider.name": "openai"})],
        "langswarm.session.turn.time_to_first_chunk": [(1, TURN)],
        "langswarm.session.history.messages_avoided": [(3, {"gen_ai.provider.name": "openai"})],
        "langswarm.session.history.bytes_avoided": [(300, {"gen_ai.provider.name": "openai"})],
        "langswarm.session.rebuilds": [
            (1, {"langswarm.rebuild.reason": "not_found", "gen_ai.provider.name": "openai"})
        ],
        "langswarm.session.rebuild.tokens": [
            (40, {"langswarm.rebuild.reason": "not_found", "gen_ai.provider.name": "openai"})
        ],
        "langswarm.storage.operation.duration": [
            (1, {**STORAGE, "langswarm.storage.operation": "load"}),
            (1, {**STORAGE, "langswarm.storage.operation": "append"}),
        ],
        "gen_ai.client.operation.duration": [(1, CLIENT)],
        "gen_ai.client.operation.time_to_first_chunk": [(1, CLIENT)],
        "gen_ai.client.operation.time_per_output_chunk": [(1, ASKED)],
        "gen_ai.invoke_agent.duration": [(1, AGENT)],
        "langswarm.hook.duration": [(1, HOOK)],
        "gen_ai.client.token.usage": [
            (12, {**CLIENT, "gen_ai.token.type": "input"}),
            (5, {**CLIENT, "gen_ai.token.type": "output"}),
        ],
    }


def test_the_newest_generation_of_client_metrics(
    recorded: Recorded, whole_turn: WholeTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http, gen_ai_latest_experimental")
    whole_turn(recorded.telemetry())

    counted = {**CLIENT, "gen_ai.token.modality": "unknown"}
    assert {name: _summary(recorded, name) for name in recorded.all_points() if name.startswith("gen_ai.")} == {
        "gen_ai.client.inference.duration": [(1, CLIENT)],
        "gen_ai.client.inference.time_to_first_chunk": [(1, CLIENT)],
        "gen_ai.client.inference.time_per_output_chunk": [(1, ASKED)],
        "gen_ai.invoke_agent.duration": [(1, AGENT)],
        "gen_ai.client.inference.usage.input_tokens": [(12, counted)],
        "gen_ai.client.inference.usage.output_tokens": [(5, counted)],
        "gen_ai.client.inference.usage.cache_read.input_tokens": [(4, counted)],
        "gen_ai.client.inference.usage.cache_write.input_tokens": [(3, counted)],
        "gen_ai.client.inference.usage.reasoning.output_tokens": [(2, counted)],
        "gen_ai.client.inference.operation.input_tokens": [(12, CLIENT)],
        "gen_ai.client.inference.operation.output_tokens": [(5, CLIENT)],
    }


@pytest.mark.parametrize(
    ("opt_in", "name"),
    [
        ("", "gen_ai.usage.cache_creation.input_tokens"),
        ("gen_ai_latest_experimental", "gen_ai.usage.cache_write.input_tokens"),
    ],
)
def test_tokens_written_to_a_cache_are_called_as_the_generation_does(
    recorded: Recorded, whole_turn: WholeTurn, monkeypatch: pytest.MonkeyPatch, opt_in: str, name: str
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", opt_in)
    whole_turn(recorded.telemetry())
    told = dict(recorded.span("chat gpt-5").attributes or {})
    assert {key: value for key, value in told.items() if "cache_" in key} == {
        "gen_ai.usage.cache_read.input_tokens": 4,
        name: 3,
    }


def test_failed_calls_count_tokens_but_do_not_spread_them(
    recorded: Recorded, start_turn: Callable[..., TurnScope], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    telemetry = recorded.telemetry()
    with start_turn(telemetry) as turn, turn.chat(provider="openai", model="gpt-5", stream=False) as chat:
        chat.finished(input_tokens=12)
        chat.failed(ValueError())

    assert len(recorded.points("gen_ai.client.inference.usage.input_tokens")) == 1
    assert recorded.points("gen_ai.client.inference.operation.input_tokens") == []


def test_histograms_have_the_buckets_of_the_table(
    recorded: Recorded, telemetry: Telemetry, whole_turn: WholeTurn
) -> None:
    whole_turn(telemetry)

    bounds = {
        name: tuple(point.explicit_bounds)
        for name, points in recorded.all_points().items()
        for point in points
        if isinstance(point, HistogramDataPoint)
    }
    assert bounds == {name: semconv.BUCKETS[name] for name in bounds}
    assert bounds["gen_ai.client.operation.duration"][0::13] == (0.01, 81.92)
    assert bounds["langswarm.session.turn.duration"][0::12] == (0.1, 409.6)
    assert bounds["gen_ai.client.token.usage"][-1] == 67108864


def test_durations_point_to_their_trace(recorded: Recorded, telemetry: Telemetry, whole_turn: WholeTurn) -> None:
    whole_turn(telemetry)

    root = recorded.span("invoke_agent session").context
    [point] = recorded.points("langswarm.session.turn.duration")
    assert root is not None
    assert [exemplar.span_id for exemplar in point.exemplars] == [root.span_id]


def test_no_id_is_a_metric_attribute_and_sessions_make_no_series(
    recorded: Recorded, telemetry: Telemetry, whole_turn: WholeTurn
) -> None:
    for number in range(50):
        whole_turn(telemetry, session_id=f"id-{number}")
        with telemetry.lifecycle("create", session_id=f"id-{number}", mode="hybrid", provider="openai"):
            telemetry.session_opened("hybrid")

    points = [point for points in recorded.all_points().values() for point in points]
    values = {str(value) for point in points for value in (point.attributes or {}).values()}
    assert not [value for value in values if value.startswith(("id-", "resp_", "session-"))]
    assert len(points) < 32


def test_transitions_and_open_sessions(recorded: Recorded, telemetry: Telemetry) -> None:
    with telemetry.lifecycle("create", session_id="s", mode="native", provider="openai"):
        telemetry.session_opened("native")
        telemetry.session_opened("native")
    telemetry.session_closed("native")

    mode = {"langswarm.session.mode": "native"}
    assert _summary(recorded, "langswarm.session.transitions") == [
        (1, {**mode, "langswarm.session.transition": "create"})
    ]
    assert _summary(recorded, "langswarm.session.open") == [(1, mode)]


def test_what_was_not_told_is_not_recorded(
    recorded: Recorded, telemetry: Telemetry, start_turn: Callable[..., TurnScope]
) -> None:
    with start_turn(telemetry) as turn:
        with turn.chat(provider="openai", model="gpt-5", stream=False) as chat:
            chat.finished()
        turn.finished(messages_avoided=0, bytes_avoided=None)

    assert set(recorded.all_points()) == {
        "langswarm.session.turn.duration",
        "langswarm.session.turn.oldest_age",
        "gen_ai.invoke_agent.duration",
        "gen_ai.client.operation.duration",
    }


def test_a_turn_counts_its_calls_of_the_model_and_its_tools(
    recorded: Recorded, telemetry: Telemetry, start_turn: Callable[..., TurnScope]
) -> None:
    with start_turn(telemetry) as turn:
        for _ in range(3):
            with turn.chat(provider="openai", model="gpt-5", stream=False):
                pass
        with turn.tool(name="clock", call_id="call_1"), turn.tool(name=None, call_id="call_2") as unknown:
            unknown.finished(error_type="UnknownTool")
    assert _summary(recorded, "gen_ai.invoke_agent.inference_calls") == [(3, AGENT)]
    assert _summary(recorded, "gen_ai.invoke_agent.tool_calls") == [(2, AGENT)]
    tool = {"gen_ai.tool.type": "function", "gen_ai.agent.name": "session"}
    assert _summary(recorded, "gen_ai.execute_tool.duration") == [
        (1, {**tool, "gen_ai.tool.name": "_OTHER", "error.type": "UnknownTool"}),
        (1, {**tool, "gen_ai.tool.name": "clock"}),
    ]


def test_what_others_call_is_not_guessed(
    recorded: Recorded, telemetry: Telemetry, start_turn: Callable[..., TurnScope]
) -> None:
    with start_turn(telemetry) as turn, turn.foreign_chat() as chat:
        chat.chunk()
    names = {name for name in recorded.all_points() if name.startswith("gen_ai.")}
    assert names == {"gen_ai.invoke_agent.duration"}


def test_a_job_and_what_it_destroyed(recorded: Recorded, telemetry: Telemetry) -> None:
    with telemetry.job("purge") as job:
        job.done(sessions=3)
        job.purged(3)
    assert _summary(recorded, "langswarm.job.duration") == [(1, {"langswarm.job.name": "purge"})]
    assert _summary(recorded, "langswarm.session.transitions") == [(3, {"langswarm.session.transition": "purge"})]
    assert dict(recorded.span("langswarm.session.purge").attributes or {}) == {
        "langswarm.job.name": "purge",
        "langswarm.job.sessions": 3,
    }
