"""A session as the history that Agent Framework loads before a run and stores after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from agent_framework import AgentSession, HistoryProvider, Message, SessionContext, SupportsAgentRun

from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.checks import check_name
from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions_frameworks.agent_framework.format import AGENT_FRAMEWORK
from langswarm_sessions_frameworks.agent_framework.repair import with_interrupted
from langswarm_sessions_frameworks.conversation import Conversation, checked_manager
from langswarm_sessions_frameworks.formats import LossReport, messages_of, read_as

__all__ = ["SessionHistoryProvider"]

_USER = "user_id"
_SEEN = "seen"
_READ = "read"
_OWN = "own"
_PAGE = 50


class SessionHistoryProvider(HistoryProvider):
    """Keeps the conversations of Agent Framework's agents in sessions: one `AgentSession`, one session of the same id.

    A run's input and its answers are stored together, in one transaction: runs at the same time never interleave. With
    `require_per_service_call_history_persistence=True` on the agent each model call is stored as it ends, so that a run
    that is killed has lost no tool's result.

    Exactly one side owns the history of a run. Where the service keeps it (the agent's session has a
    `service_session_id`, or the run a `conversation_id`), the run is given only what others said in the session since
    the service last heard of it, and still stored. An input that repeats the whole conversation, as some user
    interfaces send it, is neither sent nor stored twice.

    Args:
        manager: Where sessions live, blocking or not; None: the process-wide one.
        user_id: Whose conversations, and nobody else's; None takes a session whoever's it is, and creates it for
            "user". One provider without a user serves several with `create_session`.
        source_id: Names this provider in an agent's session.
        load_messages: Whether the conversation is loaded before a run.
        store_inputs: Whether inputs are stored.
        store_context_messages: Whether what other context providers added is stored, too.
        store_context_from: Of these alone.
        store_outputs: Whether answers are stored.

    Raises:
        ConfigurationError: The manager is none.
        InvalidInputError: An id is not a non-empty string.

    Example:
        >>> def with_history(client, manager):
        ...     return Agent(client=client, context_providers=[SessionHistoryProvider(manager)])
    """

    DEFAULT_SOURCE_ID: ClassVar[str] = "langswarm_sessions"

    def __init__(
        self,
        manager: SessionManager | BlockingSessionManager | None = None,
        *,
        user_id: str | None = None,
        source_id: str = DEFAULT_SOURCE_ID,
        load_messages: bool = True,
        store_inputs: bool = True,
        store_context_messages: bool = False,
        store_context_from: set[str] | None = None,
        store_outputs: bool = True,
    ) -> None:
        super().__init__(
            check_name(source_id, field="source_id"),
            load_messages=load_messages,
            store_inputs=store_inputs,
            store_context_messages=store_context_messages,
            store_context_from=store_context_from,
            store_outputs=store_outputs,
        )
        self._manager = checked_manager(manager)
        self.user_id = None if user_id is None else check_name(user_id, field="user_id")

    def __repr__(self) -> str:
        """Name the provider, no content."""
        return f"{type(self).__name__}(source_id={self.source_id!r})"

    def create_session(self, session_id: str | None = None, *, user_id: str | None = None) -> AgentSession:
        """Return an agent's session that belongs to a user; `agent.run(..., session=it)`.

        Args:
            session_id: Of the session here, too; None makes one.
            user_id: Whose it is; None: the provider's.

        Raises:
            InvalidInputError: An id is not a non-empty string, or the provider is another user's.
        """
        user_id = self._checked_user(user_id)
        session = AgentSession(session_id=None if session_id is None else check_name(session_id, field="session_id"))
        if user_id is not None:
            session.state[self.source_id] = {_USER: user_id}
        return session

    async def get_messages(
        self, session_id: str | None, *, state: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[Message]:
        """Return the conversation, whoever said it: what another framework stored is converted.

        Args:
            session_id: Which session.
            state: This provider's part of the agent's session.
            **kwargs: Ignored.

        Raises:
            InvalidInputError: There is no session id.
            SessionNotFoundError: The session is another user's, or was deleted.
        """
        rows = await self._rows(session_id, state)
        return read_as(AGENT_FRAMEWORK, rows, session_id=session_id or "").items

    async def save_messages(
        self,
        session_id: str | None,
        messages: Sequence[Message],
        *,
        state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append messages, all or none.

        Args:
            session_id: Which session.
            messages: In order.
            state: This provider's part of the agent's session.
            **kwargs: Ignored.

        Raises:
            InvalidInputError: There is no session id.
            SessionNotFoundError: The session is another user's, or was deleted.
            SessionArchivedError: It is archived.
        """
        new = [row for one in messages for row in messages_of(AGENT_FRAMEWORK, [one], message_id=one.message_id or "")]
        if _may_repeat(new):
            new = new[_repeated(await self._rows(session_id, state), new) :]
        if not new:
            return
        stored = await self._conversation(session_id, state).append(new)
        if state is not None:
            state[_SEEN] = state.pop(_READ, state.get(_SEEN, 0))
            state[_OWN] = [stored[0].seq, stored[-1].seq]

    async def loss_report(self, session_id: str, *, user_id: str | None = None) -> LossReport:
        """Return how a session reads as messages of Agent Framework: what is converted, what is left out, and why.

        Args:
            session_id: Which session.
            user_id: Whose it must be; None: the provider's.

        Raises:
            SessionNotFoundError: The session is another user's, or was deleted.
            InvalidInputError: The provider is another user's.
        """
        user_id = self._checked_user(user_id)
        rows = await self._rows(session_id, None if user_id is None else {_USER: user_id})
        return read_as(AGENT_FRAMEWORK, rows, session_id=session_id).report

    async def before_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Load the conversation into the run; of one that the service keeps only what it has not heard of."""
        if _is_kept_by_service(agent, context):
            rows = await self._unheard(context.session_id, state)
            context.extend_messages(self, read_as(AGENT_FRAMEWORK, rows, session_id=session.session_id).items)
            return
        inputs = [row for message in context.input_messages for row in messages_of(AGENT_FRAMEWORK, [message])]
        if _may_repeat(inputs) and _repeated(await self._rows(context.session_id, state), inputs):
            return
        await super().before_run(agent=agent, session=session, context=context, state=state)
        history = context.context_messages.get(self.source_id, [])
        context.context_messages[self.source_id] = with_interrupted(history, context.input_messages)

    # ------------------------------------------------------------ the session

    def _conversation(self, session_id: str | None, state: dict[str, Any] | None) -> Conversation:
        if session_id is None:
            raise InvalidInputError("session_id: run the agent with a session, as in agent.run(..., session=session).")
        user_id = self.user_id or (state or {}).get(_USER)  # a state that was tampered with opens nothing to it
        return Conversation(self._manager, session_id, framework=AGENT_FRAMEWORK.name, user_id=user_id)

    def _checked_user(self, user_id: str | None) -> str | None:
        if user_id is not None and self.user_id not in (None, check_name(user_id, field="user_id")):
            raise InvalidInputError(
                "user_id: this provider holds another user's conversations. Make one with that user, or one with none."
            )
        return user_id

    async def _rows(self, session_id: str | None, state: dict[str, Any] | None) -> Sequence[SessionMessage]:
        rows = await self._conversation(session_id, state).messages()
        if state is not None:
            state[_READ] = max((row.seq or 0 for row in rows), default=0)
        return rows

    async def _unheard(self, session_id: str | None, state: dict[str, Any]) -> list[SessionMessage]:
        """Return what came after the service was last told of the session, and not by the run that told it."""
        conversation = self._conversation(session_id, state)
        rows: list[SessionMessage] = []
        cursor: str | None = None
        while True:
            page = await conversation.messages(_PAGE, cursor=cursor)
            rows, cursor = [*page, *rows], page.next_cursor
            if cursor is None or _SEEN not in state or (rows and (rows[0].seq or 0) <= state[_SEEN]):
                break
        state[_READ] = max((row.seq or 0 for row in rows), default=0)
        return _after(rows, state)


# ---------------------------------------------------------------- who owns the history


def _is_kept_by_service(agent: SupportsAgentRun, context: SessionContext) -> bool:
    defaults: Any = getattr(agent, "default_options", None) or {}
    return any((context.service_session_id, context.options.get("conversation_id"), defaults.get("conversation_id")))


def _after(rows: Sequence[SessionMessage], state: dict[str, Any]) -> list[SessionMessage]:
    if _SEEN not in state:
        return []
    first, last = state[_OWN]
    return [row for row in rows if (row.seq or 0) > state[_SEEN] and not first <= (row.seq or 0) <= last]


def _may_repeat(messages: Sequence[SessionMessage]) -> bool:
    """Whether somebody speaks after an answer: what a run is given or says never begins with old answers otherwise."""
    roles = [message.role for message in messages]
    return Role.ASSISTANT in roles and Role.USER in roles[roles.index(Role.ASSISTANT) :]


def _repeated(rows: Sequence[SessionMessage], messages: Sequence[SessionMessage]) -> int:
    """Return how many messages repeat the conversation so far: all of its rows, or none."""
    told = [(row.role, row.parts) for row in rows]
    begins = [(message.role, message.parts) for message in messages[: len(told)]]
    return len(told) if told == begins and len(messages) > len(told) else 0
