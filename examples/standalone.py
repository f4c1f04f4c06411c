"""Conversations with a manager and sessions, in async code. Run: python examples/standalone.py"""

from __future__ import annotations

import asyncio

from langswarm_sessions import create_session_manager


async def main() -> None:
    # Without arguments a manager stores in ./langswarm_sessions.db; "memory" forgets at the end of the process.
    async with create_session_manager(storage="memory") as manager:
        # Who talks, who answers, and with which model. The mock provider needs no key.
        session = await manager.create_session(
            "ada",
            "mock",
            "mock-model",
            session_config={"name": "Trip to Lisbon", "tags": ["travel"]},
        )

        # A message and its answer are both stored when this returns.
        reply = await session.send_message("Where shall I stay in Lisbon?")
        print(f"{reply.role}: {reply.content}")

        # The same key again returns the recorded answer: a retry after a lost connection costs nothing.
        for _ in range(2):
            reply = await session.send_message("Book it.", idempotency_key="booking-1")
        print(f"{reply.role}: {reply.content}")

        # Values of your own, kept beside the conversation.
        await session.update_context({"currency": "EUR"})
        context = await session.get_context()
        print(f"context: currency = {context.get('currency')}")

        print("\nThe transcript:")
        for message in await session.get_messages():
            print(f"  {message.timestamp:%H:%M:%S} {message.role:9} {message.content}")

        metrics = await session.get_metrics()
        print(f"\n{metrics.total_messages} messages, {metrics.total_tokens} tokens")

        # Sessions are found by user, tags, or text in their name; archived ones refuse turns until restored.
        await session.archive()
        for found in await manager.search_sessions(user_id="ada", tags=["travel"]):
            print(f"found: {found.config.name} ({found.status})")


asyncio.run(main())
