"""A session as the memory of the OpenAI Agents SDK."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.errors import InvalidInputError, SessionError
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import Lease, SessionRecord
from langswarm_sessions_frameworks.conversation import Conversation
from langswarm_sessions_frameworks.extras import needed
from langswarm_sessions_frameworks.formats import LossReport, Row, message_of, read_as
from langswarm_sessions_frameworks.openai_agents.items import Item, ItemsFormat, awaits_results, grouped, is_answer

try:
    from agents.memory import SessionSettings
    from agents.memory.session_settings import resolve_session_limit

    from langswarm_sessions_frameworks.openai_agents.runs import Runs
except ImportError as error:
    if (error.name or "").partition(".")[0] != "agents":
        raise
    raise needed("openai-agents", "openai-agents") from error

if TYPE_CHECKING:
    from agents import RunContextWrapper, TResponseInputItem

__all__ = ["AgentsSession"]

_FORMAT = ItemsFormat()


class AgentsSession:
    """A `Session` of the OpenAI Agents SDK over one session of this library.

    What an answer consists of (reasoning, texts, tool calls) is one message of the session, every other item one of its
    own. The items are kept whole and come back as they were; messages of other origin are read as items as far as the
    format allows (see `loss_report`). A session that does not exist is created when first used.

    Runs of one session never interleave: each holds the session from its first read of the history to its last word,
    and the others wait in line, in every process, as turns of `send_message` do. Items read or added by your own calls
    wait for nobody. Usable from any event loop and thread.

    Args:
        session_id: Which session.
        manager: Where sessions live, blocking or not; None: the process-wide one.
        user_id: Whose it must be; None takes it whoever's it is, and creates it for "user".
        session_settings: The SDK's: `limit` is how many items a run reads at most.

    Raises:
        MissingDependencyError: The SDK is not installed.
        ConfigurationError: The manager is none.
        InvalidInputError: An id is not a non-empty string.

    Example:
        >>> async def ask(agent, runner):
        ...     session = AgentsSession("trip-to-rome", manager=manager)
        ...     return await runner.run(agent, "Where shall I sleep?", session=session)
    """

    def __init__(
        self,
        session_id: str,
        *,
        manager: SessionManager | BlockingSessionManager | None = None,
        user_id: str | None = None,
        session_settings: SessionSettings | None = None,
    ) -> None:
        self._conversation = Conversation(manager, session_id, user_id=user_id, framework=_FORMAT.name)
        self._runs = Runs(self._conversation)
        self.session_id = self._conversation.session_id
        self.session_settings = session_settings

    def __repr__(self) -> str:
        """Name the session, no content."""
        return f"{type(self).__name__}(session_id={self.session_id!r})"

    async def get_items(
        self, limit: int | None = None, *, wrapper: RunContextWrapper[Any] | None = None
    ) -> list[TResponseInputItem]:
        """Return the conversation as items, oldest first.

        Args:
            limit: At most this many, the newest; None: what the session's settings say, else all.
            wrapper: The run that reads, given by the SDK: the session is then held for it.

        Raises:
            SessionNotFoundError: It belongs to another user, or was deleted.
            SessionBusyError: Another run or turn held the session for longer than the manager's turn_wait.
        """
        if wrapper is not None:
            await self._runs.begin(wrapper)
        most = resolve_session_limit(limit, self.session_settings)
        items = [item for row in await self._newest(most) for item in row.items]
        kept = items if most is None else items[max(0, len(items) - most) :]
        return cast("list[TResponseInputItem]", kept)

    async def add_items(
        self, items: list[TResponseInputItem], *, wrapper: RunContextWrapper[Any] | None = None
    ) -> None:
        """Append items, all or none; once this returns they are stored.

        Args:
            items: In order.
            wrapper: The run that says them, given by the SDK.

        Raises:
            SessionNotFoundError: It belongs to another user, or was deleted.
            SessionArchivedError: It is archived.
            TurnConflictError: The run no longer holds the session: another process took it over. Nothing was stored.
            InvalidInputError: An item holds what JSON cannot, or is none of the Responses API.
        """
        given = _checked(items)
        new = [message_of(_FORMAT, group) for group in grouped(given)]
        if new:
            await self._conversation.append(new, held=self._lease_of(wrapper))
        if wrapper is not None and awaits_results(given):  # the SDK adds calls with their results, unless it pauses
            await self._runs.pause(wrapper)
        elif wrapper is not None and _is_last_word(given):
            await self._runs.end(wrapper)

    async def pop_item(self, *, wrapper: RunContextWrapper[Any] | None = None) -> TResponseInputItem | None:
        """Take the newest item back and return it; None when there is none.

        It stays stored, and no reader or model is given it any more. Of an answer of several items the others stay.

        Args:
            wrapper: The run that takes it back, given by the SDK.

        Raises:
            SessionNotFoundError: It belongs to another user, or was deleted.
            SessionArchivedError: It is archived.
        """
        session = await self._conversation.session()
        while True:
            await session.refresh()
            seen = session.record.version
            row = next(iter(await self._newest(1)), None)
            if row is None:
                return None

            def unchanged(record: SessionRecord, seen: int = seen) -> SessionRecord:
                if record.version != seen:
                    raise _ChangedError("Something was said meanwhile.")
                return record

            *others, popped = row.items
            rest = [_like(row.message, others)] if others else []
            try:
                await self._conversation.append(
                    rest, retract=[row.message.message_id], change=unchanged, held=self._lease_of(wrapper)
                )
            except _ChangedError:
                continue
            return cast("TResponseInputItem", popped)

    async def clear_session(self, *, wrapper: RunContextWrapper[Any] | None = None) -> None:
        """Hide everything said so far; it stays stored until the session is purged.

        Args:
            wrapper: The run that clears it, given by the SDK.
        """
        await self._conversation.clear()

    async def loss_report(self) -> LossReport:
        """Return how the conversation reads in this format: what crosses, what is converted, what dropped, and why."""
        stored = await self._conversation.messages()
        return read_as(_FORMAT, stored, session_id=self.session_id).report

    def _lease_of(self, wrapper: RunContextWrapper[Any] | None) -> Lease | None:
        return None if wrapper is None else self._runs.lease_of(wrapper)

    async def _newest(self, items: int | None) -> list[Row[Item]]:
        """Return the newest rows that have items, as many as make `items` (None: all), oldest first."""
        rows: list[Row[Item]] = []
        count, cursor = 0, None
        while items is None or count < items:
            page = await self._conversation.messages(items, cursor=cursor)
            reading = read_as(_FORMAT, page, session_id=self.session_id)
            found = [row for row in reading.rows if row.items]
            rows = [*found, *rows]
            count, cursor = count + sum(len(row.items) for row in found), page.next_cursor
            if cursor is None:
                break
        return rows


class _ChangedError(SessionError):
    """Ends a transaction that came too late."""


def _checked(items: object) -> list[Item]:
    given = cast("Sequence[object]", items) if isinstance(items, list | tuple) else [None]
    for position, item in enumerate(given):
        if not isinstance(item, dict):
            raise InvalidInputError(
                f"items[{position}] must be a dict, as result.to_input_list() has them; not {type(item).__name__}."
            )
    return cast("list[Item]", list(given))


def _is_last_word(items: Sequence[Item]) -> bool:
    """Whether a run that adds these has come to its end: the agent said something and called nothing."""
    return bool(items) and all(map(is_answer, items)) and items[-1].get("role") == "assistant"


def _like(message: SessionMessage, items: Sequence[Item]) -> SessionMessage:
    return replace(message_of(_FORMAT, items), timestamp=message.timestamp)
