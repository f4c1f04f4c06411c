"""Running lifecycle hooks: after the fact, never failing the operation."""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from langswarm_sessions.calling import accepted_arguments, is_cancelled
from langswarm_sessions.checks import check_level, check_members, check_wait
from langswarm_sessions.interfaces.hooks import SessionLifecycleHook
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import FinishTurn
from langswarm_sessions_otel import Telemetry

__all__ = ["GLOBAL_HOOKS", "HOOK_POINTS", "HookRunner", "LoggingHook", "MonitoringHook", "add_global_lifecycle_hook"]

SLOW_TURN_SECONDS = 30.0
"""A turn that takes this long is worth a warning."""

logger = logging.getLogger(__name__)

GLOBAL_HOOKS: list[SessionLifecycleHook] = []

_PARAMETERS: dict[str, tuple[str, ...]] = {
    "on_session_created": ("session_id", "user_id", "provider", "model"),
    "on_message_sent": ("session_id", "message", "turn"),
    "on_session_archived": ("session_id",),
    "on_session_restored": ("session_id",),
    "on_session_deleted": ("session_id",),
    "on_session_rebuilt": ("session_id", "provider", "reason"),
    "on_session_handoff": ("session_id", "provider", "model"),
    "on_session_error": ("session_id", "error", "turn"),
}
_BY_NAME_ONLY = frozenset({"turn"})  # the turn's figures, for hooks of our own: whoever does not ask is not given them
HOOK_POINTS = tuple(_PARAMETERS)
"""The methods a lifecycle hook may have."""


def add_global_lifecycle_hook(hook: SessionLifecycleHook) -> None:
    """Add a hook to every manager of this process, present and future.

    Raises:
        ConfigurationError: It is no hook.
    """
    GLOBAL_HOOKS.extend(check_members([hook], field="hook", methods=HOOK_POINTS))


class HookRunner:
    """Calls the global hooks and one manager's, each in a span of its own."""

    def __init__(self, telemetry: Telemetry, hooks: Iterable[SessionLifecycleHook] = ()) -> None:
        self.hooks = list(hooks)
        self._telemetry = telemetry

    async def run(self, point: str, /, **values: Any) -> None:
        """Call `point` on every hook that has it.

        Args:
            point: The hook's method name.
            **values: Its arguments by name.
        """
        for hook in (*GLOBAL_HOOKS, *self.hooks):
            method = getattr(hook, point, None)
            if method is not None and getattr(method, "__func__", method) is not getattr(SessionLifecycleHook, point):
                await self._call(method, point, values)

    async def _call(self, method: Callable[..., Any], point: str, values: dict[str, Any]) -> None:
        name = str(getattr(method, "__qualname__", point)).rpartition("<locals>.")[2]
        try:
            with self._telemetry.hook(name=name, point=point, session_id=values["session_id"]):
                known = {name: values[name] for name in _PARAMETERS[point] if name in values}
                positional, named = accepted_arguments(method, known, by_name_only=_BY_NAME_ONLY)
                result = method(*positional, **named)
                if inspect.isawaitable(result):
                    await result
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            _warn(name, error)
        except Exception as error:  # noqa: BLE001 - a hook is the user's code: its failure is theirs, the operation goes on
            _warn(name, error)


def _warn(hook: str, error: BaseException) -> None:
    logger.warning("Lifecycle hook %s failed with %s; the operation went on.", hook, type(error).__name__)


class LoggingHook(SessionLifecycleHook):
    """Logs what happens to sessions: ids and names, never content.

    Args:
        level: The logging level of the lines, as a number or a name.
        detailed_errors: Tell of failures with all causes and the places in the code, else by the kind of error only.

    Raises:
        ConfigurationError: There is no such level.
    """

    def __init__(self, level: int | str = logging.INFO, *, detailed_errors: bool = False) -> None:
        self._level = check_level(level, field="LoggingHook: level")
        self._told = _causes if detailed_errors else _kind

    async def on_session_created(self, session_id: str, user_id: str, provider: str, model: str) -> None:
        """Log a new session."""
        logger.log(self._level, "Session %s created with %s/%s.", session_id, provider, model)

    async def on_message_sent(self, session_id: str, message: SessionMessage) -> None:
        """Log a completed turn."""
        logger.log(self._level, "Session %s answered (message %s).", session_id, message.message_id)

    async def on_session_archived(self, session_id: str) -> None:
        """Log an archived session."""
        logger.log(self._level, "Session %s archived.", session_id)

    async def on_session_restored(self, session_id: str) -> None:
        """Log a restored session."""
        logger.log(self._level, "Session %s restored.", session_id)

    async def on_session_deleted(self, session_id: str) -> None:
        """Log a deleted session."""
        logger.log(self._level, "Session %s deleted.", session_id)

    async def on_session_rebuilt(self, session_id: str, provider: str, reason: str) -> None:
        """Log a rebuilt thread."""
        logger.log(self._level, "Session %s was rebuilt on %s: %s.", session_id, provider, reason)

    async def on_session_error(self, session_id: str, error: Exception) -> None:
        """Log a failed turn, without what the error says."""
        logger.log(max(self._level, logging.WARNING), "Session %s failed: %s.", session_id, self._told(error))


class MonitoringHook(LoggingHook):
    """Logs like `LoggingHook`, failures as errors and slow turns as warnings, both with their figures.

    Args:
        level: The logging level of all other lines, as a number or a name.
        slow_seconds: How long a turn takes that is slow, in seconds.

    Raises:
        ConfigurationError: There is no such level, or it is no number of seconds.
    """

    def __init__(self, level: int | str = logging.INFO, *, slow_seconds: float = SLOW_TURN_SECONDS) -> None:
        super().__init__(level)
        self._slow_ms = check_wait(slow_seconds, field="MonitoringHook: slow_seconds") * 1000

    async def on_message_sent(self, session_id: str, message: SessionMessage, turn: FinishTurn | None = None) -> None:
        """Log a completed turn, a slow one with its figures."""
        if turn is None or turn.duration_ms < self._slow_ms:
            await super().on_message_sent(session_id, message)
        else:
            logger.warning("Session %s answered slowly: %s.", session_id, _figures(turn))

    async def on_session_error(self, session_id: str, error: Exception, turn: FinishTurn | None = None) -> None:
        """Log a failed turn by its kind of error and its figures."""
        figures = "nothing was asked" if turn is None else _figures(turn)
        logger.error("Session %s failed: %s (%s).", session_id, _kind(error), figures)


def _figures(turn: FinishTurn) -> str:
    tokens = 0 if turn.usage is None else turn.usage.total_tokens
    return (
        f"{turn.duration_ms:.0f} ms with {turn.provider}/{turn.model}, {tokens} tokens, "
        f"{turn.retries} retries, {turn.rebuilds} rebuilds, turn {turn.lease.turn_id}"
    )


def _kind(error: BaseException) -> str:
    return type(error).__name__


def _causes(error: BaseException) -> str:
    """Return an error's kind and places, and those of what caused it. No error's own words: they may quote content."""
    lines: list[str] = []
    found: BaseException | None = error
    while found is not None:
        places = traceback.walk_tb(found.__traceback__)
        lines.append(("caused by " if lines else "") + _kind(found))
        lines += [f"  {frame.f_code.co_filename}:{line} in {frame.f_code.co_qualname}" for frame, line in places]
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return "\n".join(lines)
