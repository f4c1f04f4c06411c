"""Ended spans as plain data: what the span file holds and the span tree shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

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
    """One ended span.

    Attributes:
        name: Its name.
        trace: Trace id, 32 hexadecimal digits.
        span: Span id, 16 hexadecimal digits.
        parent: Id of the parent span, None for a root.
        kind: ``INTERNAL``, ``CLIENT`` and so on.
        start: Nanoseconds since the epoch.
        end: Nanoseconds since the epoch.
        error: Description of an error status (mostly a class name), None when all went well.
        attributes: Its attributes.
        events: What happened during it.
        links: What it points to.
        remote: Whether the parent belongs to another process.
    """

    name: str
    trace: str
    span: str
    parent: str | None
    kind: str
    start: int
    end: int
    error: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()
    remote: bool = False

    @property
    def seconds(self) -> float:
        """How long it took, in seconds."""
        return (self.end - self.start) / 1e9


def record_of(span: ReadableSpan) -> SpanRecord:
    """Turn an ended span of the SDK into plain data.

    Args:
        span: A span as exporters and processors get it.

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
        end=span.end_time or span.start_time or 0,
        error=None if status.is_ok else (status.description or "error"),
        attributes=_plain(span.attributes),
        events=events,
        links=links,
        remote=span.parent is not None and span.parent.is_remote,
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
    if record.remote:
        data["remote"] = True
    if record.error is not None:
        data["error"] = record.error
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


def read_span_file(path: str | Path, *, session_id: str | None = None) -> list[SpanRecord]:
    """Read a span file, whose writers may have been killed at any time.

    Args:
        path: The file, written by `configure_telemetry` with ``span_file=``. A missing one holds no spans.
        session_id: Keep only traces in which this session takes part.

    Returns:
        Records in the order of their start. Lines that are not complete are left out.
    """
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as lines:
            records = [record for line in lines if (record := _record_from(line)) is not None]
    except FileNotFoundError:
        return []
    if session_id is not None:
        records = _of_session(records, session_id)
    return sorted(records, key=lambda record: record.start)


def _of_session(records: Iterable[SpanRecord], session_id: str) -> list[SpanRecord]:
    records = list(records)
    own = semconv.LANGSWARM_SESSION_ID
    traces = {record.trace for record in records if record.attributes.get(own) == session_id}
    # A trace of the user's may hold turns of several sessions: the others' spans are left out.
    return [record for record in records if record.trace in traces and record.attributes.get(own) in (None, session_id)]


def _record_from(line: str) -> SpanRecord | None:
    try:
        data = cast("object", json.loads(line))
        if not isinstance(data, dict):
            return None
        data = cast("dict[str, object]", data)
        events = cast("list[dict[str, object]]", data.pop("events", []))
        links = cast("list[dict[str, object]]", data.pop("links", []))
        return SpanRecord(
            **cast("dict[str, str]", data),  # type: ignore[arg-type]
            events=tuple(SpanEvent(**cast("dict[str, str]", event)) for event in events),  # type: ignore[arg-type]
            links=tuple(SpanLink(**cast("dict[str, str]", link)) for link in links),  # type: ignore[arg-type]
        )
    except (ValueError, TypeError):
        return None
