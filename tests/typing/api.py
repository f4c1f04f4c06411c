"""The public interface as a type checker sees it: read by mypy and pyright, never run."""

from __future__ import annotations

from datetime import datetime
from typing import assert_type

from langswarm_sessions import (
    Analytics,
    BlockingSession,
    BlockingSessionManager,
    MessageStream,
    Page,
    Session,
    SessionContext,
    SessionManager,
    SessionMessage,
    SessionMetrics,
    SessionStatus,
    create_session_manager,
)


def managers() -> None:
    assert_type(create_session_manager(), SessionManager)
    assert_type(create_session_manager(storage="memory", blocking=False), SessionManager)
    assert_type(create_session_manager(blocking=True), BlockingSessionManager)
    create_session_manager(blokcing=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def sessions(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "mock-model", strategy="native")
    assert_type(session, Session)
    assert_type(await manager.get_session("id"), Session)
    assert_type(await manager.get_user_sessions("user", limit=10), Page[Session])
    assert_type(await manager.get_analytics(), Analytics)
    assert_type(await manager.import_conversation(await session.export_conversation(), user_id="user"), Session)
    assert_type(session.session_id, str)
    assert_type(session.status, SessionStatus)
    assert_type(session.created_at, datetime)
    assert_type(session.provider_session_id, str | None)
    await manager.create_session("user", "mock")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def turns(session: Session) -> None:
    reply = await session.send_message("hi", metadata={"a": 1}, idempotency_key="k", timeout=1.5)
    assert_type(reply, SessionMessage)
    assert_type(reply.content, str)
    stream = session.send_message_stream("hi")
    assert_type(stream, MessageStream)
    async for chunk in stream:
        assert_type(chunk, str)
    assert_type(await session.get_context(), SessionContext)
    assert_type(await session.get_metrics(), SessionMetrics)
    await session.send_message("hi", metdata={})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def blocking(manager: BlockingSessionManager) -> None:
    session = manager.create_session("user", "mock", "mock-model")
    assert_type(session, BlockingSession)
    assert_type(session.send_message("hi"), SessionMessage)
    assert_type(manager.import_conversation(session.export_conversation()), BlockingSession)
    assert_type(manager.get_user_sessions("user"), Page[BlockingSession])
    for chunk in session.send_message_stream("hi"):
        assert_type(chunk, str)
    manager.create_session("user", "mock")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
