"""Ended spans while they wait to be sent: as bytes, in which the garbage collector has nothing to look through.

To it a span of the SDK is eleven objects. Where hundreds of them wait, its runs come often and hold up turns by
milliseconds.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, cast

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from opentelemetry.util.types import Attributes

from langswarm_sessions_otel.process.forks import fork_safe_rlock

__all__ = ["WaitingSpan", "WaitingSpans"]

Part = TypeVar("Part")

Held = bytes | ReadableSpan
"""A span as it is held: itself if it holds something of a kind of its own, such as a value of an enumeration."""

_MOST_ORIGINS: Final = 1000  # more than there are libraries: somebody names a tracer for each of their users
_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})


class WaitingSpan:
    """A span that has ended, made bytes of as soon as there is time.

    Args:
        span: The span.
        form: Makes bytes of it.
    """

    __slots__ = ("_form", "_held")

    def __init__(self, span: ReadableSpan, form: WaitingSpans) -> None:
        self._form = form
        self._held: Held = span

    def shrink(self) -> None:
        """Make bytes of it."""
        if isinstance(self._held, ReadableSpan):
            self._held = self._form.held(self._held)

    def as_span(self) -> ReadableSpan:
        """Return it as exporters take it."""
        return self._form.span(self._held)


class WaitingSpans:
    """Makes bytes of spans, and spans of bytes. What many spans share it holds once."""

    def __init__(self) -> None:
        self._lock = fork_safe_rlock()
        self._origins: list[tuple[Resource, InstrumentationScope | None]] = []
        self._numbers: dict[tuple[int, InstrumentationScope | None], int] = {}

    def held(self, span: ReadableSpan) -> Held:
        """Return a span as it is held.

        Args:
            span: One that has ended.
        """
        try:
            number = self._number_of(span.resource, span.instrumentation_scope)
            said: Any = (number, *_said_in(span))
            return span if number is None or not _is_plain(said) else marshal.dumps(said)
        except (AttributeError, TypeError, ValueError):  # a part of it is no such part: its exporter refuses it
            return span

    def span(self, held: Held) -> ReadableSpan:
        """Return a held span as exporters take it.

        Args:
            held: What `held` returned, in this process or in the one that it was forked from.
        """
        if isinstance(held, ReadableSpan):
            return held
        said: Any = marshal.loads(held)
        number, name, kind, context, parent, started, ended, attributes, events, links, status = said
        resource, scope = self._origins[int(number)]
        return ReadableSpan(
            name,
            _context_at(context),
            _context_at(parent),
            resource,
            _attributes(attributes),
            _all_of(events, lambda event: Event(event[0], _attributes(event[2]), event[1])),
            _all_of(links, lambda link: Link(_context_at(link[0]), _attributes(link[1]))),
            SpanKind(kind),
            status=Status(StatusCode(status[0]), status[1]),
            start_time=started,
            end_time=ended,
            instrumentation_scope=scope,
        )

    def _number_of(self, resource: Resource, scope: InstrumentationScope | None) -> int | None:
        origin = id(resource), scope
        number = self._numbers.get(origin)
        if number is None:
            with self._lock:
                number = self._numbers.get(origin)
                if number is None and len(self._origins) < _MOST_ORIGINS:
                    number = len(self._origins)
                    self._origins.append((resource, scope))  # first: a fork or Ctrl-C may come in between
                    self._numbers[origin] = number
        return number


def _said_in(span: ReadableSpan) -> tuple[object, ...]:
    return (
        span.name,
        span.kind.value,
        _place_of(span.context),
        _place_of(span.parent),
        span.start_time,
        span.end_time,
        _said_by(span),
        ([(event.name, event.timestamp, _said_by(event)) for event in span.events], span.dropped_events),
        ([(_place_of(link.context), _said_by(link)) for link in span.links], span.dropped_links),
        (span.status.status_code.value, span.status.description),
    )


def _is_plain(said: object) -> bool:
    """Whether bytes give it back: of numpy's numbers and texts they would keep the memory, and not what they are."""
    parts: list[Any] = [said]
    for part in parts:  # which become more
        kind = cast(type[object], type(part))
        if kind in _PLAIN:
            continue
        if kind is dict:
            parts += part
            parts += part.values()
        elif kind is tuple or kind is list:
            parts += part
        else:
            return False
    return True


def _said_by(part: ReadableSpan | Event | Link) -> tuple[dict[str, Any], int]:
    return {**(part.attributes or {})}, part.dropped_attributes


def _place_of(context: SpanContext | None) -> tuple[object, ...] | None:
    if context is None:
        return None
    state = tuple(context.trace_state.items())
    return context.trace_id, context.span_id, context.is_remote, int(context.trace_flags), state


# What the SDK's limits cost a span it tells by what is bounded.


def _attributes(said: tuple[dict[str, Any], int]) -> Attributes:
    values, dropped = said
    if not dropped:
        return values
    bounded = BoundedAttributes(attributes=values)
    bounded.dropped = dropped
    return bounded


def _all_of(said: tuple[list[Any], int], made: Callable[[Any], Part]) -> Sequence[Part]:
    parts, dropped = said
    bounded = cast(Any, BoundedList(None))
    bounded.extend([made(part) for part in parts])
    bounded.dropped = dropped
    return cast(Sequence[Part], bounded)


def _context_at(place: Any) -> Any:
    if place is None:
        return None
    trace_id, span_id, is_remote, flags, state = place
    return SpanContext(trace_id, span_id, is_remote, TraceFlags(flags), TraceState(state))
