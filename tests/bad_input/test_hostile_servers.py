"""Servers that mean no good: they send the key elsewhere, never come to an end, or never stop to speak."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from langswarm_sessions import ProviderError, Session, SessionManager
from tests.bad_input.kit import WIRES, discreet
from tests.kills.kinds import Kind
from tests.session.kit import OpenManager

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
MOMENT = 0.002
PATIENCE = 0.4
REDIRECTS = (301, 302, 303, 307, 308)

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]
Say = Callable[..., Awaitable[str]]


async def _comments(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while True:
        writer.write(b": still here\n\n")
        await writer.drain()
        await asyncio.sleep(MOMENT)


async def _one_line(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"data: ")
    while True:
        writer.write(b"x" * 4096)
        await writer.drain()
        await asyncio.sleep(MOMENT)


async def _pings(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while True:
        writer.write(b'event: ping\ndata: {"type": "ping"}\n\n')
        await writer.drain()
        await asyncio.sleep(MOMENT)


async def _no_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x-odd: " + b"x" * 100 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(MOMENT)


ENDLESS: tuple[Answering, ...] = (_comments, _one_line, _pings, _no_head)


@asynccontextmanager
async def _server(answer: Answering, asked: list[bytes] | None = None) -> AsyncGenerator[str]:
    """Answer every request alike; what was asked is noted."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if asked is not None:
                asked.append(head)
            await answer(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        host, port = listening.sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}"


@pytest.fixture(params=WIRES)
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


@pytest.fixture
def opened(kind: Kind, open_manager: OpenManager) -> Callable[[str], Awaitable[Session]]:
    """Open a session whose provider is at an address."""

    async def open_at(base_url: str) -> Session:
        manager: SessionManager = open_manager(
            "memory", providers={kind.provider: {"api_key": "canary-key-7f3a", "base_url": base_url}}
        )
        return await manager.create_session("user", kind.provider, "m", provider_config=dict(kind.config))

    return open_at


@pytest.fixture(params=["send", "stream"])
def say(request: pytest.FixtureRequest) -> Say:
    async def send(session: Session, text: str, **options: Any) -> str:
        return (await session.send_message(text, **options)).content

    async def stream(session: Session, text: str, **options: Any) -> str:
        return "".join([chunk async for chunk in session.send_message_stream(text, **options)])

    return send if request.param == "send" else stream


async def _failed(session: Session, asking: Awaitable[Any], error: type[ProviderError]) -> None:
    with pytest.raises(error) as caught:
        await asking
    discreet(caught.value)
    assert "canary" not in repr(caught.value)
    assert [(message.content, str(message.status)) for message in await session.get_messages()] == [("one", "failed")]


async def test_a_turn_ends_in_time_whatever_is_sent_instead_of_an_answer(
    opened: Callable[[str], Awaitable[Session]], say: Say
) -> None:
    async def one(answer: Answering) -> None:
        async with _server(answer) as address:
            session = await opened(address)
            await _failed(session, say(session, "one", timeout=PATIENCE), ProviderError)

    async with asyncio.timeout(20):
        await asyncio.gather(*map(one, ENDLESS))


async def test_the_key_is_not_carried_elsewhere(opened: Callable[[str], Awaitable[Session]], say: Say) -> None:
    trap: list[bytes] = []
    statuses = iter(REDIRECTS * 9)

    async def nothing(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    async with _server(nothing, trap) as elsewhere:

        async def away(writer: asyncio.StreamWriter) -> None:
            head = f"HTTP/1.1 {next(statuses)} Moved\r\nlocation: {elsewhere}/v1\r\n"
            writer.write(f"{head}content-length: 0\r\nconnection: close\r\n\r\n".encode())

        async with _server(away) as address:
            session = await opened(address)
            await _failed(session, say(session, "one"), ProviderError)
    assert trap == [], "neither the key nor the conversation went there"
