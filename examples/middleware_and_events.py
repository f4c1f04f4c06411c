"""What wraps a turn, and what hears of it. Run: python examples/middleware_and_events.py"""

from __future__ import annotations

import asyncio

from langswarm_sessions import (
    RedactionMiddleware,
    SessionContext,
    SessionLifecycleHook,
    SessionMessage,
    SessionMiddleware,
    create_session_manager,
)


class Politeness(SessionMiddleware):
    """Sees every message before it is stored: the user's on its way in, the model's on its way out."""

    async def process_message(
        self, session_id: str, message: SessionMessage, context: SessionContext
    ) -> SessionMessage | None:
        """Edit the message; returning None keeps it as edited, too."""
        if message.role == "user" and "please" not in message.content.lower():
            message.content += " Please."
        return message


class Counter(SessionLifecycleHook):
    """Hears of what happened. A hook that fails never fails the turn."""

    answers = 0

    async def on_message_sent(self, session_id: str, message: SessionMessage) -> None:
        """Count an answer, once it is stored."""
        self.answers += 1


async def main() -> None:
    counter = Counter()
    # Inputs pass the middleware in this order, answers in the reverse one. What is redacted is never stored or sent.
    redaction = RedactionMiddleware([r"\b\d{4}-\d{4}\b"])
    async with create_session_manager(
        storage="memory", middleware=[redaction, Politeness()], hooks=[counter]
    ) as manager:
        events = manager.session_events()  # from now on
        session = await manager.create_session("ada", "mock", "mock-model")
        print((await session.send_message("My card is 1234-5678.")).content)
        await session.archive()

        # Events are queued for each reader; a slow one never slows a turn.
        async for event in events:
            print(f"event: {event.type} {event.message_preview or ''}")
            if event.type == "session_archived":
                break
    print(f"the hook heard of {counter.answers} answer")


asyncio.run(main())
