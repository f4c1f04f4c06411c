"""Trace context in words: traceparent strings, links, error names, silent detaching."""

from __future__ import annotations

import asyncio
import concurrent.futures
import re
import sys
from contextvars import Token
from typing import Final

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context

_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_CANCELLED: Final = (asyncio.CancelledError, concurrent.futures.CancelledError)
_HANDOFF: Final = ";handoff="


def traceparent_of(span: trace.Span) -> str | None:
    """Return the W3C traceparent of a span.

    Args:
        span: Any span.

    Returns:
        The traceparent, None when the span is invalid or not sampled.
    """
    spot = span.get_span_context()
    if not spot.is_valid or not spot.trace_flags.sampled:
        return None
    return f"00-{spot.trace_id:032x}-{spot.span_id:016x}-{int(spot.trace_flags):02x}"


def span_context_of(traceparent: str) -> trace.SpanContext | None:
    """Read a W3C traceparent.

    Args:
        traceparent: What `traceparent_of` returned, maybe in another process.

    Returns:
        The remote span's context, None when the text is not a valid traceparent.
    """
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    spot = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags))
    return spot if spot.is_valid else None


def with_handoff(trace_state: str | None, handoff: str | None) -> str | None:
    """Add a handoff to what a session keeps of its traces: the next turn links back to it.

    Args:
        trace_state: What the session keeps: the traceparent of its last turn, and maybe of an earlier handoff.
        handoff: Traceparent of the handoff, None when it is not recorded.

    Returns:
        What to keep from now on; nothing of an earlier handoff.
    """
    last_turn = (trace_state or "").partition(_HANDOFF)[0]
    return (last_turn or None) if handoff is None else f"{last_turn}{_HANDOFF}{handoff}"


def links_of(trace_state: str | None) -> tuple[trace.SpanContext | None, trace.SpanContext | None]:
    """Read what a session keeps of its traces.

    Args:
        trace_state: A traceparent, or what `with_handoff` returned, maybe in another process.

    Returns:
        The session's last turn, and the handoff since; None for what there is not.
    """
    if not trace_state:
        return None, None
    last_turn, _, handoff = trace_state.partition(_HANDOFF)
    return span_context_of(last_turn), span_context_of(handoff) if handoff else None


def is_cancellation(error: BaseException) -> bool:
    """Tell whether an error is what an event loop cancels with, whichever: asyncio's, trio's, that of a future.

    Args:
        error: Any exception.

    Returns:
        False for an error that is only called so.
    """
    if isinstance(error, _CANCELLED):
        return True
    kind = getattr(sys.modules.get("trio"), "Cancelled", None)  # what anyio cancels with, where trio runs
    return isinstance(kind, type) and isinstance(error, kind)


def error_type_of(error: BaseException) -> str:
    """Name an error for ``error.type``: few values, the same on span and metric.

    Args:
        error: Any exception.

    Returns:
        ``cancelled``, ``abandoned`` (a closed generator), a builtin's name, or ``package.ClassName``.
    """
    if is_cancellation(error):
        return "cancelled"
    kind = type(error)
    if kind is GeneratorExit:
        return "abandoned"
    package = str(kind.__module__).partition(".")[0]
    name = kind.__qualname__.rpartition("<locals>.")[2]
    return name if package == "builtins" else f"{package}.{name}"


def detach_silently(token: Token[Context]) -> None:
    """Give the current context back what it held before, if the token belongs to it.

    `opentelemetry.context.detach` logs an error when a block is left in another context than it was entered in, as
    happens to generators that are closed by the event loop; there is nothing to give back then.

    Args:
        token: What attaching returned.
    """
    try:
        token.var.reset(token)
    except (ValueError, RuntimeError):
        return
    except AttributeError:  # a context implementation of the user's, with tokens of its own
        context_api.detach(token)
