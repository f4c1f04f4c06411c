"""Ended spans as plain data: what the span file holds and the span tree shows."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from time import time_ns
from types import NoneType
from typing import TYPE_CHECKING, Final, cast

from langswarm_sessions_otel import semconv

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanEvent:
    """Something that happened during a span.

    Attributes:
        name: Its name.
        time: Nanoseconds since the epoch.
        attributes: Its attributes.
    """

    name: str
    time: int
    attributes: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLink:
    """A span of the same or another trace that a span points to.

    Attributes:
        trace: Trace id, 32 hexadecimal digits.
        span: Span id, 16 hexadecimal digits.
        attributes: The link's attributes.
    """

    trace: str
    span: str
    attributes: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRecord:
    """One span, mostly ended.

    Attributes:
        name: Its name.
        trace: Trace id, 32 hexadecimal digits.
        span: Span id, 16 hexadecimal digits.
        parent: Id of the parent span, None for a root.
        kind: ``INTERNAL``, ``CLIENT`` and so on.
        start: Nanoseconds since the epoch.
        end: Nanoseconds since the epoch; of one that has not ended, when this was written.
        open: Whether it had not ended yet.
        error: Description of an error status (mostly a class name), None when all went well.
        attributes: Its attributes.
        events: What happened during it.
        links: What it points to.
        remote: Whether the parent belongs to another process.
        service: Name of the service that it is part of.
        process: Id of the process that it ran in.
    """

    name: str
    trace: str
    span: str
    parent: str | None
    kind: str
    start: int
    end: int
    open: bool = False
    error: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()
    remote: bool = False
    service: str | None = None
    process: int | None = None

    @property
    def seconds(self) -> float:
        """How long it took, in seconds."""
        return (self.end - self.start) / 1e9


_FIELDS: Final = frozenset(field.name for field in fields(SpanRecord))
_LAST_MOMENT: Final = 2**63
_NOTHING: Final[dict[str, object]] = {}
_Kinds = Mapping[str, type | tuple[type, ...]]
_KINDS: Final[_Kinds] = {
    "name": str, "trace": str, "span": str, "parent": (str, NoneType), "start": int, "end": int,
    "service": (str, int, NoneType), "process": (str, int, NoneType),
}  # fmt: skip
_KINDS_OF_EVENTS: Final[_Kinds] = {"name": str, "time": int}
_KINDS_OF_LINKS: Final[_Kinds] = {"trace": str, "span": str}


def record_of(span: ReadableSpan) -> SpanRecord:
    """Turn a span of the SDK into plain data.

    Args:
        span: A span as exporters and processors get it, ended or not.

    Returns:
        The record.
    """
    spot = span.get_span_context()
    if spot is None:
        raise ValueError("span has no context: only started spans can be recorded")
    status = span.status
    events = tuple(
        SpanEvent(name=event.name, time=event.timestamp, attributes=_plain(event.attributes)) for event in span.events
    )
    links = tuple(
        SpanLink(
            trace=f"{link.context.trace_id:032x}",
            span=f"{link.context.span_id:016x}",
            attributes=_plain(link.attributes),
        )
        for link in span.links
    )
    return SpanRecord(
        name=span.name,
        trace=f"{spot.trace_id:032x}",
        span=f"{spot.span_id:016x}",
        parent=None if span.parent is None else f"{span.parent.span_id:016x}",
        kind=span.kind.name,
        start=span.start_time or 0,
        end=span.end_time or time_ns(),
        open=span.end_time is None,
        error=None if status.is_ok else (status.description or "error"),
        attributes=_plain(span.attributes),
        events=events,
        links=links,
        remote=span.parent is not None and span.parent.is_remote,
        service=str(span.resource.attributes.get(semconv.SERVICE_NAME, "")) or None,
        process=os.getpid(),
    )


def _plain(attributes: Mapping[str, object] | None) -> dict[str, object]:
    return dict(attributes or {})


def line_of(record: SpanRecord) -> str:
    """Write a record as one compact line of JSON.

    Args:
        record: The record.

    Returns:
        The line, with its line break.
    """
    data: dict[str, object] = {
        "name": record.name,
        "trace": record.trace,
        "span": record.span,
        "parent": record.parent,
        "kind": record.kind,
        "start": record.start,
        "end": record.end,
    }
    data |= {name: True for name in ("open", "remote") if getattr(record, name)}
    for name in ("service", "process", "error"):
        value: object = getattr(record, name)
        if value is not None:
            data[name] = value
    if record.attributes:
        data["attributes"] = record.attributes
    if record.events:
        data["events"] = [
            {"name": event.name, "time": event.time, "attributes": event.attributes} for event in record.events
        ]
    if record.links:
        data["links"] = [
            {"trace": link.trace, "span": link.span, "attributes": link.attributes} for link in record.links
        ]
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=str) + "\n"


def record_from(line: str) -> SpanRecord | None:
    """Read a line that `line_of` wrote.

    Args:
        line: The line.

    Returns:
        The record, None if the line is not a whole one.
    """
    try:
        data = cast("dict[str, object]", json.loads(line))
        if not isinstance(cast("object", data), dict):
            return None
        if not _is_well_formed(data, _KINDS) or not data["span"] or not _is_time(data["start"], data["end"]):
            return None
        known = cast("dict[str, str]", {name: data[name] for name in _FIELDS if name in data})
        events = cast("list[dict[str, object]]", known.pop("events", []))
        links = cast("list[dict[str, object]]", known.pop("links", []))
        if not all(_is_well_formed(event, _KINDS_OF_EVENTS) for event in events):
            return None
        if not all(_is_well_formed(link, _KINDS_OF_LINKS) for link in links):
            return None
        return SpanRecord(
            **known,  # type: ignore[arg-type]
            events=tuple(SpanEvent(**event) for event in events),  # type: ignore[arg-type]
            links=tuple(SpanLink(**link) for link in links),  # type: ignore[arg-type]
        )
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _is_well_formed(data: Mapping[str, object], kinds: _Kinds) -> bool:
    return isinstance(data.get("attributes", _NOTHING), dict) and all(
        isinstance(data.get(name), kind) for name, kind in kinds.items()
    )


def _is_time(*moments: object) -> bool:
    return all(isinstance(moment, int) and 0 <= moment < _LAST_MOMENT for moment in moments)
