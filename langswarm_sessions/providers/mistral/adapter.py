"""The live Mistral session: one streamed request at a time, native operations, classified errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.interfaces.provider import (
    Completed,
    ModelLimits,
    ProviderEvent,
    ProviderProfile,
    ProviderRequest,
    Started,
    TextDelta,
)
from langswarm_sessions.messages import TextPart
from langswarm_sessions.providers.counting import request_text
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.mistral.answers import as_json, completed_answer
from langswarm_sessions.providers.mistral.client import MistralConnection, connect_mistral, server_address
from langswarm_sessions.providers.mistral.errors import (
    MISTRAL_FAILURES,
    foreign_errors,
    may_still_run,
    request_id_of,
    translate,
)
from langswarm_sessions.providers.mistral.profile import profile_of
from langswarm_sessions.providers.mistral.reconcile import answer_to, entries_after
from langswarm_sessions.providers.mistral.request import (
    append_body,
    chat_body,
    conversation_inputs,
    fingerprint,
    fork_body,
    start_body,
)
from langswarm_sessions.providers.mistral.streams import ChatReader, ConversationReader
from langswarm_sessions.providers.remote import RemoteProviderSession
from langswarm_sessions.records import NativeKind, NativeState

if TYPE_CHECKING:
    from mistralai.client import Mistral
    from mistralai.client.models import CompletionEvent, ConversationEvents
    from mistralai.client.utils.eventstreaming import EventStreamAsync

__all__ = ["MistralProviderSession"]

_DRAIN_SECONDS = 1.0
_ENTRY = "entry"
"""In the memo: id of the newest entry of the conversation that is known."""
_NO_FORK = frozenset({400, 404, 405, 410, 422, 501})
"""What a provider answers that does not fork here: the conversation is rebuilt instead."""
_FIXED = "fixed"
"""In the memo: digest of what the conversation was started with."""


class MistralProviderSession(RemoteProviderSession[MistralConnection]):
    """A conversation with a Mistral model or agent; settings are in docs/providers/mistral.md."""

    __slots__ = ("_left", "_may_arrive")

    name = "mistral"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._may_arrive = False
        self._left: NativeState | None = None  # nothing is to be sent on top of it: the next attempt forks it

    @classmethod
    def connect(cls, credential: object) -> MistralConnection:
        """Return a connection of a credential."""
        return connect_mistral(credential)

    @property
    def profile(self) -> ProviderProfile:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What Mistral can do for this session; it depends on the settings `native` and `store`."""
        return profile_of(self._config)

    async def reconcile(self, request: ProviderRequest) -> Completed | None:
        """Look up in the conversation's history what became of a request.

        Returns:
            The answer, adopted from the history; None if the request may be sent again. Where the history holds
            something else, or the provider may still be at work, that forks the conversation at the newest known entry.

        Raises:
            NativeStateLostError: The conversation is gone, or that entry is.
        """
        native = request.native
        if native is None:
            return None  # a new conversation is about to be started: nothing can stand in it twice
        newest = native.memo.get(_ENTRY)
        if newest is None:
            raise MISTRAL_FAILURES.lost(Failure())
        new = entries_after(await self._history(native, request), newest)
        if new is None:
            raise MISTRAL_FAILURES.lost(Failure())
        if not new and not self._may_arrive:
            return None
        answer = answer_to(new, conversation_inputs(request, model=self.model).entries)
        if answer is None:
            self._left = native
            return None
        return completed_answer(
            answer,
            model=self.model,
            usage=None,  # the history says nothing of tokens
            answer_id=None,
            native_id=native.id,
            native_memo=_memo(answer, native.memo.get(_FIXED)),
        )

    async def delete_native(self, native: NativeState) -> None:
        """Delete the conversation; one that is gone already is a success."""
        client = await self._connection.loop_client()
        conversations = client.beta.conversations
        await self._deleted(conversations.delete_async(conversation_id=native.id, **self._how(client, None)))

    async def model_limits(self) -> ModelLimits | None:
        """Ask for the model's limits; an agent's model is not known."""
        if "agent_id" in self._config:
            return None
        client = await self._connection.loop_client()
        card = await self._told(client.models.retrieve_async(model_id=self.model, **self._how(client, None)))
        size: int | None = getattr(card, "max_context_length", None)
        return ModelLimits(context_tokens=size) if size else None

    async def count_tokens(self, request: ProviderRequest) -> int | None:
        """Let the provider count the text of a whole conversation; what it keeps itself is not known here."""
        text = request_text(request)
        if request.native is not None or not text or "agent_id" in self._config:
            return None
        client = await self._connection.loop_client()
        how = self._how(client, None)
        counted = await self._told(client.responses.count_input_tokens_async(model=self.model, input=text, **how))
        return counted.input_tokens

    def _foreign_errors(self) -> tuple[type[Exception], ...]:
        return foreign_errors()

    def _translated(self, error: Exception, *, continued: bool, streaming: bool) -> Exception:
        if may_still_run(error):
            self._may_arrive = True
        return translate(error, continued=continued, streaming=streaming)

    async def _events(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        is_log = (request.keep_native or request.native is not None) and self.profile.native is NativeKind.LOG
        if is_log:
            self._check_unchanged(request)
        client = await self._connection.loop_client()
        self._may_arrive = False
        events = self._conversation(client, request) if is_log else self._completion(client, request)
        async with aclosing(events):
            async for event in events:
                yield event

    # Conversations

    def _check_unchanged(self, request: ProviderRequest) -> None:
        """Refuse to continue a conversation with what was fixed at its start and differs by now: rebuild it instead."""
        if request.native is None:
            return
        fixed = request.native.memo.get(_FIXED)
        now = fingerprint(request, model=self.model, config=self._config)
        if (fixed is not None and fixed != now) or conversation_inputs(request, model=self.model).system:
            raise MISTRAL_FAILURES.lost(Failure())

    async def _conversation(self, client: Mistral, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        stream = await self._opened(client, request)
        self._may_arrive = True  # from here on the provider is at it, whatever we hear
        reader = ConversationReader(continued=request.native is not None)
        request_id = request_id_of(stream.response.headers)
        async with stream, aclosing(stream.generator):
            async for event in stream:
                was_started = reader.conversation_id is not None
                try:
                    text = reader.take(event)
                finally:
                    self._may_arrive = not reader.has_failed
                if not was_started and reader.conversation_id is not None:
                    yield Started(native_id=reader.conversation_id, request_id=request_id)
                if text:
                    yield TextDelta(text)
                if reader.is_done:
                    answer = self._answer(reader, request, request_id)
                    await _drain(stream)
                    yield answer
                    return
        raise MISTRAL_FAILURES.cut_stream()

    async def _opened(self, client: Mistral, request: ProviderRequest) -> EventStreamAsync[ConversationEvents]:
        inputs = conversation_inputs(request, model=self.model)
        conversations = client.beta.conversations
        how = self._how(client, request)
        if request.native is None:
            body = start_body(request, model=self.model, config=self._config, inputs=inputs)
            return await conversations.start_stream_async(**body, **how)
        if self._forks(request.native):
            return await self._forked(
                client, request.native, fork_body(request, config=self._config, inputs=inputs), how
            )
        body = append_body(request, config=self._config, inputs=inputs)
        return await conversations.append_stream_async(conversation_id=request.native.id, **body, **how)

    def _forks(self, native: NativeState) -> bool:
        """Whether a conversation may hold what it must not, so that a copy of its good part is continued instead."""
        return native.suspect or native == self._left

    async def _forked(
        self, client: Mistral, native: NativeState, body: Mapping[str, Any], how: Mapping[str, Any]
    ) -> EventStreamAsync[ConversationEvents]:
        """Restart a conversation from the newest entry that is known to belong to it.

        Raises:
            NativeStateLostError: There is no such entry, or the provider does not fork there.
        """
        from mistralai.client.errors import MistralError

        if newest := native.memo.get(_ENTRY):
            restart = client.beta.conversations.restart_stream_async
            try:
                return await restart(conversation_id=native.id, from_entry_id=newest, **body, **how)
            except MistralError as error:
                if error.status_code not in _NO_FORK:
                    raise
        raise MISTRAL_FAILURES.lost(Failure())

    def _answer(self, reader: ConversationReader, request: ProviderRequest, request_id: str | None) -> Completed:
        native = request.native
        known = native.id if native is not None and not self._forks(native) else None
        completed = completed_answer(
            reader.entries,
            model=self.model,
            usage=reader.usage,
            answer_id=None,
            native_id=reader.conversation_id or known,
            native_memo=_memo(reader.entries, fingerprint(request, model=self.model, config=self._config)),
            request_id=request_id,
        )
        # Models refuse a history that holds an answer without content: the next turn begins a conversation of its own.
        is_empty = all(isinstance(part, TextPart) and not part.text for part in completed.parts)
        return replace(completed, native_id=None) if is_empty else completed

    async def _history(self, native: NativeState, request: ProviderRequest) -> list[dict[str, Any]]:
        client = await self._connection.loop_client()
        conversations = client.beta.conversations
        history = await self._asked(
            conversations.get_history_async(conversation_id=native.id, **self._how(client, request))
        )
        return [as_json(entry) for entry in history.entries]

    # Chat completions

    async def _completion(self, client: Mistral, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        body = chat_body(request, session_id=self.session_id, model=self.model, config=self._config)
        how = self._how(client, request)
        stream: EventStreamAsync[CompletionEvent]
        if "agent_id" in body:
            stream = await client.agents.stream_async(**body, **how)
        else:
            stream = await client.chat.stream_async(**body, **how)
        request_id = request_id_of(stream.response.headers)
        reader = ChatReader()
        async with stream, aclosing(stream.generator):
            yield Started(request_id=request_id)
            async for event in stream:
                if text := reader.take(event.data):
                    yield TextDelta(text)
        if reader.finish_reason is None:
            raise MISTRAL_FAILURES.cut_stream()
        yield completed_answer(
            reader.entries,
            model=self.model,
            usage=reader.usage,
            answer_id=reader.answer_id,
            finish_reason=reader.finish_reason,
            request_id=request_id,
        )

    def _how(self, client: Mistral, request: ProviderRequest | None) -> dict[str, Any]:
        """Return how a request is sent: retries off, where to, how long at most."""
        base_url, own = self._config.get("base_url"), client.sdk_configuration.timeout_ms
        seconds = self._seconds(request, client=None if own is None else own / 1000)
        return {
            "retries": None,
            "server_url": None if base_url is None else server_address(base_url),
            "timeout_ms": None if seconds is None else max(1, round(seconds * 1000)),
        }


def _memo(entries: list[dict[str, Any]], fixed: str | None) -> Mapping[str, str]:
    newest = cast("str | None", entries[-1].get("id")) if entries else None
    noted = {_ENTRY: newest, _FIXED: fixed}
    return {name: value for name, value in noted.items() if value is not None}


async def _drain(stream: EventStreamAsync[ConversationEvents]) -> None:
    """Read what is left of a finished answer, so that the connection can serve the next request."""
    with suppress(TimeoutError, *foreign_errors()):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in stream:
                pass
