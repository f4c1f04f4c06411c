"""One conversation: everything a session can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Self

from langswarm_sessions.calling import call
from langswarm_sessions.checks import check_mapping, check_text
from langswarm_sessions.handoff import HandoffReport, hand_off
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.lifecycle import ARCHIVE, DELETE, RESTORE, change_record, transit, update_context
from langswarm_sessions.messages import Content, as_message, plain_mapping
from langswarm_sessions.records import SessionContext, SessionMetrics
from langswarm_sessions.session.inputs import Tools, offered
from langswarm_sessions.session.talking import SessionTalking
from langswarm_sessions.strategies import TurnExplanation, explained
from langswarm_sessions.tools import toolbox_of
from langswarm_sessions.turns import context_of, foreseen

__all__ = ["Session"]


class Session(SessionTalking):
    """One conversation of one user with one provider and model at a time.

    Made by a manager. The attributes show the session as last seen; `refresh()` reads it again. Usable from any event
    loop and thread.

    Example:
        >>> async def talk(manager):
        ...     session = await manager.create_session("user", "mock", "mock-model")
        ...     reply = await session.send_message("hi")
        ...     return reply.content
    """

    __slots__ = ()

    async def get_context(self) -> SessionContext:
        """Return who and where, with a snapshot of the user's own values."""
        await self.refresh()
        return context_of(self._record)

    async def update_context(self, values: Mapping[str, Any]) -> SessionContext:
        """Merge values into the context at the top level, atomically, and return the new snapshot."""
        plain = plain_mapping(values, field="context")
        record, context = await update_context(self._runtime, self.session_id, plain)
        self.adopt(record)
        return context

    async def update_config(self, changes: Mapping[str, Any]) -> None:
        """Change fields of the SessionConfig, atomically; tags are replaced.

        Raises:
            ConfigurationError: A field is unknown or a value wrong, or the summarizer cannot work.
        """
        merged = self.config.merged(check_mapping(changes, field="changes"))  # refused here, not within a transaction
        if "summarizer" in changes:
            self._runtime.check_summarizer(replace(self._record, config=merged))
        record = await change_record(
            self._runtime, self.session_id, lambda record: replace(record, config=record.config.merged(changes))
        )
        self.adopt(record)

    async def get_provider_metadata(self) -> dict[str, Any]:
        """Return what is known of the provider's side, without secrets."""
        metadata: Mapping[str, Any] = await call(self.provider_session.get_provider_metadata, {})
        return {**metadata, "provider_session_id": self.provider_session_id}

    async def explain(
        self,
        content: Content,
        *,
        tools: Tools | None = None,
        instructions: str | None = None,
        count: bool = False,
    ) -> TurnExplanation:
        """Return what a turn with this input would send and why, without sending or storing anything.

        Args:
            content: As in `send_message`; or a message of role tool, with the results that would be sent.
            tools: As in `send_message`: they take room from the window.
            instructions: As in `send_message`.
            count: Let the provider count the tokens, where it can; that is a request of its own, without an answer.

        Raises:
            InvalidInputError: The content is wrong.
            ProviderError: The provider was to count and failed.

        Example:
            >>> async def look(session):
            ...     print(await session.explain("What did I say first?"))
        """
        await self.refresh()
        record, provider, inputs = self._record, self.engine_provider, (as_message(content),)
        told, options = check_text(instructions, field="instructions"), offered(toolbox_of(tools), None)
        inputs[0].seq = record.next_seq + int(told is not None and told != record.instructions)
        seen = await foreseen(self._runtime.services, provider, record, inputs, options=options, instructions=told)
        counted = None
        if count:
            counted = await provider.count_tokens(
                ProviderRequest(
                    messages=seen.plan.messages,
                    native=seen.plan.native,
                    keep_native=seen.plan.keep_native,
                    instructions=told or record.instructions or record.provider_config.get("instructions"),
                    options=options,
                )
            )
        return explained(
            record,
            seen.strategy,
            seen.plan,
            history=seen.history,
            inputs=inputs,
            summarises=seen.summarises,
            counted=counted,
        )

    async def handoff(
        self, provider: str, model: str, *, provider_config: Mapping[str, Any] | None = None, dry_run: bool = False
    ) -> HandoffReport:
        """Let another provider or model answer from the next turn on; it is given the conversation so far.

        Args:
            provider: The provider's name.
            model: Its name of the model.
            provider_config: Its settings; None takes along those that mean the same everywhere.
            dry_run: Only report.

        Returns:
            What crosses, what is converted and what cannot cross, and why.

        Raises:
            ConfigurationError: The provider, model or a setting cannot work.
            SessionArchivedError: The session is archived.
            SessionBusyError: A turn held the session for too long.
        """
        return await hand_off(
            self._runtime, self.session_id, provider, model, provider_config=provider_config, dry_run=dry_run
        )

    async def get_metrics(self) -> SessionMetrics:
        """Return the session's figures."""
        await self.refresh()
        counters = self._record.counters
        answered = counters.response_count
        return SessionMetrics(
            total_messages=counters.messages,
            user_messages=counters.user_messages,
            assistant_messages=counters.assistant_messages,
            avg_response_time_ms=counters.response_ms / answered if answered else 0.0,
            total_tokens=counters.total_tokens,
            session_duration=self._record.last_activity - self._record.created_at,
            retries=counters.retries,
            rebuilds=counters.rebuilds,
            total_cost=counters.total_cost,
            unpriced_turns=counters.unpriced_turns,
        )

    # Life

    async def archive(self) -> None:
        """Archive the session: it stays readable, and refuses turns until restored."""
        self.adopt(await transit(self._runtime, self.session_id, ARCHIVE))

    async def restore(self) -> None:
        """Make an archived or deleted session active again."""
        self.adopt(await transit(self._runtime, self.session_id, RESTORE))

    async def delete(self) -> None:
        """Delete the session softly: it can be restored until it is purged."""
        self.adopt(await transit(self._runtime, self.session_id, DELETE))

    async def close(self) -> None:
        """Close the manager that was made for this session alone; else do nothing."""
        if self._closing is not None:
            await self._closing()

    def close_with(self, closing: Callable[[], Awaitable[None]]) -> None:
        """Let `close` call this: the manager's close, when the session came without one."""
        self._closing = closing

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close; see `close`."""
        await self.close()
