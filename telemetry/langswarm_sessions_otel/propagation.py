"""Trace context in words: traceparent strings, links, error names, silent detaching."""

from __future__ import annotations

import re
from contextvars import Token
from typing import Final

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context

_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_CANCELLED: Final = frozenset({"CancelledError", "Cancelled"})


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


def error_type_of(error: BaseException) -> str:
    """Name an error for ``error.type``: few values, the same on span and metric.

    Args:
        error: Any exception.

    Returns:
        ``cancelled``, ``abandoned`` (a closed generator), a builtin's name, or ``package.ClassName``.
    """
    kind = type(error)
    if kind.__name__ in _CANCELLED:
        return "cancelled"
    if kind is GeneratorExit:
        return "abandoned"
    package = kind.__module__.partition(".")[0]
    return kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"


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
