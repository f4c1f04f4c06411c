"""The two presets of `create_session_manager`, as data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from langswarm_sessions.config import CleanupConfig
from langswarm_sessions.hooks import LoggingHook, MonitoringHook
from langswarm_sessions.interfaces.hooks import SessionLifecycleHook, SessionMiddleware
from langswarm_sessions.interfaces.traffic import RateLimits
from langswarm_sessions.middleware import LoggingMiddleware

__all__ = ["PRESETS", "Preset", "show_log"]


def _nothing() -> list[Any]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Defaults that go together; each explicit argument beats its part. `log_level` is made visible."""

    storage: str = "sqlite"
    storage_config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    cleanup: CleanupConfig = field(default_factory=CleanupConfig)
    middleware: Callable[[], list[SessionMiddleware]] = _nothing
    hooks: Callable[[], list[SessionLifecycleHook]] = _nothing
    rate_limits: RateLimits = field(default_factory=RateLimits)
    log_level: int | None = None


PRESETS: Mapping[str, Preset] = {
    "development": Preset(
        storage="memory",
        middleware=lambda: [LoggingMiddleware(logging.DEBUG)],
        hooks=lambda: [LoggingHook(logging.DEBUG, detailed_errors=True)],
        log_level=logging.DEBUG,
    ),
    "production": Preset(
        storage="sqlite",
        storage_config={"enable_wal": True},
        cleanup=CleanupConfig(archive_after_days=30, delete_after_days=90),
        # No account's limit, which cannot be known here, but a bound on what a program gone wild sends: of the order
        # that providers grant to accounts that have just begun to pay.
        rate_limits=RateLimits(requests_per_minute=500),
        hooks=lambda: [MonitoringHook(logging.INFO)],
    ),
}


def show_log(level: int) -> None:
    """Let this library's log be seen from a level on, on standard error as long as the program shows no logs itself."""
    library, root = logging.getLogger("langswarm_sessions"), logging.getLogger()
    library.setLevel(level)
    if not library.handlers and not root.handlers:
        shown = logging.StreamHandler()
        shown.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        shown.addFilter(lambda _: not root.handlers)  # once the program has set up its own, those lines are there
        library.addHandler(shown)
