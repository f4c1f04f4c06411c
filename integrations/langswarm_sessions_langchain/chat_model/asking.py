"""Asking a session as one asks a chat model: one turn, whole or in chunks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from langchain_core.callbacks.manager import BaseRunManager
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage

from langswarm_sessions.errors import ConfigurationError, InvalidInputError
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.records import MessageFilter
from langswarm_sessions.session import Session
from langswarm_sessions.turns import TurnInput, TurnStream
from langswarm_sessions.turns.input import input_digest
from langswarm_sessions_langchain.chat_model.call import ModelAsk
from langswarm_sessions_langchain.chat_model.newness import NewMessages, needs_transcript, new_messages
from langswarm_sessions_langchain.chat_model.settings import asked_otherwise
from langswarm_sessions_langchain.messages import from_langchain
from langswarm_sessions_langchain.runnable.inputs import GivenInput, MessageKeys, read_input
from langswarm_sessions_langchain.runnable.nesting import refuse_inside_turn
from langswarm_sessions_langchain.runnable.reading import answer_chunks, whole_answer
from langswarm_sessions_langchain.runnable.session import DEFAULT_USER, check_same, open_conversation
from langswarm_sessions_langchain.tracing import in_model_run

__all__ = ["ModelAsking"]

_LOOKED_AT_MORE = 20
"""How many messages of the transcript are read beyond the number given: notes and tool results nobody handed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAsking:
    """One call of a SessionChatModel.

    Args:
        manager: Where sessions live.
        provider: Provider of sessions that are created, and that existing ones must have.
        model: The model that is asked; None: the session's.
        settings: Settings of the model that hold for every call.
        ask: What this call asks for.
        run: LangChain's run of this call.
    """

    manager: SessionManager
    provider: str | None
    model: str | None
    settings: Mapping[str, Any] = field(repr=False)
    ask: ModelAsk = field(repr=False)
    run: BaseRunManager | None = field(default=None, repr=False)

    async def answer(self, messages: Sequence[BaseMessage]) -> AIMessage:
        """Return the whole answer."""
        turn = await self._turn(messages, stream=False)
        return await whole_answer(turn)

    async def chunks(self, messages: Sequence[BaseMessage], *, run_id: str | None) -> AsyncGenerator[AIMessageChunk]:
        """Yield the answer in chunks that sum up to it; closing the generator interrupts the turn.

        Args:
            messages: The caller's messages.
            run_id: The run's id, by which chunks are known before the answer has an id (None: LangChain does that).
        """
        turn = await self._turn(messages, stream=True)
        async with aclosing(answer_chunks(turn, run_id=run_id)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _turn(self, messages: Sequence[BaseMessage], *, stream: bool) -> TurnStream:
        if self.ask.session_id is not None:
            refuse_inside_turn(self.ask.session_id)
        given = read_input(messages, MessageKeys())
        session = await self._session()
        said = await self._said(session, given)
        stored = tuple(from_langchain(message) for message in said.messages)
        results_only = all(message.role is Role.TOOL for message in stored)
        settings = {**self.settings, **self.ask.settings}
        other = await asked_otherwise(session, settings=settings, model=self.ask.model or self.model)
        turn = TurnInput(
            messages=stored,
            instructions=given.instructions,
            options=self.ask.options,
            idempotency_key=self.ask.idempotency_key or await self._key(said, session, given.instructions),
            timeout=self.ask.timeout,
            stream=stream,
            operation="tool_results" if results_only else "stream" if stream else "send",
            provider=other,
            provider_config=None if other is None else {**session.record.provider_config, **settings},
            resume_failed=True,
        )
        with in_model_run(self.run, session.session_id):
            return session.run_turn(turn)

    async def _session(self) -> Session:
        model = self.ask.model or self.model
        if self.ask.session_id is not None:
            session = await open_conversation(
                self.manager,
                self.ask.session_id,
                user_id=self.ask.user_id,
                provider=self.provider,
                model=self.model or model,
                provider_config=self.settings,
            )
            check_same(session, provider=self.provider)
            return session
        if self.provider is None or model is None:
            raise ConfigurationError(
                "A call without a session_id, and one that an agent's tool or middleware makes, takes a session of its "
                "own, and there is no provider and model to create it with: pass both, as in "
                "SessionChatModel(provider='openai', model='gpt-5')."
            )
        return await self.manager.create_session(
            self.ask.user_id or DEFAULT_USER, self.provider, self.model or model, provider_config=self.settings
        )

    async def _key(self, said: NewMessages, session: Session, instructions: str | None) -> str | None:
        if said.broken is not None:  # resumed in place, whatever the instructions say by now
            storage = self.manager._services.storage  # pyright: ignore[reportPrivateUsage]
            turn = await storage.load_turn(session.session_id, said.broken)
            if turn is not None and turn.idempotency_key is not None:
                return turn.idempotency_key
        return _key(said, {"instructions": instructions, **self.ask.options.to_json()})

    async def _said(self, session: Session, given: GivenInput) -> NewMessages:
        """Return what the session does not hold of what the caller gave."""
        messages = given.messages
        if self.ask.session_id is None or not needs_transcript(messages):
            return NewMessages(messages=messages)
        near = 2 * len(messages) + _LOOKED_AT_MORE
        page = await session.list_messages(MessageFilter(limit=near, for_model=True))
        said = new_messages(messages, page)
        if said.unknown and page.next_cursor is not None:
            # What a prompt begins with each time, examples say, is where the conversation begins.
            first = MessageFilter(before_seq=session.record.cleared_seq + near, for_model=True)
            said = new_messages(messages, _joined(await session.list_messages(first), page))
        if said.unknown and page.next_cursor is not None:
            said = new_messages(messages, await session.list_messages(MessageFilter(for_model=True)))
        if not said.messages:
            raise InvalidInputError(
                "input: the session holds all of it, and the newest is its own answer; add what it is to answer.",
                session_id=session.session_id,
            )
        return said


def _joined(first: Sequence[SessionMessage], newest: Sequence[SessionMessage]) -> list[SessionMessage]:
    known = {message.message_id for message in newest}
    return [*(message for message in first if message.message_id not in known), *newest]


def _key(said: NewMessages, asked: Mapping[str, Any]) -> str | None:
    """Return the key of a turn whose newest message has an id: asked the same again, it is the same turn.

    Args:
        said: What the session is sent.
        asked: The instructions and options: steps of a graph ask one message in several ways.
    """
    newest = said.messages[-1]
    if newest.id is None or isinstance(newest, AIMessage):
        return None
    wanted = json.dumps(asked, sort_keys=True, default=str)
    named = f"{newest.id} {input_digest([from_langchain(newest)])} {wanted}"
    return f"message:{hashlib.sha256(named.encode()).hexdigest()}"
