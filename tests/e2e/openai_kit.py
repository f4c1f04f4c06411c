"""For tests of sessions over the real OpenAI SDK: a server that minds who owns the history, two ways to ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from langswarm_sessions import Session, SessionManager, SessionMessage
from tests.session.kit import OpenManager, Rows, rows_of
from tests.support.openai_server import OpenAIServer
from tests.support.openai_server.context import kind_of, text_of
from tests.support.recorded import Recorded

__all__ = ["CLOCK", "Item", "Say", "kinds", "manager", "recorded", "said", "say", "sent", "server", "turns_of"]

CLOCK: dict[str, Any] = {"name": "clock", "parameters": {"type": "object"}}

Item = dict[str, Any]
Say = Callable[..., Awaitable[SessionMessage]]


@pytest.fixture
def server(openai_environment: OpenAIServer) -> Iterator[OpenAIServer]:
    """The test's server; afterwards no request may have repeated what the state it continued already held."""
    yield openai_environment
    openai_environment.wait_until_idle()
    _check_one_owner(openai_environment)


@pytest.fixture
def recorded() -> Recorded:
    """What the manager's telemetry says."""
    return Recorded()


@pytest.fixture
def manager(server: OpenAIServer, open_manager: OpenManager, recorded: Recorded) -> SessionManager:
    """A manager over a database file whose OpenAI is the test's server."""
    return open_manager(telemetry=recorded.telemetry())


@pytest.fixture(params=["plain", "stream"])
def say(request: pytest.FixtureRequest) -> Say:
    """Say something and return the answer, at once and in a stream in turn."""
    return _plain if request.param == "plain" else _streamed


async def _plain(session: Session, text: str, **options: Any) -> SessionMessage:
    return await session.send_message(text, **options)


async def _streamed(session: Session, text: str, **options: Any) -> SessionMessage:
    stream = session.send_message_stream(text, **options)
    read = "".join([chunk async for chunk in stream])
    assert read == stream.message.content
    return stream.message


def sent(server: OpenAIServer, at: int = -1) -> Item:
    """Return the body of one request for an answer."""
    body = server.creates[at].body
    assert body is not None
    return dict(body)


def kinds(body: Item) -> list[str]:
    """Return what the items of a request are."""
    return [item["type"] for item in body["input"]]


def said(role: str, text: str) -> Item:
    """Return a message as it goes over the wire."""
    return {"type": "message", "role": role, "content": text}


async def turns_of(manager: SessionManager, session: Session) -> Rows:
    """Return how the turns of a session ended, as the database has it."""
    statement = (
        "SELECT state, mode, retries, rebuilds, error_type FROM turns WHERE session_id = :session ORDER BY turn_index"
    )
    return await rows_of(manager, statement, session=session.session_id)


def _check_one_owner(server: OpenAIServer) -> None:
    views = {view.response_id: view for view in server.model_views}
    for request in server.creates:
        body: Item = dict(request.body or {})
        owners = {"conversation", "previous_response_id"} & set(body)
        assert len(owners) <= 1
        if not owners or request.response_id is None:
            continue
        context = [_key(item) for item in views[request.response_id].items]
        own = len(body["input"])
        repeated = set(context[:-own]) & set(context[-own:])
        assert not repeated, f"sent again beside {owners}: {repeated}"


def _key(item: Any) -> tuple[str, str, str]:
    return kind_of(item), text_of(item), str(item.get("call_id", ""))
