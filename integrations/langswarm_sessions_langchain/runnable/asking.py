"""Asking a session: one turn, whole or in chunks, whoever calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import Runnable, RunnableConfig

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces import TextDelta
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
from langswarm_sessions_langchain.runnable.outputs import answer_message, last_chunk
from langswarm_sessions_langchain.runnable.session import open_conversation

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
        message = await turn.result()
        yield answer_message(message, turn.completed)

    async def chunks(self, value: SessionInput, *, run_id: str) -> AsyncGenerator[AIMessage]:
        """Yield the answer in chunks that sum up to it; closing the generator interrupts the turn.

        Args:
            value: The input.
            run_id: The run's id, by which the chunks are known before the answer has an id.
        """
        turn = await self._turn(value, stream=True)
        streamed: list[AIMessageChunk] = []
        try:
            async for delta in turn:
                chunk = _chunk_of(delta, run_id=run_id)
                if chunk is not None:
                    streamed.append(chunk)
                    yield chunk
            yield last_chunk(answer_message(turn.message, turn.completed), streamed)
        finally:
            await turn.aclose()

    async def _turn(self, value: SessionInput, *, stream: bool) -> TurnStream:
        ids = read_ids(self.config, user_id=self.user_id)
        call = read_options(self.kwargs, bound=self.bound is not None)
        given = read_input(value, self.keys)
        provider = self._answering(given, call, ids, stream=stream)
        session = await self._session(ids)
        results_only = all(message.role is Role.TOOL for message in given.stored)
        return session.run_turn(
            TurnInput(
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
        )

    def _answering(
        self, given: GivenInput, call: CallOptions, ids: ConversationIds, *, stream: bool
    ) -> RunnableProvider | None:
        if self.bound is None:
            return None
        bound = BoundCall(
            bound=self.bound,
            given=given,
            keys=self.keys,
            config=child_config(self.config, ids, callbacks=self.callbacks),
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
        wanted = {} if wrapped else {"provider": self.provider, "model": self.model}
        for setting, name in wanted.items():
            has = getattr(session, setting)
            if name not in (None, has):
                raise ConfigurationError(
                    f"{setting}={name!r}: the session was created with {has!r}. Leave provider= and model= out to go "
                    "on with what it has, or use another session_id.",
                    session_id=ids.session_id,
                    provider=session.provider,
                )
        return session


def _chunk_of(delta: TextDelta, *, run_id: str) -> AIMessageChunk | None:
    """Return a delta as a chunk: the wrapped model's own, unless middleware changed or held back its text."""
    raw = delta.raw
    if isinstance(raw, AIMessageChunk) and raw.text == delta.text:
        # The last chunk is ours: it brings the ids of session and turn.
        return raw.model_copy(update={"chunk_position": None}) if raw.chunk_position else raw
    return AIMessageChunk(content=delta.text, id=f"lc_run--{run_id}") if delta.text else None
