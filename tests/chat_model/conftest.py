"""What the tests of the chat model share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from langswarm_sessions import SessionManager, create_session_manager, set_session_manager
from tests.chat_model.brain import ThinkingServer

_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060"
    "000000050001a5f645400000000049454e44ae426082"
)


@pytest.fixture
async def manager() -> AsyncIterator[SessionManager]:
    """A manager on memory."""
    made = create_session_manager(storage="memory")
    yield made
    made.bridge.close()
    await made.close()


@pytest.fixture
def thinking() -> Iterator[ThinkingServer]:
    """A server whose model follows what it is asked; every request must have been one a real server would take."""
    with ThinkingServer() as server:
        yield server
    assert server.violations == [], server.violations


@pytest.fixture
def standard_tests(thinking: ThinkingServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process-wide manager whose OpenAI is the thinking server, and an image for who asks the internet for one."""
    manager = create_session_manager(storage="memory", providers={"openai": thinking.credential}, blocking=True)
    set_session_manager(manager)
    image = httpx.Response(200, content=_PIXEL)

    def image_of(_: str, **__: object) -> httpx.Response:
        return image

    monkeypatch.setattr(httpx, "get", image_of)
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "nobody: nothing leaves this machine")
    yield
    set_session_manager(None)
    manager.close()
