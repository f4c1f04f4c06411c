"""A session as LangChain's chat message history."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import BaseMessage, FunctionMessage, ToolMessage

from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.checks import check_count, check_name
from langswarm_sessions.errors import MissingDependencyError
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.records import MessageFilter
from langswarm_sessions.session import Session
from langswarm_sessions_langchain.managers import checked_manager
from langswarm_sessions_langchain.messages import from_langchain, messages_to_langchain
from langswarm_sessions_langchain.runnable.bound import RUNNABLE_PROVIDER
from langswarm_sessions_langchain.runnable.session import open_conversation

try:
    from langchain_core.chat_history import BaseChatMessageHistory
except ImportError as error:
    raise MissingDependencyError(
        "SessionChatMessageHistory needs langchain-core 1.x, which still has BaseChatMessageHistory. "
        "Install 'langchain-core>=1.7,<2', or use SessionRunnable, which does not need it."
    ) from error

__all__ = ["SessionChatMessageHistory"]


class SessionChatMessageHistory(BaseChatMessageHistory):
    """The messages of one session, for code that takes a `BaseChatMessageHistory`.

    It reads the conversation as a model may be given it: inputs of failed turns are left out. What is added is stored
    outside any turn, a whole list in one transaction. A session that does not exist is created when first used.
    Both the blocking and the async methods may be used, from any thread and event loop. Errors are raised.

    Args:
        manager: Where sessions live, blocking or not.
        session_id: Which session.
        user_id: Whose it must be; None takes it whoever's it is, and creates it for "user".
        limit: Read this many of the newest messages alone, at a cost that does not grow with the conversation;
            fewer where the oldest of them would be results without their calls. None reads all.

    Raises:
        ConfigurationError: The manager is none.
        InvalidInputError: An id is not a non-empty string, or the limit not a number of at least 1.

    Example:
        >>> def get_session_history(session_id):
        ...     return SessionChatMessageHistory(manager=manager, session_id=session_id)
    """

    def __init__(
        self,
        *,
        manager: SessionManager | BlockingSessionManager,
        session_id: str,
        user_id: str | None = None,
        limit: int | None = None,
    ) -> None:
        self._manager = checked_manager(manager)
        self.session_id = check_name(session_id, field="session_id")
        self.user_id = None if user_id is None else check_name(user_id, field="user_id")
        self.limit = check_count(limit, field="limit")

    def __repr__(self) -> str:
        """Name the session, no content."""
        return f"{type(self).__name__}(session_id={self.session_id!r})"

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """The conversation, read anew each time."""
        return self._manager.bridge.call(self.aget_messages)

    async def aget_messages(self) -> list[BaseMessage]:
        """Return the conversation."""
        session = await self._session()
        stored = await session.list_messages(MessageFilter(for_model=True, limit=self.limit))
        messages = messages_to_langchain(stored)
        return messages if self.limit is None else _from_a_call_on(messages)

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages, all or none.

        Args:
            messages: In order.
        """
        self._manager.bridge.call(self.aadd_messages, messages)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages, all or none.

        Args:
            messages: In order.
        """
        new = [from_langchain(message) for message in messages]
        await self._session()
        if new:
            await self._manager.append_messages(self.session_id, new)

    def clear(self) -> None:
        """Hide everything said so far; it stays in the storage until the session is purged."""
        self._manager.bridge.call(self.aclear)

    async def aclear(self) -> None:
        """Hide everything said so far; it stays in the storage until the session is purged."""
        session = await self._session()
        await session.clear_messages()

    async def _session(self) -> Session:
        return await open_conversation(
            self._manager, self.session_id, user_id=self.user_id, provider=RUNNABLE_PROVIDER, model=RUNNABLE_PROVIDER
        )


def _from_a_call_on(messages: list[BaseMessage]) -> list[BaseMessage]:
    """Leave out results at the beginning: without their calls every provider refuses them."""
    results = (ToolMessage, FunctionMessage)
    start = next((at for at, message in enumerate(messages) if not isinstance(message, results)), len(messages))
    return messages[start:]
