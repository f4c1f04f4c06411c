"""Any LangChain chat model answers sessions: pass it to `providers`. Here one that needs no key.

With a package of LangChain's it is the same: providers={"mychat": ChatOpenAI(model="...")}.
"""

from __future__ import annotations

import asyncio
from itertools import cycle

from langchain_core.language_models import GenericFakeChatModel

from langswarm_sessions import create_session_manager


async def main() -> None:
    chat = GenericFakeChatModel(messages=cycle(["In a monastery, it is quiet there.", "Around the corner."]))
    async with create_session_manager(storage="memory", providers={"mychat": chat}) as manager:
        session = await manager.create_session("alice", "mychat", "fake")
        async for piece in session.send_message_stream("Where shall I sleep in Rome?"):
            print(piece, end="", flush=True)
        print()
        print((await session.send_message("And eat?")).content)
        for message in await session.get_messages():
            print(f"  {message.role:<9} {message.content}")


if __name__ == "__main__":
    asyncio.run(main())
