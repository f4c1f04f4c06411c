"""Answers as they come, and what becomes of one that nobody reads to its end. Run: python examples/streaming.py"""

from __future__ import annotations

import asyncio

from langswarm_sessions import create_session_manager


async def main() -> None:
    async with create_session_manager(storage="memory") as manager:
        session = await manager.create_session("ada", "mock", "mock-model")
        # The mock says what it is told to, one word after the other.
        session.provider_session.set_responses(
            ["Once upon a time there was a queen who kept bees.", "They lived on the roof of her castle, and one day"]
        )
        session.provider_session.set_pace(0.05)

        stream = session.send_message_stream("Tell me a story.")
        async for chunk in stream:
            print(chunk, end="", flush=True)
        # What is stored is the final message, the same one that send_message would have returned.
        print(f"\n[{stream.message.status}]\n")

        # Leaving the block ends the turn: what was read is stored, marked as interrupted.
        words = 0
        async with session.send_message_stream("Go on.") as stream:
            async for chunk in stream:
                print(chunk, end="", flush=True)
                words += 1
                if words == 4:
                    break

        last = (await session.get_messages(limit=1))[0]
        print(f"\n[{last.status}] stored: {last.content!r}")

        # The conversation goes on, and the model is told how far it came.
        reply = await session.send_message("Where did they live?")
        print(f"\n{reply.content}")


asyncio.run(main())
