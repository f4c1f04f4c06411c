"""Logging middleware: every message, without its content unless asked."""

from __future__ import annotations

import logging

from langswarm_sessions.checks import check_level
from langswarm_sessions.interfaces.hooks import SessionMiddleware
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import SessionContext

__all__ = ["LoggingMiddleware"]

logger = logging.getLogger(__name__)


class LoggingMiddleware(SessionMiddleware):
    """Logs role and length of every message that passes.

    Args:
        level: The logging level of the lines, as a number or a name.
        include_content: Also log what was said. Off by default: logs are read by more people than conversations.

    Raises:
        ConfigurationError: There is no such level.
    """

    def __init__(self, level: int | str = logging.INFO, *, include_content: bool = False) -> None:
        self._level = check_level(level, field="LoggingMiddleware: level")
        self._include_content = include_content

    async def process_message(
        self, session_id: str, message: SessionMessage, context: SessionContext
    ) -> SessionMessage | None:
        """Log the message and pass it on unchanged."""
        logger.log(
            self._level, "Session %s: %s message of %d characters.", session_id, message.role, len(message.content)
        )
        if self._include_content:
            logger.log(self._level, "Session %s: %s: %s", session_id, message.role, message.content)
        return message

    async def process_chunk(self, session_id: str, chunk: str, context: SessionContext) -> str:
        """Pass streamed text on unchanged."""
        return chunk
