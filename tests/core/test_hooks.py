"""Lifecycle hooks: given what they take, never failing the operation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from langswarm_sessions.hooks import GLOBAL_HOOKS, HookRunner, LoggingHook, MonitoringHook, add_global_lifecycle_hook
from langswarm_sessions.interfaces import SessionLifecycleHook, SessionMessage
from langswarm_sessions.messages import Role, TurnState
from langswarm_sessions.records import FinishTurn, Lease, Usage
from langswarm_sessions_otel import Telemetry
from tests.support.recorded import Recorded

MESSAGE = SessionMessage(role=Role.ASSISTANT, content="canary")
SENT = {"session_id": "s", "message": MESSAGE}
CREATED = {"session_id": "s", "user_id": "u", "provider": "p", "model": "m"}

POINTS: dict[str, dict[str, Any]] = {
    "on_session_created": CREATED,
    "on_message_sent": SENT,
    "on_session_archived": {"session_id": "s"},
    "on_session_restored": {"session_id": "s"},
    "on_session_deleted": {"session_id": "s"},
    "on_session_rebuilt": {"session_id": "s", "provider": "p", "reason": "r"},
    "on_session_handoff": {"session_id": "s", "provider": "p", "model": "m"},
    "on_session_error": {"session_id": "s", "error": ValueError("canary")},
}


@pytest.fixture(autouse=True)
def no_globals() -> Iterator[None]:
    before = list(GLOBAL_HOOKS)
    GLOBAL_HOOKS.clear()
    yield
    GLOBAL_HOOKS[:] = before


def runner(*hooks: Any) -> HookRunner:
    return HookRunner(Telemetry(), hooks)


def hook_with(point: str, method: Callable[..., Any]) -> SessionLifecycleHook:
    hook = SessionLifecycleHook()
    setattr(hook, point, method)
    return hook


# What a hook takes, and what it then holds under its own names.
SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("session_id", {"session_id": "s"}),
    ("message", {"message": MESSAGE}),
    ("session_id, message", SENT),
    ("message, session_id", SENT),
    ("sid, msg", {"sid": "s", "msg": MESSAGE}),
    ("message, sid", {"sid": "s", "message": MESSAGE}),
    ("sid, message", {"sid": "s", "message": MESSAGE}),
    ("session_id, verbose=False", {"session_id": "s", "verbose": False}),
    ("verbose=False, *, session_id", {"verbose": False, "session_id": "s"}),
    ("sid, msg, extra=1", {"sid": "s", "msg": MESSAGE, "extra": 1}),
    ("sid, /, msg", {"sid": "s", "msg": MESSAGE}),
    ("*, message", {"message": MESSAGE}),
    ("*args", {"args": ("s", MESSAGE)}),
    ("sid, *rest", {"sid": "s", "rest": (MESSAGE,)}),
    ("sid, *rest, message", {"sid": "s", "rest": (), "message": MESSAGE}),
    ("**values", {"values": SENT}),
    ("sid, **rest", {"sid": "s", "rest": {"message": MESSAGE}}),
    ("*args, **rest", {"args": (), "rest": SENT}),
]


@pytest.mark.parametrize(("signature", "expected"), SHAPES)
async def test_a_hook_is_given_what_it_takes(signature: str, expected: dict[str, Any]) -> None:
    seen: list[dict[str, Any]] = []
    method: Callable[..., Any] = eval(f"lambda {signature}: note(locals())", {"note": seen.append})
    await runner(hook_with("on_message_sent", method)).run("on_message_sent", **SENT)
    assert seen == [expected]


@pytest.mark.parametrize("point", POINTS)
async def test_every_point_reaches_a_hook_and_does_nothing_by_default(
    point: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[dict[str, Any]] = []

    def note(**values: Any) -> None:
        seen.append(values)

    await runner(SessionLifecycleHook(), hook_with(point, note)).run(point, **POINTS[point])
    assert seen == [POINTS[point]]
    assert not caplog.records


def test_the_points_are_those_of_the_interface() -> None:
    assert set(POINTS) == {name for name in vars(SessionLifecycleHook) if name.startswith("on_")}


async def test_hooks_run_one_after_the_other_global_ones_first() -> None:
    order: list[str] = []

    def noting(name: str) -> SessionLifecycleHook:
        async def note() -> None:
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            order.append(f"{name} ends")

        return hook_with("on_session_archived", note)

    hooks = runner(noting("mine"))
    add_global_lifecycle_hook(noting("global"))
    await hooks.run("on_session_archived", session_id="s")
    assert order == ["global begins", "global ends", "mine begins", "mine ends"]


async def test_plain_objects_instance_methods_and_partials_are_hooks_too() -> None:
    seen: list[str] = []

    class Plain:
        def on_session_archived(self, session_id: str) -> None:
            seen.append(session_id)

    patched = SessionLifecycleHook()
    patched.on_session_archived = partial(lambda word, session_id: seen.append(word + session_id), "p:")  # type: ignore[method-assign, assignment]
    await runner(Plain(), patched, object()).run("on_session_archived", session_id="s")
    assert seen == ["s", "p:s"]


async def test_a_failing_hook_is_logged_without_content_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    def fail(message: SessionMessage) -> None:
        raise ValueError(f"about {message.content}")

    def needs_more(a: str, b: str, c: str) -> None:
        seen.append(a + b + c)

    hooks = runner(
        hook_with("on_message_sent", fail),
        hook_with("on_message_sent", needs_more),
        hook_with("on_message_sent", lambda: seen.append("ran")),
    )
    await hooks.run("on_message_sent", **SENT)
    assert seen == ["ran"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "failed with ValueError" in caplog.text
    assert "failed with TypeError" in caplog.text
    assert "canary" not in caplog.text


async def test_cancelling_a_hook_cancels_the_operation() -> None:
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(
        runner(hook_with("on_session_archived", wait)).run("on_session_archived", session_id="s")
    )
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_each_hook_has_a_span_and_a_failure_marks_it() -> None:
    recorded = Recorded()

    class Good(SessionLifecycleHook):
        async def on_session_archived(self, session_id: str) -> None:
            """Nothing goes wrong here."""

    class Bad(SessionLifecycleHook):
        async def on_session_archived(self, session_id: str) -> None:
            raise RuntimeError("canary")

    await HookRunner(recorded.telemetry(), [Good(), Bad(), SessionLifecycleHook()]).run(
        "on_session_archived", session_id="s"
    )
    good, bad = recorded.spans
    assert good.name.endswith("Good.on_session_archived")
    assert good.status.status_code is not StatusCode.ERROR
    assert bad.name.endswith("Bad.on_session_archived")
    assert bad.status.status_code is StatusCode.ERROR
    assert "canary" not in bad.to_json()


async def test_the_logging_hook_tells_of_every_point_without_content(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hook = LoggingHook(logging.DEBUG)
    told = [point for point in POINTS if getattr(type(hook), point) is not getattr(SessionLifecycleHook, point)]
    for point in told:
        caplog.clear()
        await runner(hook).run(point, **POINTS[point])
        assert caplog.records[-1].getMessage().startswith("Session s ")
        assert "canary" not in caplog.text
    assert len(told) == len(POINTS) - 1  # a handoff is told by whoever makes it
    assert caplog.records[-1].levelno == logging.WARNING


def failed() -> ValueError:
    """An error with a cause and a place, that quotes what was said."""
    try:
        try:
            raise KeyError("canary")
        except KeyError as error:
            raise ValueError("canary") from error
    except ValueError as error:
        return error


async def test_detailed_errors_tell_causes_and_places_and_nothing_that_was_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    await runner(LoggingHook("debug", detailed_errors=True)).run("on_session_error", session_id="s", error=failed())
    told = caplog.records[-1].getMessage()
    assert told.startswith("Session s failed: ValueError")
    assert "caused by KeyError" in told
    assert f"{__file__}:" in told
    assert "in failed" in told
    assert "canary" not in told
    await runner(LoggingHook("debug")).run("on_session_error", session_id="s", error=failed())
    assert caplog.records[-1].getMessage() == "Session s failed: ValueError."


def ended(**figures: Any) -> FinishTurn:
    return FinishTurn(
        lease=Lease(session_id="s", turn_id="t", fence=1),
        state=TurnState.COMPLETED,
        now=datetime.now(UTC),
        provider="p",
        model="m",
        mode="client",
        usage=Usage(total_tokens=7),
        retries=2,
        rebuilds=1,
        **figures,
    )


async def test_monitoring_warns_of_slow_turns_and_tells_failures_with_their_figures(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    hook = runner(MonitoringHook(slow_seconds=2))
    await hook.run("on_message_sent", **SENT, turn=ended(duration_ms=1999.0))
    assert caplog.records[-1].levelno == logging.INFO
    assert "slowly" not in caplog.text
    figures = "2000 ms with p/m, 7 tokens, 2 retries, 1 rebuilds, turn t"
    await hook.run("on_message_sent", **SENT, turn=ended(duration_ms=2000.0))
    assert caplog.records[-1].levelno == logging.WARNING
    assert caplog.records[-1].getMessage() == f"Session s answered slowly: {figures}."
    await hook.run("on_session_error", session_id="s", error=failed(), turn=ended(duration_ms=2000.0))
    assert caplog.records[-1].levelno == logging.ERROR
    assert caplog.records[-1].getMessage() == f"Session s failed: ValueError ({figures})."
    await hook.run("on_session_error", session_id="s", error=failed())
    assert caplog.records[-1].getMessage() == "Session s failed: ValueError (nothing was asked)."
    assert "canary" not in caplog.text


async def test_a_users_hook_is_not_given_the_figures_unasked() -> None:
    given: list[Any] = []

    async def on_message_sent(session_id: str, *others: Any, **more: Any) -> None:
        given.extend([session_id, *others, *more])

    await runner(hook_with("on_message_sent", on_message_sent)).run("on_message_sent", **SENT, turn=ended())
    assert given == ["s", "message"]
