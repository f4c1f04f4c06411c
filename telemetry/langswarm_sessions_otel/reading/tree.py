"""Spans as a tree for people to read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, cast

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.reading.records import SpanEvent, SpanRecord, record_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_UNFINISHED: Final = "(a span that never ended: its process was killed, or it is still going on)"
_OPEN: Final = "✗ never ended: its process was killed, or it is still going on"
_LONGEST_TEXT: Final = 160
_VERBS: Final = {
    semconv.LINK_PREVIOUS_TURN: "follows",
    semconv.LINK_LAST_GOOD_TURN: "after",
    semconv.LINK_SOURCE_TURN: "continues",
}
_Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class DrawnTrace:
    """A trace as lines of text.

    Attributes:
        first: Its first span.
        lines: A line for each span and event.
    """

    first: SpanRecord
    lines: tuple[str, ...]


def render_span_tree(spans: Iterable[SpanRecord | ReadableSpan]) -> str:
    """Draw spans as trees, one for each trace, in the order of time.

    Spans of several processes may be mixed. Where a parent is missing, its children stand under a line that says so.

    Args:
        spans: Records of `read_span_file`, or ended spans of the SDK.

    Returns:
        Lines of text, joined by line breaks; empty for no spans.
    """
    records = [span if isinstance(span, SpanRecord) else record_of(span) for span in spans]
    return "\n".join(line for trace in draw_traces(records) for line in trace.lines)


def draw_traces(records: Iterable[SpanRecord], *, known: Iterable[SpanRecord] = ()) -> list[DrawnTrace]:
    """Draw spans as trees, one for each trace, in the order of time.

    Args:
        records: What to draw.
        known: More spans that links may lead to.

    Returns:
        The traces.
    """
    traces: defaultdict[str, list[SpanRecord]] = defaultdict(list)
    named = {record.span: record for record in known}
    for record in records:
        traces[record.trace].append(record)
        named[record.span] = record
    drawn = [
        DrawnTrace(min(trace, key=lambda record: record.start), tuple(_trace_lines(trace, named)))
        for trace in traces.values()
    ]
    return sorted(drawn, key=lambda trace: trace.first.start)


def _trace_lines(records: list[SpanRecord], known: Mapping[str, SpanRecord]) -> Iterator[str]:
    here = {record.span for record in records}
    children: defaultdict[str, list[SpanRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.start):
        outside = record.remote and record.parent not in here
        children["" if outside else record.parent or ""].append(record)
    for root in children.get("", []):
        yield from _lines(root, children, known, branch="")
    for parent, orphans in list(children.items()):
        if parent and parent not in here:
            yield _UNFINISHED
            for orphan in orphans:
                yield from _lines(orphan, children, known, branch="└─ " if orphan is orphans[-1] else "├─ ")


def _lines(
    root: SpanRecord, children: dict[str, list[SpanRecord]], known: Mapping[str, SpanRecord], *, branch: str
) -> Iterator[str]:
    waiting: list[tuple[SpanRecord | SpanEvent, str, str]] = [(root, "", branch)]
    while waiting:
        item, lead, branch = waiting.pop()
        if isinstance(item, SpanEvent):
            yield f"{lead}{branch}· {_describe_event(item)}"
            continue
        yield lead + branch + describe(item, known)
        lead += {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
        below: list[tuple[int, SpanRecord | SpanEvent]] = [(event.time, event) for event in item.events]
        # Taken out: spans that others wrote may stand below themselves.
        below += [(child.start, child) for child in children.pop(item.span, [])]
        below.sort(key=lambda timed: timed[0])
        below.reverse()  # the first one is taken from the end
        inner = "│  " if below else "   "
        yield from (f"{lead}{inner}{text}" for text in _content(item.attributes))
        waiting += [(one, lead, "├─ " if place else "└─ ") for place, (_, one) in enumerate(below)]


def describe(record: SpanRecord, known: Mapping[str, SpanRecord]) -> str:
    """Say the telling things of a span in one line.

    Args:
        record: The span.
        known: All spans at hand by id, to name the ones it links to.

    Returns:
        The line.
    """
    facts = record.attributes
    parts = [record.name if record.open else f"{record.name}  {_duration(record.seconds)}"]
    words = [word for tell in _TELLERS for word in tell(facts)]
    words += [_describe_link(link.span, link.attributes, known) for link in record.links]
    if words:
        parts.append(" · ".join(words))
    if record.error is not None:
        told = _one_line(record.error)
        kind = _one_line(facts.get(semconv.ERROR_TYPE, told))
        parts.append(f"✗ {kind}" if kind.endswith(told) else f"✗ {kind} ({told})")
    if record.open:
        parts.append(_OPEN)
    return _harmless("  ".join(parts))


def _content(facts: _Facts) -> Iterator[str]:
    """Tell what was said, of a turn that was recorded with its content."""
    for name, mark in ((semconv.INPUT_VALUE, "»"), (semconv.OUTPUT_VALUE, "«")):
        if name in facts:
            yield _harmless(f"{mark} {_one_line(facts[name])}")


def _one_line(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"


def _harmless(text: str) -> str:
    """Replace what could steer a terminal."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def _duration(seconds: float) -> str:
    if abs(seconds) >= 1:
        return f"{seconds:.2f} s"
    if abs(seconds) >= 0.001:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds * 1e6:.0f} µs"


def _describe_event(event: SpanEvent) -> str:
    facts = {name.rpartition(".")[2]: value for name, value in event.attributes.items()}
    facts.pop("stacktrace", None)
    words = " ".join(f"{name}={_one_line(value)}" for name, value in facts.items())
    return _harmless(f"{event.name} {words}".rstrip())


def _describe_link(span: str, facts: _Facts, known: Mapping[str, SpanRecord]) -> str:
    target = known.get(span)
    there: _Facts = {} if target is None else target.attributes
    kind = str(facts.get(semconv.LINK_KIND))
    if kind == semconv.LINK_HANDOFF:
        giver = _model(there, semconv.HANDOFF_FROM_PROVIDER, semconv.HANDOFF_FROM_MODEL)
        return f"handed over from {giver}" if giver else f"handed over in span {span[:8]}"
    turn = there.get(semconv.TURN_INDEX)
    return f"{_VERBS.get(kind, 'see')} {f'span {span[:8]}' if turn is None else f'turn {turn}'}"


def _model(facts: _Facts, provider: str, model: str) -> str:
    return " ".join(str(facts[name]) for name in (provider, model) if name in facts)


# ------------------------------------------------------------------ what of a span is worth telling


def _tell_turn(facts: _Facts) -> Iterator[str]:
    if semconv.TURN_INDEX in facts:
        yield f"turn {facts[semconv.TURN_INDEX]}"
    if semconv.SESSION_OPERATION in facts:
        yield f"{facts[semconv.SESSION_OPERATION]}"
        yield f"{facts.get(semconv.SESSION_MODE)}"
    if semconv.MESSAGES_SENT in facts:
        yield f"sent {facts[semconv.MESSAGES_SENT]} of {facts.get(semconv.MESSAGES_TOTAL, '?')} messages"
    if facts.get(semconv.TURN_RETRIES):
        yield f"{facts[semconv.TURN_RETRIES]} retries"


def _tell_chat(facts: _Facts) -> Iterator[str]:
    if facts.get(semconv.OPERATION_NAME) == semconv.CHAT_OPERATION and semconv.PROVIDER_NAME in facts:
        yield f"{facts[semconv.PROVIDER_NAME]}"
    if semconv.PREVIOUS_RESPONSE_ID in facts:
        yield f"continues {facts[semconv.PREVIOUS_RESPONSE_ID]}"
    first = facts.get(semconv.TIME_TO_FIRST_CHUNK)
    if isinstance(first, float):
        yield f"first chunk {_duration(first)}"
    if semconv.INPUT_TOKENS in facts or semconv.OUTPUT_TOKENS in facts:
        cached = f" ({facts[semconv.CACHED_TOKENS]} cached)" if facts.get(semconv.CACHED_TOKENS) else ""
        yield f"{facts.get(semconv.INPUT_TOKENS, '?')}{cached} → {facts.get(semconv.OUTPUT_TOKENS, '?')} tokens"
    reasons = facts.get(semconv.FINISH_REASONS)
    if isinstance(reasons, (list, tuple)):
        yield ", ".join(str(reason) for reason in cast("Sequence[object]", reasons))


def _tell_rebuild(facts: _Facts) -> Iterator[str]:
    if semconv.REBUILD_REASON in facts:
        yield f"{facts[semconv.REBUILD_REASON]}"
    if semconv.REBUILD_MESSAGES in facts:
        yield f"{facts[semconv.REBUILD_MESSAGES]} messages replayed"
    if semconv.REBUILD_TOKENS in facts:
        yield f"{facts[semconv.REBUILD_TOKENS]} tokens"


def _tell_storage(facts: _Facts) -> Iterator[str]:
    if semconv.STORAGE_BACKEND in facts:
        yield f"{facts[semconv.STORAGE_BACKEND]}"
    if semconv.STORAGE_COUNT in facts:
        yield f"{facts[semconv.STORAGE_COUNT]} messages"
    if semconv.STORAGE_BYTES in facts:
        yield f"{facts[semconv.STORAGE_BYTES]} bytes"


def _tell_hook(facts: _Facts) -> Iterator[str]:
    if semconv.HOOK_POINT in facts and not str(facts.get(semconv.HOOK_NAME)).endswith(str(facts[semconv.HOOK_POINT])):
        yield f"at {facts[semconv.HOOK_POINT]}"


def _tell_transition(facts: _Facts) -> Iterator[str]:
    if semconv.SESSION_TRANSITION in facts:
        yield f"session {facts.get(semconv.LANGSWARM_SESSION_ID)}"
    if semconv.HANDOFF_TO_PROVIDER in facts:
        giver = _model(facts, semconv.HANDOFF_FROM_PROVIDER, semconv.HANDOFF_FROM_MODEL)
        yield f"{giver} → {_model(facts, semconv.HANDOFF_TO_PROVIDER, semconv.HANDOFF_TO_MODEL)}"


def _tell_cost(facts: _Facts) -> Iterator[str]:
    cost = facts.get(semconv.COST_USD)
    if isinstance(cost, float):
        least = "at least " if facts.get(semconv.COST_IS_PARTIAL) else ""
        yield f"{least}${Decimal(repr(cost)):f}"


_TELLERS: Final[tuple[Callable[[_Facts], Iterator[str]], ...]] = (
    _tell_turn,
    _tell_chat,
    _tell_rebuild,
    _tell_storage,
    _tell_hook,
    _tell_transition,
    _tell_cost,
)
