"""Running lifecycle hooks: after the fact, never failing the operation."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from typing import Any

from langswarm_sessions_otel import Telemetry

__all__ = ["GLOBAL_HOOKS", "HOOK_POINTS", "HookRunner", "LoggingHook", "add_global_lifecycle_hook"]

from langswarm_sessions.interfaces.hooks import SessionLifecycleHook
from langswarm_sessions.messages import SessionMessage

logger = logging.getLogger(__name__)

GLOBAL_HOOKS: list[SessionLifecycleHook] = []

_PARAMETERS: dict[str, tuple[str, ...]] = {
    "on_session_created": ("session_id", "user_id", "provider", "model"),
    "on_message_sent": ("session_id", "message"),
    "on_session_archived": ("session_id",),
    "on_session_restored": ("session_id",),
    "on_session_deleted": ("session_id",),
    "on_session_rebuilt": ("session_id", "provider", "reason"),
    "on_session_handoff": ("session_id", "provider", "model"),
    "on_session_error": ("session_id", "error"),
}
HOOK_POINTS = tuple(_PARAMETERS)
"""The methods a lifecycle hook may have."""


def add_global_lifecycle_hook(hook: SessionLifecycleHook) -> None:
    """Add a hook to every manager of this process, present and future."""
    GLOBAL_HOOKS.append(hook)


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
        name = getattr(method, "__qualname__", point)
        try:
            with self._telemetry.hook(name=name, point=point, session_id=values["session_id"]):
                positional, named = _arguments(method, point, values)
                result = method(*positional, **named)
                if inspect.isawaitable(result):
                    await result
        except Exception as error:  # noqa: BLE001 - a hook is the user's code: its failure is theirs, the operation goes on
            logger.warning("Lifecycle hook %s failed with %s; the operation went on.", name, type(error).__name__)


def _arguments(method: Callable[..., Any], point: str, values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments a method takes: by name, then what is left in order for other names, `*` and `**`."""
    parameters = inspect.signature(method).parameters.values()
    kinds = {parameter.kind for parameter in parameters}
    left = {name: values[name] for name in _PARAMETERS[point] if name in values}
    named = [item for item in parameters if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)]
    taken = {item.name: left.pop(item.name) for item in named if item.name in left}
    for item in named:
        if item.name not in taken and left:
            taken[item.name] = left.pop(next(iter(left)))
    takes_more = inspect.Parameter.VAR_POSITIONAL in kinds
    in_order = [item for item in named if item.kind is item.POSITIONAL_ONLY or (takes_more and not _by_name(item))]
    positional = [taken.pop(item.name) for item in in_order if item.name in taken]
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return positional, {**taken, **left}
    return [*positional, *left.values()] if takes_more else positional, taken


def _by_name(parameter: inspect.Parameter) -> bool:
    return parameter.kind is parameter.KEYWORD_ONLY


class LoggingHook(SessionLifecycleHook):
    """Logs what happens to sessions: ids and names, never content.

    Args:
        level: The logging level of the lines.
    """

    def __init__(self, level: int = logging.INFO) -> None:
        self._level = level

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
        """Log a failed turn, by the kind of error only."""
        logger.log(max(self._level, logging.WARNING), "Session %s failed: %s.", session_id, type(error).__name__)
