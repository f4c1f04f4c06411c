"""What the SDK refuses of its own variables: with some of them it cannot even be imported."""

from __future__ import annotations

from langswarm_sessions_otel.providers import EVENTS, METRICS, SPANS

__all__ = ["refused_by_sdk", "unloadable_provider"]


def refused_by_sdk() -> str | None:
    """Return what is wrong with a variable of the SDK; None if it takes all of them, or is not there."""
    try:
        from opentelemetry.sdk.trace import SpanLimits

        SpanLimits()
    except ImportError:
        return None
    except ValueError as error:
        return f"{error}."
    return unloadable_provider()


def unloadable_provider() -> str | None:
    """Return which variable names a provider that cannot be loaded, and what to do; None if none does."""
    for signal in (SPANS, METRICS, EVENTS):
        try:
            signal.find()
        except Exception:  # noqa: BLE001 - whatever a provider raises as it is loaded
            return f"{signal.variable} names a provider that cannot be loaded: install it, or leave the variable out."
    return None
