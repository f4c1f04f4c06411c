"""How each operation of the contract is played: well, failing, cancelled, left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from langswarm_sessions import SessionMessage
from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.messages import as_message
from langswarm_sessions.records import Amendment, TurnOptions
from langswarm_sessions.session.inputs import turn_input
from tests.importing.sources import Listed
from tests.support.contract.hook_acts import HOOK_ACTS
from tests.support.contract.stage import Act, Stage

__all__ = ["ACTS"]

_OURS = "langswarm_sessions."


def _turn(
    does: Callable[[Stage], Awaitable[Any]],
    *,
    leaves: Callable[[Stage], Awaitable[Any]] | None = None,
    before: Callable[[Stage], Awaitable[Any]] | None = None,
) -> Act:
    return Act(
        does,
        before=before,
        error=Stage.failing_provider,
        error_type=_OURS + "ProviderUnavailableError",
        held=Stage.silent_provider,
        leaves=leaves,
    )


def _step(does: Callable[[Stage], Awaitable[Any]], before: Callable[[Stage], Awaitable[Any]] | None = None) -> Act:
    return Act(
        does, before=before, error=Stage.purged, error_type=_OURS + "SessionNotFoundError", held="change_session"
    )


def _write(does: Callable[[Stage], Awaitable[Any]], held: str) -> Act:
    return Act(does, error=Stage.archived, error_type=_OURS + "SessionArchivedError", held=held)


def _sweep(
    does: Callable[[Stage], Awaitable[Any]], held: str, before: Callable[[Stage], Awaitable[Any]] | None = None
) -> Act:
    return Act(does, before=before, error=Stage.broken, error_type=_OURS + "SchemaError", held=held, on_disk=True)


async def _read(stream: Any) -> None:
    async for _ in stream:
        pass


async def _leave(stream: Any) -> None:
    async for _ in stream:
        break
    await stream.aclose()


async def _start(stage: Stage) -> None:
    turn = await stage.session.start_turn("hi")
    try:
        await turn.result()
    except asyncio.CancelledError:
        await turn.cancel()
        raise


async def _hold(stage: Stage) -> None:
    async with stage.session.hold_turn():
        if stage.is_to_wait:
            await stage.wait()


async def _will_wait(stage: Stage) -> None:
    stage.is_to_wait = True


async def _create(stage: Stage) -> None:
    await stage.manager.create_session("user", "mock", "mock-model", session_id="new")


async def _is_taken(stage: Stage) -> None:
    await stage.quiet.create_session("user", "mock", "mock-model", session_id="new")


async def _open(stage: Stage) -> None:
    provider = "nobody" if stage.is_to_fail else "mock"
    await stage.manager.open_session("new", user_id="user", provider=provider, model="mock-model")


async def _will_fail(stage: Stage) -> None:
    stage.is_to_fail = True


def _handoff(does: Callable[[Stage, str], Awaitable[Any]]) -> Act:
    async def move(stage: Stage) -> None:
        await does(stage, "nobody" if stage.is_to_fail else "mock")

    return Act(move, error=_will_fail, error_type=_OURS + "ConfigurationError", held="change_session")


async def _import(stage: Stage) -> None:
    rows = [("a", "hello"), ("a", 7 if stage.is_to_fail else "again")]
    await stage.manager.import_from(Listed(rows), user_id="ada", provider="mock", model="mock-model", strict=True)


async def _import_export(stage: Stage) -> None:
    data = await stage.session.export_conversation()
    version = 99 if stage.is_to_fail else data["version"]
    await stage.manager.import_conversation({**data, "version": version}, session_id="new")


async def _retract(stage: Stage) -> None:
    [first, *_] = await stage.session.get_messages()
    await stage.session.retract_messages([first.message_id])


async def _blocking_create(stage: Stage) -> None:
    face = BlockingSessionManager(stage.manager)
    await asyncio.to_thread(face.create_session, "user", "mock", "mock-model", session_id="new")


async def _blocking_send(stage: Stage) -> None:
    face = BlockingSessionManager(stage.manager)
    await asyncio.to_thread(lambda: face.get_session("s").send_message("hi"))


async def _blocking_stream(stage: Stage) -> None:
    face = BlockingSessionManager(stage.manager)
    await asyncio.to_thread(lambda: list(face.get_session("s").send_message_stream("hi")))


async def _blocking_leave(stage: Stage) -> None:
    face = BlockingSessionManager(stage.manager)

    def leave() -> None:
        with face.get_session("s").send_message_stream("hi") as stream:
            next(stream)

    await asyncio.to_thread(leave)


def _tool_act(*, called: str = "clock", error_type: str = "ValueError") -> Act:
    async def send(stage: Stage) -> None:
        async def clock() -> str:
            """Tell the time."""
            if stage.is_to_wait:
                await stage.wait()
            if stage.is_to_fail:
                raise ValueError("no time")
            return "noon"

        await stage.session.resume_tools([clock])

    return Act(
        send, before=lambda stage: stage.calls_tool(called), error=_will_fail, held=_will_wait, error_type=error_type
    )


ACTS: dict[str, Act] = {
    "SessionManager.create_session": Act(
        _create, error=_is_taken, error_type=_OURS + "SessionExistsError", held="insert_session"
    ),
    "SessionManager.open_session": Act(
        _open, error=_will_fail, error_type=_OURS + "ConfigurationError", held="insert_session"
    ),
    "SessionManager.archive_session": _step(lambda stage: stage.manager.archive_session("s")),
    "SessionManager.restore_session": _step(lambda stage: stage.manager.restore_session("s"), Stage.archived),
    "SessionManager.delete_session": _step(lambda stage: stage.manager.delete_session("s")),
    "SessionManager.handoff": _handoff(lambda stage, to: stage.manager.handoff("s", to, "other-model")),
    "SessionManager.send_message": _turn(lambda stage: stage.manager.send_message("s", "hi")),
    "SessionManager.append_messages": _write(
        lambda stage: stage.manager.append_messages("s", [SessionMessage(role="user", content="hi")]),  # type: ignore[arg-type]
        "append_messages",
    ),
    "SessionManager.import_from": Act(
        _import, error=_will_fail, error_type=_OURS + "ImportFormatError", held="insert_session"
    ),
    "SessionManager.import_conversation": Act(
        _import_export, error=_will_fail, error_type=_OURS + "ImportFormatError", held="insert_conversation"
    ),
    "SessionManager.cleanup_inactive_sessions": _sweep(
        lambda stage: stage.manager.cleanup_inactive_sessions(0), "change_status"
    ),
    "SessionManager.cleanup_archived_sessions": _sweep(
        lambda stage: stage.manager.cleanup_archived_sessions(0), "change_status", Stage.archived
    ),
    "SessionManager.run_cleanup": _sweep(lambda stage: stage.manager.run_cleanup(), "list_sessions"),
    "SessionManager.cleanup_deleted_sessions": _sweep(
        lambda stage: stage.manager.cleanup_deleted_sessions(0),
        "purge_sessions",
        lambda stage: stage.quiet.delete_session("s"),
    ),
    "SessionManager.optimize_storage": Act(
        lambda stage: stage.manager.optimize_storage(),
        error=lambda stage: stage.storage.close(),
        error_type=_OURS + "StorageError",
        held="optimize",
        on_disk=True,
    ),
    "Session.send_message": _turn(lambda stage: stage.session.send_message("hi")),
    "Session.send_message_stream": _turn(
        lambda stage: _read(stage.session.send_message_stream("hi")),
        leaves=lambda stage: _leave(stage.session.send_message_stream("a b c")),
    ),
    "Session.send_tool_results": _turn(
        lambda stage: stage.session.send_tool_results([{"tool_call_id": "call_1", "content": "noon"}]),
        before=Stage.calls_tool,
    ),
    "Session.resume_tools": _turn(_tool_act().does, before=Stage.calls_tool),
    "Session.start_turn": _turn(_start),
    "Session.run_turn": _turn(
        lambda stage: stage.session.run_turn(_input(stream=False)).result(),
        leaves=lambda stage: _leave(stage.session.run_turn(_input(stream=True))),
    ),
    "Session.hold_turn": Act(
        _hold,
        error=Stage.archived,
        error_type=_OURS + "SessionArchivedError",
        held=_will_wait,
    ),
    "Session.archive": _step(lambda stage: stage.session.archive()),
    "Session.restore": _step(lambda stage: stage.session.restore(), Stage.archived),
    "Session.delete": _step(lambda stage: stage.session.delete()),
    "Session.clear_messages": _step(lambda stage: stage.session.clear_messages()),
    "Session.handoff": _handoff(lambda stage, to: stage.session.handoff(to, "other-model")),
    "Session.add_message": _write(lambda stage: stage.session.add_message("user", "hi"), "append_messages"),
    "Session.send_system_message": _write(lambda stage: stage.session.send_system_message("hi"), "append_messages"),
    "Session.amend": _write(lambda stage: stage.session.amend(Amendment(append=(as_message("hi"),))), "amend_session"),
    "Session.retract_messages": _write(_retract, "amend_session"),
    "Session.update_context": _step(lambda stage: stage.session.update_context({"a": 1})),
    "Session.update_config": _step(lambda stage: stage.session.update_config({"name": "n"})),
    "provider_session.send_message": _turn(lambda stage: stage.session.provider_session.send_message("hi")),
    "provider_session.send_message_stream": _turn(
        lambda stage: _read(stage.session.provider_session.send_message_stream("hi")),
        leaves=lambda stage: _leave(stage.session.provider_session.send_message_stream("a b c")),
    ),
    "provider_session.update_provider_config": _step(
        lambda stage: stage.session.provider_session.update_provider_config({"temperature": 0.5})
    ),
    "BlockingSessionManager.create_session": Act(
        _blocking_create, error=_is_taken, error_type=_OURS + "SessionExistsError"
    ),
    "BlockingSession.send_message": _turn(_blocking_send),
    "BlockingSession.send_message_stream": _turn(_blocking_stream, leaves=_blocking_leave),
    "a tool": _tool_act(),
    "a tool that there is not": _tool_act(called="sundial", error_type="UnknownTool"),
    "a rebuild": Act(  # the manager's mock knows nothing of the thread that another one's began
        lambda stage: stage.session.send_message("hi"),
        error=Stage.failing_provider_after_loss,
        error_type=_OURS + "ProviderUnavailableError",
        held=Stage.silent_provider,
        strategy="hybrid",
    ),
    "a summary": Act(
        lambda stage: stage.session.send_message("hi"),
        before=Stage.long_conversation,
        error=_will_fail,
        error_type="ValueError",
        held=_will_wait,
    ),
    **HOOK_ACTS,
}


def _input(*, stream: bool) -> Any:
    return turn_input([as_message("a b c")], options=TurnOptions(), idempotency_key=None, timeout=None, stream=stream)
