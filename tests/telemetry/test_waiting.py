"""A span that waited to be sent goes over the wire as it would have gone at once, and is nothing to look through."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from langswarm_sessions_otel.sdk import waiting as waiting_module
from langswarm_sessions_otel.sdk.waiting import WaitingSpans

NAMES = st.text("abcdef.", min_size=1, max_size=8)
PLAIN = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=30)
ATTRIBUTES = st.dictionaries(NAMES, PLAIN | st.lists(st.text(max_size=5), max_size=3), max_size=8)
MOMENTS = st.integers(1, 2**62)
STATES = st.dictionaries(st.text("abc", min_size=1, max_size=4), st.text("xyz", min_size=1, max_size=4), max_size=2)


FLAGS = st.sampled_from([TraceFlags.DEFAULT, TraceFlags.SAMPLED])


@st.composite
def places(draw: st.DrawFn, flags: st.SearchStrategy[int] = FLAGS) -> SpanContext:
    trace, span = draw(st.integers(1, 2**128 - 1)), draw(st.integers(1, 2**64 - 1))
    state = TraceState([*draw(STATES).items()])
    return SpanContext(trace, span, draw(st.booleans()), TraceFlags(draw(flags)), state)


@st.composite
def statuses(draw: st.DrawFn) -> Status:
    code = draw(st.sampled_from(StatusCode))
    return Status(code, draw(st.text(max_size=10)) if code is StatusCode.ERROR else None)


LINKS = st.lists(st.builds(Link, places(), ATTRIBUTES), max_size=3)
EVENTS = st.lists(st.tuples(NAMES, ATTRIBUTES, MOMENTS), max_size=4)


class Kept(SpanProcessor):
    """Keeps what has ended, as it is held."""

    def __init__(self, held_as: Callable[[ReadableSpan], object]) -> None:
        self._held_as = held_as
        self.held: list[Any] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.held.append(self._held_as(span))


def provider_of(kept: Kept, **options: Any) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False, **options)
    provider.add_span_processor(kept)
    return provider


def wire(span: ReadableSpan) -> bytes:
    return encode_spans([span]).SerializeToString(deterministic=True)


@given(
    attributes=ATTRIBUTES,
    links=LINKS,
    events=EVENTS,
    parent=st.none() | places(st.just(TraceFlags.SAMPLED)),
    kind=st.sampled_from(SpanKind),
    status=statuses(),
    moment=MOMENTS,
)
def test_it_goes_over_the_wire_as_it_was(
    attributes: dict[str, Any],
    links: list[Link],
    events: list[tuple[str, dict[str, Any], int]],
    parent: SpanContext | None,
    kind: SpanKind,
    status: Status,
    moment: int,
) -> None:
    kept = Kept(lambda span: span)
    limits = SpanLimits(max_attributes=4, max_events=2, max_links=1, max_event_attributes=2, max_link_attributes=2)
    provider = provider_of(kept, resource=Resource({"service.name": "s"}), span_limits=limits)
    tracer = provider.get_tracer("scope", "1.0", "https://schema.example", {"of": "scope"})
    context = None if parent is None else set_span_in_context(NonRecordingSpan(parent))
    span = tracer.start_span("span", context, kind, attributes, links, start_time=moment)
    for event in events:
        span.add_event(*event)
    span.set_status(status)
    span.end(moment + 7)
    [original] = kept.held
    assert original.parent == parent
    waiting = WaitingSpans()
    held = waiting.held(original)
    assert isinstance(held, bytes)
    restored = waiting.span(held)
    assert wire(restored) == wire(original)
    assert restored.to_json() == original.to_json()
    assert restored.context == original.context
    assert restored.parent == original.parent


class Model(str):
    __slots__ = ()


def ended(*, scope: str = "scope", name: str = "turn", **options: Any) -> ReadableSpan:
    kept = Kept(lambda span: span)
    provider_of(kept).get_tracer(scope).start_span(name, **options).end()
    span: ReadableSpan = kept.held[0]
    return span


@pytest.mark.parametrize(
    "options",
    [
        {"attributes": {"model": Model("m")}},
        {"attributes": {"score": np.float64(0.5)}},
        {"links": [Link(SpanContext(1, 2, is_remote=False), {"model": np.str_("m")})]},
        {"name": np.str_("turn")},
        {"start_time": np.int64(1)},
        {"kind": None},
        {"kind": "client"},
    ],
    ids=["subclass", "number", "text of a link", "name", "moment", "no kind", "wrong kind"],
)
def test_one_that_bytes_do_not_give_back_is_held_as_it_is(options: dict[str, Any]) -> None:
    span, waiting = ended(**options), WaitingSpans()
    assert waiting.span(waiting.held(span)) is span


def test_where_it_comes_from_is_known_though_the_first_look_at_it_was_broken_off() -> None:
    class Broken(list[Any]):
        def append(self, one: Any) -> None:
            monkeyed.setattr(waiting, "_origins", [])
            raise KeyboardInterrupt

    first, second, waiting = ended(scope="first"), ended(scope="second"), WaitingSpans()
    with pytest.MonkeyPatch.context() as monkeyed:
        monkeyed.setattr(waiting, "_origins", Broken())
        with pytest.raises(KeyboardInterrupt):
            waiting.held(first)
        held = [waiting.held(span) for span in (first, second)]
        assert [wire(waiting.span(one)) for one in held] == [wire(first), wire(second)]


def test_tracers_of_ever_new_names_are_not_kept_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_module, "_MOST_ORIGINS", 2)
    kept = Kept((waiting := WaitingSpans()).held)
    provider = provider_of(kept)
    for name in ("a", "b", "c", "d", "a"):
        provider.get_tracer(name).start_span("turn").end()
    assert [isinstance(one, bytes) for one in kept.held] == [True, True, False, False, True]
    scopes = [waiting.span(one).instrumentation_scope for one in kept.held]
    assert [scope and scope.name for scope in scopes] == ["a", "b", "c", "d", "a"]


def test_hundreds_of_them_are_nothing_to_look_through() -> None:
    def objects(held_as: Callable[[ReadableSpan], object]) -> int:
        kept = Kept(held_as)
        tracer = provider_of(kept).get_tracer("scope")
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(300):
            with tracer.start_as_current_span("turn", attributes={"model": "m", "turn": 1}):
                tracer.start_span("storage", attributes={"rows": 2}).end()
        gc.collect()
        return len(gc.get_objects()) - before

    assert objects(WaitingSpans().held) < 60 < 5000 < objects(lambda span: span)
