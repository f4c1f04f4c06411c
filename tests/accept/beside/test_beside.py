"""Beside the instrumentations of others: one trace, right parents, tokens counted once, the ids on their spans."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.accept.beside.families import FAMILIES, HTTP
from tests.accept.beside.shapes import SESSION, SHAPES
from tests.accept.beside.telling import OURS, Told, run_program

pytestmark = pytest.mark.accept

ALONE = [shape for shape in SHAPES if shape.startswith(("responses", "chat", "anthropic")) and "model" not in shape]
WRAPPED = [shape for shape in SHAPES if shape.startswith("wrapping") or shape in {"agent", "agent-astream"}]
"""Shapes in which LangChain's own model is asked, and not we."""
IDS = {"gen_ai.conversation.id": SESSION, "session.id": SESSION}
UNMEASURED = {"openinference"}
"""Families that record no metrics: of what others ask they have none, of what we ask there are ours."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What somebody has installed."""

    family: str
    packages: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.family}-{'+'.join(self.packages)}"

    @property
    def instrumentors(self) -> list[str]:
        return [FAMILIES[self.family][package] for package in self.packages] + [HTTP]

    @property
    def shapes(self) -> list[str]:
        if "langchain" not in self.packages:
            return [shape for shape in SHAPES if shape not in WRAPPED]
        if self.family == "openinference" and len(self.packages) > 1:
            # With both of its instrumentations at work, it tells of every call of LangChain's models twice by itself.
            return [shape for shape in SHAPES if shape not in WRAPPED]
        return list(SHAPES)


INSTALLED = [
    Installed(family, packages)
    for family in FAMILIES
    for packages in (("openai", "anthropic"), ("langchain",), ("langchain", "openai", "anthropic"))
]


# One program for each, whose tests all run where its telemetry is.
@pytest.fixture(
    scope="module",
    params=[pytest.param(each, id=str(each), marks=pytest.mark.xdist_group(str(each))) for each in INSTALLED],
)
def ran(request: pytest.FixtureRequest) -> tuple[Installed, list[Told], str]:
    """What a program told of all shapes, with one family installed."""
    told, logged = run_program(request.param.instrumentors, request.param.shapes)
    assert [each.shape for each in told] == request.param.shapes
    return request.param, told, logged


@pytest.fixture(scope="module")
def told(ran: tuple[Installed, list[Told], str]) -> list[Told]:
    return ran[1]


def test_every_span_ends_and_nothing_is_logged(ran: tuple[Installed, list[Told], str]) -> None:
    assert [each.open for each in ran[1]] == [[]] * len(ran[1])
    assert "Failed to detach" not in ran[2]
    assert "Traceback" not in ran[2]


def test_there_is_one_trace(told: list[Told]) -> None:
    for each in told:
        for turn in each.turns:
            around = [span for span in each.foreign if span.trace == turn.trace]
            roots = {([span, *each.above(span)])[-1].id for span in [turn, *around]}
            assert len(roots) == 1, each.shape
        traces = {turn.trace for turn in each.turns}
        strays = [span.name for span in each.foreign if span.trace not in traces]
        assert set(strays) <= {"create_agent agent"}, each.shape


def test_the_parents_are_right(told: list[Told]) -> None:
    """A call of a model is part of a turn, or, where a session stands for a model, the turn is part of the call."""
    for each in told:
        for span in each.inferences:
            is_model = "SessionChatModel" in span.name or each.shape.startswith(("chat-model", "agent-of"))
            assert each.is_below_a_turn(span) or (is_model and each.is_around_a_turn(span)), (each.shape, span)
        for turn in each.turns:
            outer = {"chat_model" if "model" in each.shape else each.shape.partition("-")[0]}
            if outer & {"responses", "chat", "anthropic"}:
                assert turn.parent is None, each.shape


def test_a_turn_lies_below_the_run_it_is_taken_in(ran: tuple[Installed, list[Told], str]) -> None:
    if "langchain" not in ran[0].packages:
        return
    for each in ran[1]:
        if each.shape not in ALONE:
            assert all(turn.parent is not None for turn in each.turns), each.shape
            parents = [next(each.above(turn)) for turn in each.turns]
            assert all(parent.scope != OURS for parent in parents), each.shape


def test_tokens_are_counted_once(told: list[Told]) -> None:
    for each in told:
        if each.shape in WRAPPED and not each.inferences:
            continue  # nobody instruments LangChain's model
        assert len(each.inferences) == each.requests, (each.shape, each.inferences)
        assert sum(span.input_tokens or 0 for span in each.inferences) == each.tokens > 0, each.shape


def test_metrics_count_tokens_once(ran: tuple[Installed, list[Told], str]) -> None:
    for each in ran[1]:
        of_others = each.shape in WRAPPED and ran[0].family in UNMEASURED
        assert each.measured_tokens == (0 if of_others else each.tokens), each.shape
        calls = sum(point["count"] for point in each.points if point["name"] == "gen_ai.client.operation.duration")
        calls -= sum(  # of agents and workflows, not of models
            point["count"]
            for point in each.points
            if point["name"] == "gen_ai.client.operation.duration"
            and point["attributes"].get("gen_ai.operation.name") not in (None, "chat")
        )
        assert calls == (0 if of_others else each.requests), each.shape


def test_their_spans_say_the_conversation(told: list[Told]) -> None:
    for each in told:
        for span in each.foreign:
            if each.is_below_a_turn(span):
                assert span.attributes.items() >= IDS.items(), (each.shape, span)
        for span in each.inferences:
            assert IDS["session.id"] in (
                span.attributes.get("gen_ai.conversation.id"),
                span.attributes.get("session.id"),
            ), (each.shape, span)


def test_requests_keep_their_spans(ran: tuple[Installed, list[Told], str]) -> None:
    """What keeps an instrumentation of the SDK silent does not silence that of the HTTP client.

    But where a session stands for a chat model whose run is traced, and the SDK is instrumented by who knows no
    other word.
    """
    is_deaf = len(ran[0].packages) > 2 and ran[0].family != "official"
    for each in ran[1]:
        if is_deaf and each.shape.startswith(("chat-model", "agent-of")):
            continue
        over_http = [span for span in each.foreign if span.scope == "opentelemetry.instrumentation.httpx"]
        assert len(over_http) >= each.requests, each.shape
        assert all(map(each.is_below_a_turn, over_http)), each.shape
