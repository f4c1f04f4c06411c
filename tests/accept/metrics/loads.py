"""What the scraped processes do: everything a metric is recorded of, and thousands of sessions."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider

from langswarm_sessions import (
    ModelPrice,
    RetryPolicy,
    Session,
    SessionError,
    SessionLifecycleHook,
    SessionManager,
    SessionMessage,
    ToolCall,
)
from langswarm_sessions.ids import new_id
from langswarm_sessions_otel import Telemetry
from tests.support.openai_server import OpenAIServer

__all__ = ["LOADS"]

SHARED = "shared"
_PRICES = {"mock/m": ModelPrice(input=2, output=10)}
_AT_ONCE = RetryPolicy(max_attempts=2, initial_delay=0, jitter=0)


def _manager(database: str, **settings: Any) -> SessionManager:
    settings = {"prices": _PRICES, "retry": _AT_ONCE, "providers": {"mock": None}, **settings}
    return SessionManager("sqlite", storage_config={"db_path": database}, **settings)


async def mixed(database: str) -> None:
    """Do once each of what happens to sessions."""
    async with _manager(database, hooks=[_Audit()]) as manager:
        session = await manager.create_session("user", "mock", "m")
        await _talk(session)
        await _lose_thread(session)
        await _fail(session)
        await _break_off(session)
        await _use_tool(session)
        await _wait_in_line(session)
        await _talk(await manager.create_session("user", "mock", "m", strategy="client"))
        await session.handoff("mock", "other")
        await session.send_message("to the other model")
        await session.archive()
        await session.restore()
        await session.delete()
        await manager.cleanup_deleted_sessions(0)
    await _summarise(database)
    await _hit_limits(database)
    await _break_storage(database)
    await _break_telemetry(database)


async def over_http(database: str) -> None:
    """Talk to a provider on the loopback interface, native and client, and lose a thread there."""
    with OpenAIServer() as server:
        credentials = {"openai": {"api_key": server.api_key, "base_url": server.base_url}}
        async with _manager(database, providers=credentials) as manager:
            for strategy in ("native", "client"):
                await _talk(await manager.create_session("user", "openai", "gpt-5", strategy=strategy))
            session = await manager.create_session("user", "openai", "gpt-5")
            await session.send_message("one")
            server.forget()
            await session.send_message("two")


async def share(database: str, turns: int) -> None:
    """Send turns of the session that another process sends turns of as well."""
    async with _manager(database) as manager:
        session = await manager.open_session(SHARED, user_id="user", provider="mock", model="m")
        session.provider_session.set_pace(0.02)
        for number in range(turns):
            await session.send_message(f"turn {number}")


async def hold(database: str) -> None:
    """Begin a turn of the shared session that goes on, and is lost: another process takes the session over."""
    async with _manager(database, lease_seconds=1.0) as manager:
        session = await manager.open_session(SHARED, user_id="user", provider="mock", model="m")

        async def forever() -> AsyncIterator[str]:
            print("holds", flush=True)
            while True:
                await asyncio.sleep(0.05)
                yield "on and on "

        session.provider_session.set_responses([forever()])
        with suppress(SessionError):
            await session.send_message("to be taken over")


async def crowd(database: str, first: int, last: int) -> None:
    """Give each of many sessions a short life, with all that metrics have attributes for."""
    async with _manager(database) as manager:
        for number in range(first, last):
            await _live(manager, number)


async def _live(manager: SessionManager, number: int) -> None:
    strategy = "client" if number % 3 == 0 else "hybrid"
    session = await manager.create_session(f"user-{number}", "mock", "m", strategy=strategy, session_id=f"s-{number}")
    if number % 10 == 1:
        await _fail(session, "auth")
    if number % 10 == 2:
        stream = session.send_message_stream(f"streamed {number}")
        async for _ in stream:
            pass
    else:
        await session.send_message(f"hello from {number}")
    if number % 10 == 3:
        await _lose_thread(session)
    if number % 5 == 0:
        await session.archive()
    if number % 7 == 0:
        await session.delete()


async def _talk(session: Session) -> None:
    for number in range(2):
        await session.send_message(f"question {number}")
    stream = session.send_message_stream("streamed")
    async for _ in stream:
        pass


async def _lose_thread(session: Session) -> None:
    await session.send_message("remember this")
    session.provider_session.forget()
    await session.send_message("what was it?")


async def _fail(session: Session, *faults: str) -> None:
    for fault in faults or ("timeout", "auth", "drop"):
        session.provider_session.fail_next(fault, times=1 if fault == "auth" else 2)  # the others are tried again
        with suppress(SessionError):
            await session.send_message("this fails")


async def _break_off(session: Session) -> None:
    session.provider_session.set_pace(0.01)
    stream = session.send_message_stream("nobody reads this to its end, long as it may be")
    await anext(stream)
    await stream.aclose()
    session.provider_session.set_pace(0)


async def _use_tool(session: Session) -> None:
    def clock() -> str:
        """Tell the time."""
        return "noon"

    session.provider_session.set_responses([[ToolCall(id="c1", name="clock")], "It is noon."])
    await session.send_message("What time is it?", tools=[clock], run_tools=True)


async def _wait_in_line(session: Session) -> None:
    session.provider_session.set_pace(0.02)
    await asyncio.gather(*(session.send_message(f"at once {number}") for number in range(3)))
    session.provider_session.set_pace(0)


async def _summarise(database: str) -> None:
    """Let turns fall out of the window, into a summary."""
    async with _manager(database, summarizer=_summary) as manager:
        short = {"max_messages": 4}
        session = await manager.create_session("user", "mock", "m", strategy="client", session_config=short)
        for number in range(6):
            await session.send_message(f"question {number}")


def _summary(messages: Sequence[SessionMessage]) -> str:
    return f"{len(messages)} messages"


async def _hit_limits(database: str) -> None:
    """Wait for a place within the limits a minute; wait in vain for a session; meet an open circuit."""
    limits = {"mock": {"requests_per_minute": 1, "circuit_breaker": {"failure_threshold": 1}}}
    async with _manager(database, providers=limits, turn_wait=0.05) as manager:
        session = await manager.create_session("user", "mock", "m")
        await session.send_message("the only one of this minute")
        waiting = asyncio.ensure_future(session.send_message("one too many"))
        await asyncio.sleep(0.1)
        with suppress(SessionError):
            await session.send_message("not while the other one waits")
        waiting.cancel()
        with suppress(asyncio.CancelledError, SessionError):
            await waiting
    broken = {"mock": {"circuit_breaker": {"failure_threshold": 1}}}
    async with _manager(database, providers=broken) as manager:
        session = await manager.create_session("user", "mock", "m")
        session.provider_session.fail_next("unavailable", times=2)
        for _ in range(3):
            with suppress(SessionError):
                await session.send_message("the provider is down")


async def _break_storage(database: str) -> None:
    """Take the tables away from under a session."""
    path = f"{database}.{new_id()}"
    async with _manager(path) as manager:
        session = await manager.create_session("user", "mock", "m")
        await session.send_message("as long as there is a table")
        with sqlite3.connect(path) as connection:
            connection.execute("ALTER TABLE turns RENAME TO gone")
        connection.close()
        with suppress(SessionError):
            await session.send_message("and now?")


class _Audit(SessionLifecycleHook):
    """A hook that fails for turns that failed."""

    async def on_session_error(self, session_id: str, error: Exception) -> None:
        raise RuntimeError("a hook of somebody's that fails")


class _Broken(SpanProcessor):
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        raise RuntimeError("a processor of somebody's that fails")


async def _break_telemetry(database: str) -> None:
    """Have spans fail, which no turn hears of."""
    provider = TracerProvider()
    provider.add_span_processor(_Broken())
    telemetry = Telemetry(tracer_provider=provider, meter_provider=metrics.get_meter_provider())
    async with _manager(database, telemetry=telemetry) as manager:
        session = await manager.create_session("user", "mock", "m")
        await session.send_message("untraced")


LOADS: Mapping[str, Callable[..., Awaitable[None]]] = {
    "mixed": mixed,
    "over_http": over_http,
    "share": share,
    "hold": hold,
    "crowd": crowd,
}
"""Loads by the name that a process is told."""
