"""Asking a session: one turn, whole or in chunks, whoever calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableConfig

from langswarm_sessions.manager import SessionManager
from langswarm_sessions.messages import Role
from langswarm_sessions.session import Session
from langswarm_sessions.turns import TurnInput, TurnStream
from langswarm_sessions_langchain.runnable.bound import RUNNABLE_PROVIDER, BoundCall, RunnableProvider
from langswarm_sessions_langchain.runnable.caller_thread import CallerThread
from langswarm_sessions_langchain.runnable.config import (
    CallOptions,
    ConversationIds,
    child_config,
    read_ids,
    read_options,
)
from langswarm_sessions_langchain.runnable.inputs import GivenInput, MessageKeys, SessionInput, read_input
from langswarm_sessions_langchain.runnable.nesting import refuse_inside_turn
from langswarm_sessions_langchain.runnable.reading import answer_chunks, whole_answer
from langswarm_sessions_langchain.runnable.session import check_same, open_conversation
from langswarm_sessions_langchain.tracing import below_turn, in_current_run

__all__ = ["Asking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One call of a SessionRunnable.

    Args:
        manager: Where sessions live.
        bound: The Runnable that answers; None: the session's provider.
        provider: Provider of sessions that are created, and that existing ones must have.
        model: Its model, likewise.
        user_id: Whose sessions, when the config does not say.
        keys: Where messages are in dicts.
        config: The config of the call's run.
        callbacks: The callbacks of what runs inside it; None: those of `config`.
        kwargs: The call's keyword arguments.
        thread: The waiting thread of a blocking caller.
    """

    manager: SessionManager
    bound: Runnable[Any, Any] | None = field(repr=False)
    provider: str | None
    model: str | None
    user_id: str | None
    keys: MessageKeys
    config: RunnableConfig = field(repr=False)
    callbacks: Any = field(repr=False)
    kwargs: Mapping[str, Any] = field(repr=False)
    thread: CallerThread[Any] | None = None

    async def answer(self, value: SessionInput) -> AsyncGenerator[AIMessage]:
        """Yield the whole answer, alone: the form that a waiting thread can serve, too."""
        turn = await self._turn(value, stream=False)
        yield await whole_answer(turn)

    async def chunks(self, value: SessionInput, *, run_id: str) -> AsyncGenerator[AIMessage]:
        """Yield the answer in chunks that sum up to it; closing the generator interrupts the turn.

        Args:
            value: The input.
            run_id: The run's id, by which the chunks are known before the answer has an id.
        """
        turn = await self._turn(value, stream=True)
        async with aclosing(answer_chunks(turn, run_id=run_id)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _turn(self, value: SessionInput, *, stream: bool) -> TurnStream:
        ids = read_ids(self.config, user_id=self.user_id)
        refuse_inside_turn(ids.session_id)
        call = read_options(self.kwargs, bound=self.bound is not None)
        given = read_input(value, self.keys)
        provider = self._answering(given, call, ids, stream=stream)
        session = await self._session(ids)
        results_only = all(message.role is Role.TOOL for message in given.stored)
        turn = TurnInput(
            messages=given.stored,
            instructions=given.instructions,
            options=call.options,
            idempotency_key=call.idempotency_key,
            timeout=call.timeout,
            stream=stream,
            operation="tool_results" if results_only else "stream" if stream else "send",
            provider=provider,
            resume_failed=True,
        )
        with in_current_run(session.session_id):
            return session.run_turn(turn)

    def _answering(
        self, given: GivenInput, call: CallOptions, ids: ConversationIds, *, stream: bool
    ) -> RunnableProvider | None:
        if self.bound is None:
            return None
        bound = BoundCall(
            bound=self.bound,
            session_id=ids.session_id,
            given=given,
            keys=self.keys,
            config=below_turn(child_config(self.config, ids, callbacks=self.callbacks)),
            kwargs=call.rest,
            stream=stream,
            thread=self.thread,
        )
        return RunnableProvider(bound, model=self.model or RUNNABLE_PROVIDER)

    async def _session(self, ids: ConversationIds) -> Session:
        wrapped = self.bound is not None
        session = await open_conversation(
            self.manager,
            ids.session_id,
            user_id=ids.user_id,
            provider=RUNNABLE_PROVIDER if wrapped else self.provider,
            model=self.model or (RUNNABLE_PROVIDER if wrapped else None),
        )
        if not wrapped:
            check_same(session, provider=self.provider, model=self.model)
        return session
