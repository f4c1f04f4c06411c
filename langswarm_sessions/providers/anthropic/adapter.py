"""The live Anthropic session: one streamed request at a time, message threads, classified errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from langswarm_sessions.interfaces.provider import (
    Completed,
    ModelLimits,
    ProviderEvent,
    ProviderProfile,
    ProviderRequest,
    Started,
    TextDelta,
)
from langswarm_sessions.providers.anthropic.answers import Answer, completed_answer
from langswarm_sessions.providers.anthropic.client import AnthropicConnection, connect_anthropic
from langswarm_sessions.providers.anthropic.errors import ANTHROPIC_FAILURES, failure_of, foreign_errors, translate
from langswarm_sessions.providers.anthropic.mapping import conversation_of, replayed_blocks
from langswarm_sessions.providers.anthropic.profile import profile_of
from langswarm_sessions.providers.anthropic.request import COUNTED_FIELDS, Body, Dialect, request_body
from langswarm_sessions.providers.anthropic.threads import (
    continued,
    created,
    fixed_settings,
    is_over,
    memo_of,
    used_now,
)
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.remote import RemoteProviderSession
from langswarm_sessions.records import NativeKind

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic, AsyncStream

__all__ = ["AnthropicProviderSession"]

_DRAIN_SECONDS = 1.0
_MOST_PAUSES = 10
_CALLS = ("anthropic.resources.messages:AsyncMessages.create", "anthropic.resources.beta.messages:AsyncMessages.create")


@dataclass(frozen=True, slots=True)
class _Request:
    """One request's body, and what to keep with its answer's id (None: there is no thread)."""

    body: Body
    memo: dict[str, str] | None = None

    def resumed(self, answer: Answer) -> _Request:
        """Return the request that lets the model go on with an answer it paused."""
        if self.memo is not None:
            return replace(self, body={**continued(self.body, answer.id or ""), "messages": []})
        paused = {"role": "assistant", "content": replayed_blocks(answer.blocks)}
        return replace(self, body={**self.body, "messages": [*self.body["messages"], paused]})


class AnthropicProviderSession(RemoteProviderSession[AnthropicConnection]):
    """A conversation with a Claude model over the Messages API; settings are in docs/providers/anthropic.md."""

    __slots__ = ()

    name = "anthropic"

    @classmethod
    def connect(cls, credential: object) -> AnthropicConnection:
        """Return a connection of a credential."""
        return connect_anthropic(credential)

    @property
    def profile(self) -> ProviderProfile:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What Anthropic can do for this session; it depends on the setting `native`."""
        return profile_of(self._config)

    def sdk_calls(self) -> Sequence[str]:
        """Name the SDK's functions that a request goes through."""
        return _CALLS

    async def model_limits(self) -> ModelLimits | None:
        """Ask for the model's limits."""
        client = await self._connection.client(self._config)
        model = await self._told(client.models.retrieve(self.model))
        if not model.max_input_tokens:
            return None
        return ModelLimits(context_tokens=model.max_input_tokens, output_tokens=model.max_tokens)

    async def count_tokens(self, request: ProviderRequest) -> int | None:
        """Let the provider count a whole conversation; what a thread holds is not known here."""
        if request.native is not None:
            return None
        client = await self._connection.client(self._config)
        dialect = self._connection.dialects.get((str(client.base_url), self.model), Dialect())
        body = self._request(replace(request, keep_native=False), dialect).body
        counted = {name: value for name, value in body.items() if name in COUNTED_FIELDS}
        return (await self._told(client.messages.count_tokens(**counted))).input_tokens

    def _foreign_errors(self) -> tuple[type[Exception], ...]:
        return foreign_errors()

    def _translated(self, error: Exception, *, continued: bool, streaming: bool) -> Exception:
        return translate(error, continued=continued, streaming=streaming)

    async def _events(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        client = await self._connection.client(self._config)
        sent, stream = await self._open(client, request)
        answers: list[Answer] = []
        while True:
            answer = Answer()
            answers.append(answer)
            async with stream, aclosing(_read(stream, answer, is_kept=sent.memo is not None)) as events:
                async for event in events:
                    yield event
            if answer.stop_reason != "pause_turn" or len(answers) > _MOST_PAUSES:
                break
            sent = sent.resumed(answer)
            stream = await self._send(client, sent.body, request)
        yield self._completed(answers, sent, request_id=stream.response.headers.get("request-id"))

    def _completed(self, answers: list[Answer], sent: _Request, *, request_id: str | None) -> Completed:
        completed = completed_answer(answers, model=self.model, request_id=request_id)
        # What was refused cannot be built upon, nor can a message without content: the API takes it only as the last.
        if sent.memo is None or answers[-1].stop_reason == "refusal" or not answers[-1].blocks:
            return completed
        return replace(completed, native_id=answers[-1].id, native_memo=used_now(sent.memo))

    async def _open(self, client: AsyncAnthropic, request: ProviderRequest) -> tuple[_Request, AsyncStream[Any]]:
        """Send the request; where the model refuses something it can do without, once more without it."""
        from anthropic import BadRequestError

        here = (str(client.base_url), self.model)
        while True:
            dialect = self._connection.dialects.get(here, Dialect())
            sent = self._request(request, dialect)
            try:
                return sent, await self._send(client, sent.body, request)
            except BadRequestError as error:
                failure = failure_of(error)
                learned = dialect.without(failure, sent.body, settings=fixed_settings(sent.body))
                if learned is None:
                    raise
                self._connection.dialects[here] = learned
                if request.native is not None and learned.unthreaded != dialect.unthreaded:
                    raise  # what the thread holds is sent again without one

    def _request(self, request: ProviderRequest, dialect: Dialect) -> _Request:
        """Return what to send.

        Raises:
            NativeStateLostError: It cannot continue its thread.
        """
        native = request.native
        told = conversation_of(
            request.messages,
            model=self.model,
            system_in_place=dialect.system_in_place,
            is_whole=native is None,
        )
        body = request_body(request, told, model=self.model, config=self._config, dialect=dialect)
        keeps = request.keep_native and self.profile.native is NativeKind.EPHEMERAL
        threaded = keeps and fixed_settings(body) not in dialect.unthreaded
        memo = memo_of(body, request.instructions)
        if native is None:
            return _Request(created(body), memo) if threaded else _Request(body)
        if not threaded or told.system or is_over(native.memo, memo):
            raise ANTHROPIC_FAILURES.lost(Failure())
        return _Request(continued(body, native.id), memo)

    async def _send(self, client: AsyncAnthropic, body: Body, request: ProviderRequest) -> AsyncStream[Any]:
        messages: Any = client.beta.messages if "thread" in body else client.messages
        seconds = self._seconds(request, client=client.timeout)
        stream: AsyncStream[Any] = await messages.create(**body, timeout=seconds or client.timeout)
        return stream


async def _read(stream: AsyncStream[Any], answer: Answer, *, is_kept: bool) -> AsyncGenerator[ProviderEvent, None]:
    """Read one message's events into `answer`.

    Raises:
        ProviderError: What came is no stream of events, or ended before its terminal event.
    """
    headers = stream.response.headers
    if "event-stream" not in headers.get("content-type", "event-stream"):
        raise ANTHROPIC_FAILURES.error(ANTHROPIC_FAILURES.illegible)
    async for event in stream:
        told = _plain(event)
        if text := ANTHROPIC_FAILURES.read(answer.feed, told):
            yield TextDelta(text)
        elif told.get("type") == "message_start":
            yield Started(native_id=answer.id if is_kept else None, request_id=headers.get("request-id"))
        if answer.is_whole:
            await _drain(stream)
            return
    raise ANTHROPIC_FAILURES.cut_stream()


def _plain(event: Any) -> dict[str, Any]:
    """Return an event as plain JSON; an empty object for what is none."""
    if not hasattr(event, "to_dict"):
        return {}
    told: dict[str, Any] = event.to_dict(mode="json", warnings=False)
    return told


async def _drain(stream: AsyncStream[Any]) -> None:
    """Read what is left of a finished answer, so that the connection can serve the next request."""
    with suppress(TimeoutError, *foreign_errors()):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in stream:
                pass
