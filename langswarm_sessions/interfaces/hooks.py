"""Middleware and lifecycle hooks: what wraps a turn, and what hears of it."""

from __future__ import annotations

from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import SessionContext

__all__ = ["SessionLifecycleHook", "SessionMiddleware"]


class SessionMiddleware:
    """Sees and may edit every message: the input before it is stored, the answer before it is stored.

    A middleware that also has `async process_chunk(session_id, chunk, context) -> str` sees streamed text as it
    comes; `async finish_chunks(session_id, context) -> str` (optional) returns what it held back. Without
    `process_chunk` a stream is buffered and shown once the whole answer was processed.
    `context.turn_state` is scratch space that lives for one turn.
    """

    async def process_message(
        self, session_id: str, message: SessionMessage, context: SessionContext
    ) -> SessionMessage | None:
        """Return the message to go on with; None keeps the (edited) one."""
        return message


class SessionLifecycleHook:
    """Hears of what happened, after it was stored. Every method does nothing until overridden.

    A failing hook never fails the operation: it is logged and marked on a span. A method that takes fewer arguments
    is given those it takes.
    """

    async def on_session_created(self, session_id: str, user_id: str, provider: str, model: str) -> None:
        """A session was created."""

    async def on_message_sent(self, session_id: str, message: SessionMessage) -> None:
        """A turn was completed; `message` is the answer."""

    async def on_session_archived(self, session_id: str) -> None:
        """A session was archived."""

    async def on_session_restored(self, session_id: str) -> None:
        """An archived or deleted session was restored."""

    async def on_session_deleted(self, session_id: str) -> None:
        """A session was deleted."""

    async def on_session_rebuilt(self, session_id: str, provider: str, reason: str) -> None:
        """A provider had lost the conversation; it was rebuilt from the transcript."""

    async def on_session_handoff(self, session_id: str, provider: str, model: str) -> None:
        """The session went on with another provider or model."""

    async def on_session_error(self, session_id: str, error: Exception) -> None:
        """A turn failed."""
