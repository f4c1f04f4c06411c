"""A provider of your own: anything that answers. Run: python examples/own_provider.py"""

from __future__ import annotations

import asyncio
from typing import Any

from langswarm_sessions import ProviderSession, SessionMessage, create_session_manager


class Parrot(ProviderSession):
    """Repeats. One object is made for each session.

    Because `send_message` takes `history`, it is given the conversation so far, and its sessions survive a restart.
    Without that parameter it would be given the new input only, and would have to remember by itself.
    """

    def __init__(self, session_id: str, model: str, config: dict[str, Any]) -> None:
        self.provider_session_id = f"parrot-of-{session_id}"
        self.model = model
        self.loud = bool(config.get("loud"))

    async def send_message(
        self,
        content: str,
        role: str = "user",
        metadata: dict[str, Any] | None = None,
        history: list[SessionMessage] | None = None,
    ) -> str:
        """Answer; streaming is an async generator `send_message_stream` beside it, where you have one."""
        heard = len(history or [])
        return f"{content.upper() if self.loud else content} (after {heard} earlier messages)"

    async def get_provider_metadata(self) -> dict[str, Any]:
        """Say what is known of the provider's side, without secrets."""
        return {"species": self.model}

    async def update_provider_config(self, config: dict[str, Any]) -> None:
        """Take changed settings."""
        self.loud = bool(config.get("loud", self.loud))

    async def cleanup_provider_resources(self) -> None:
        """Release what is held: the session is deleted, or the manager closes."""
        print("the parrot flies away")


async def main() -> None:
    # The class is its own factory; ProviderSessionFactory.register_provider("parrot", Parrot) does it for all managers.
    async with create_session_manager(storage="memory", providers={"parrot": Parrot}) as manager:
        session = await manager.create_session("ada", "parrot", "macaw", provider_config={"loud": True})
        for line in ("hello", "pretty bird"):
            reply = await session.send_message(line)
            print(f"{reply.role}: {reply.content}")
        print(await session.get_provider_metadata())


asyncio.run(main())
