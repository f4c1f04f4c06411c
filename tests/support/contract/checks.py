"""What has to hold for every row of the contract, whatever was played in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from langswarm_sessions_otel import semconv
from tests.support.contract.acts import ACTS
from tests.support.contract.table import HOOKS, Owed, rows
from tests.support.contract.wire import Recording, WireSpan

__all__ = ["problems"]

_INTERNAL, _CLIENT = 1, 3
_UNSET, _ERROR = 0, 2
_CALLER = "caller"
_GROUPING = ("gen_ai.conversation.id", "session.id")
_JOBS = ("import", "cleanup", "purge")


def problems(received: dict[str, Recording]) -> list[str]:
    """Return what is wrong with what was received; one line each."""
    expected = rows()
    found = [f"{row}: nothing was received" for row in expected if row not in received]
    found += [f"{row}: nobody knows this row" for row in received if row not in expected]
    for row, owed in expected.items():
        found += [f"{row}: {problem}" for problem in _problems_of(row, owed, received.get(row, Recording()))]
    return found


def _problems_of(row: str, owed: Owed, recording: Recording) -> Iterator[str]:
    name, _, outcome = row.partition(" × ")
    by_id = {span.span_id: span for span in recording.spans}
    if len(by_id) != len(recording.spans):
        yield "a span came twice"
    main = [span for span in recording.spans if span.name == owed.span]
    if len(main) != 1:
        yield f"{len(main)} spans {owed.span!r} among {sorted(span.name for span in recording.spans)}"
        return
    error_type = ACTS[name].expected_error(outcome)
    if main[0].error_type != error_type:
        yield f"error.type is {main[0].error_type!r}, not {error_type!r}"
    if recording.errors_of(owed.metric or "")[error_type] < 1:
        yield f"{owed.metric} says {dict(recording.errors_of(owed.metric or ''))}"
    above = by_id.get(main[0].parent_id)
    if name in HOOKS or name.startswith("a "):
        if above is None or above.name == _CALLER:
            yield f"its parent is {above and above.name!r}, not the operation"
    elif above is None or above.name != _CALLER:
        yield f"its parent is {above and above.name!r}, not the caller's span"
    if owed.stores is not None and outcome == "ok":
        below = [span.name for span in recording.spans if span.parent_id == main[0].span_id]
        if semconv.STORAGE_SPAN + owed.stores not in below:
            yield f"the storage is asked to {owed.stores}, and below it is only {below}"
    for span in recording.spans:
        yield from _problems_of_span(span, by_id)
    yield from _uncounted(recording)


def _problems_of_span(span: WireSpan, by_id: dict[bytes, WireSpan]) -> Iterator[str]:
    if span.name == _CALLER:
        return
    where = f"{span.name}: "
    if span.scope != semconv.SCOPE:
        yield f"{where}scope {span.scope!r}"
    if span.kind != (_CLIENT if span.name.startswith("chat ") else _INTERNAL):
        yield f"{where}kind {span.kind}"
    if not 0 < span.start <= span.end:
        yield f"{where}from {span.start} to {span.end}"
    if span.status != (_UNSET if span.error_type is None else _ERROR):
        yield f"{where}status {span.status} with error.type {span.error_type!r}"
    if span.error_type is not None and not span.error_type.endswith(span.status_text):
        yield f"{where}status text {span.status_text!r}"
    above = by_id.get(span.parent_id)
    if above is None:
        yield f"{where}its parent never came"
        return
    if above.name.startswith(("chat ", "langswarm.storage.")):
        yield f"{where}lies below {above.name}"
    if above.name != _CALLER and not above.start <= span.start <= span.end <= above.end:
        yield f"{where}outlived {above.name}"
    is_inside = any(each.name.startswith("invoke_agent") for each in _with_ancestors(span, by_id))
    for name in _GROUPING:
        if (name in span.attributes) != is_inside:
            yield f"{where}{name} {'is missing' if is_inside else 'outside a turn'}"


def _with_ancestors(span: WireSpan | None, by_id: dict[bytes, WireSpan]) -> Iterator[WireSpan]:
    while span is not None:
        yield span
        span = by_id.get(span.parent_id)


def _uncounted(recording: Recording) -> Iterator[str]:
    """Compare every metric with the spans it counts: as many, with the same error types."""
    spans: dict[str, Counter[str | None]] = {}
    for span in recording.spans:
        for metric in _metrics_of(span.name):
            spans.setdefault(metric, Counter())[span.error_type] += 1
    for metric, errors in spans.items():
        counted = recording.errors_of(metric)
        if metric == semconv.TRANSITIONS:
            purged = [
                count for point, count in recording.points[metric] if point[semconv.SESSION_TRANSITION] == "purge"
            ]
            counted[None] -= int(sum(purged))
        if +counted != errors:
            yield f"{metric} counts {dict(counted)}, the spans say {dict(errors)}"


def _metrics_of(span: str) -> tuple[str, ...]:
    if span.startswith("invoke_agent "):
        return semconv.TURN_DURATION, semconv.AGENT_DURATION
    families = {
        "chat ": semconv.RELEASED.duration,
        "execute_tool": semconv.TOOL_DURATION,
        semconv.STORAGE_SPAN: semconv.STORAGE_DURATION,
        semconv.HOOK_SPAN: semconv.HOOK_DURATION,
        semconv.REBUILD_SPAN: semconv.REBUILDS,
        semconv.SUMMARY_SPAN: semconv.SUMMARIES,
        **{semconv.LIFECYCLE_SPAN + job: semconv.JOB_DURATION for job in _JOBS},
        semconv.LIFECYCLE_SPAN: semconv.TRANSITIONS,
    }
    return next(((metric,) for start, metric in families.items() if span.startswith(start)), ())
