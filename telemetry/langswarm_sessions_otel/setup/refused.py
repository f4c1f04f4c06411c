"""What the SDK refuses of its own variables: with some of them it cannot even be imported."""

from __future__ import annotations

__all__ = ["refused_by_sdk"]


def refused_by_sdk() -> str | None:
    """Return what the SDK says of a variable that it takes for wrong; None if it takes all of them, or is not there."""
    try:
        from opentelemetry.sdk.trace import SpanLimits

        SpanLimits()
    except ImportError:
        return None
    except ValueError as error:
        return f"{error}."
    return None
