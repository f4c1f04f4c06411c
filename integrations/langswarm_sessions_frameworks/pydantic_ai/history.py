"""A session as the message history of pydantic-ai's agents."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter

from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.ids import new_id
from langswarm_sessions.manager import SessionManager
from langswarm_sessions_frameworks.conversation import Conversation
from langswarm_sessions_frameworks.formats import LossReport, read_as
from langswarm_sessions_frameworks.pydantic_ai.format import MessagesFormat, rows_of, whole_messages

__all__ = ["SessionMessages"]

_FORMAT = MessagesFormat()


class SessionMessages:
    """The messages of one session, for code that passes `message_history=` to an agent.

    Args:
        session_id: Which session; one that does not exist is created when first used.
        manager: Where sessions live, blocking or not; None: the process-wide one.
        user_id: Whose it must be; None takes it whoever's it is, and creates it for "user".

    Example:
        >>> async def ask(agent, messages, question):
        ...     result = await agent.run(question, message_history=await messages.load())
        ...     await messages.add(result.new_messages())
        ...     return result.output
    """

    def __init__(
        self,
        session_id: str,
        *,
        manager: SessionManager | BlockingSessionManager | None = None,
        user_id: str | None = None,
    ) -> None:
        self._conversation = Conversation(manager, session_id, user_id=user_id, framework=_FORMAT.name)
        self.session_id = self._conversation.session_id

    def __repr__(self) -> str:
        """Name the session, no content."""
        return f"{type(self).__name__}(session_id={self.session_id!r})"

    async def load(self) -> list[ModelMessage]:
        """Return the conversation as pydantic-ai's messages."""
        stored = await self._conversation.messages()
        return [message for _, message in whole_messages(read_as(_FORMAT, stored, session_id=self.session_id).rows)]

    async def add(self, messages: Sequence[ModelMessage] | bytes | str) -> None:
        """Append messages, all or none; once this returns they are stored.

        Args:
            messages: A run's `new_messages()`, or its `new_messages_json()`.

        Raises:
            InvalidInputError: The JSON is none of pydantic-ai's messages.
        """
        if isinstance(messages, bytes | str):
            try:
                messages = ModelMessagesTypeAdapter.validate_json(messages)
            except ValueError:
                raise InvalidInputError("messages: not what result.new_messages_json() returns.") from None
        rows = [row for message in messages for row in rows_of(message, entry_id=new_id())]
        if rows:
            await self._conversation.append(rows)

    async def clear(self) -> None:
        """Hide everything said so far; it stays stored until the session is purged."""
        await self._conversation.clear()

    async def loss_report(self) -> LossReport:
        """Return how the conversation reads in this format: what crosses, what is converted, what dropped, and why."""
        stored = await self._conversation.messages()
        return read_as(_FORMAT, stored, session_id=self.session_id).report
