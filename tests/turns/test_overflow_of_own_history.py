"""A provider that keeps its own history is not sent an overflowing input twice: there is nothing to trim."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions import ContextOverflowError, ProviderSession, SessionManager


class Narrow(ProviderSession):
    """Remembers by itself, and has no room left."""

    asked = 0

    async def send_message(self, content: str, role: str = "user", metadata: dict[str, Any] | None = None) -> str:
        type(self).asked += 1
        raise ContextOverflowError("The conversation is longer than the window; clear it.")

    async def get_provider_metadata(self) -> dict[str, Any]:
        return {}

    async def update_provider_config(self, config: dict[str, Any]) -> None:
        pass

    async def cleanup_provider_resources(self) -> None:
        pass


async def test_an_overflow_is_raised_at_once() -> None:
    async with SessionManager("memory", providers={"narrow": Narrow}, telemetry=False) as manager:
        session = await manager.create_session("user", "narrow", "model")
        for text in ("one", "two"):
            await session.add_message("user", text)
        with pytest.raises(ContextOverflowError):
            await session.send_message("three")
    assert Narrow.asked == 1
