"""How each hook of the contract is played: it is called, fails, or is cancelled while it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from langswarm_sessions import ProviderUnavailableError, SessionLifecycleHook
from tests.support.contract.stage import Act, Stage

__all__ = ["HOOK_ACTS"]


class Told(SessionLifecycleHook):
    """A hook with one method; what it does is said later."""

    def __init__(self) -> None:
        self.does: Callable[[], Awaitable[None]] | None = None


def _told(point: str) -> Told:
    async def method(self: Told) -> None:
        if self.does is not None:
            await self.does()

    method.__name__, method.__qualname__ = point, f"Told.{point}"
    kind: type[Told] = type("Told", (Told,), {point: method})
    return kind()


def _hook_act(point: str, does: Callable[[Stage], Awaitable[Any]], **options: Any) -> Act:
    def hooks() -> list[Told]:
        return [_told(point)]

    async def raises() -> None:
        raise ValueError("not to be seen")

    async def fails(stage: Stage) -> None:
        _only(stage).does = raises

    async def waits(stage: Stage) -> None:
        _only(stage).does = stage.wait

    return Act(does, hooks=hooks, error=fails, error_type="ValueError", held=waits, **options)


def _only(stage: Stage) -> Told:
    [hook] = stage.manager._services.hooks.hooks
    assert isinstance(hook, Told)
    return hook


async def _failing_turn(stage: Stage) -> None:
    await stage.failing_provider()
    with suppress(ProviderUnavailableError):
        await stage.session.send_message("hi")


HOOK_ACTS: dict[str, Act] = {
    "on_session_created": _hook_act(
        "on_session_created", lambda stage: stage.manager.create_session("user", "mock", "mock-model")
    ),
    "on_message_sent": _hook_act("on_message_sent", lambda stage: stage.session.send_message("hi")),
    "on_session_archived": _hook_act("on_session_archived", lambda stage: stage.session.archive()),
    "on_session_restored": _hook_act(
        "on_session_restored", lambda stage: stage.session.restore(), before=Stage.archived
    ),
    "on_session_deleted": _hook_act("on_session_deleted", lambda stage: stage.session.delete()),
    "on_session_rebuilt": _hook_act(
        "on_session_rebuilt", lambda stage: stage.session.send_message("hi"), strategy="hybrid"
    ),
    "on_session_handoff": _hook_act("on_session_handoff", lambda stage: stage.session.handoff("mock", "other-model")),
    "on_session_error": _hook_act("on_session_error", _failing_turn),
}
