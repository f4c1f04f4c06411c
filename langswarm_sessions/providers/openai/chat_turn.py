"""One streamed request to Chat Completions, from its body to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from langswarm_sessions.interfaces.provider import ProviderEvent, ProviderRequest, Started, TextDelta
from langswarm_sessions.providers.openai.asking import Asking
from langswarm_sessions.providers.openai.chat_answers import ChatAnswer
from langswarm_sessions.providers.openai.chat_request import chat_body, first_dialect
from langswarm_sessions.providers.openai.errors import OPENAI_FAILURES, failure_of, foreign_errors

if TYPE_CHECKING:
    from openai import AsyncStream
    from openai.types.chat import ChatCompletionChunk

__all__ = ["chat_events"]

_DRAIN_SECONDS = 5.0
"""How long the tokens, which come after the answer, are waited for."""


async def chat_events(asking: Asking, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
    """Send a request and yield its events; errors of the SDK are raised as they are.

    Args:
        asking: Who asks.
        request: What to send.
    """
    stream = await _create(asking, request)
    async with stream, aclosing(_read(stream, asking)) as events:
        async for event in events:
            yield event


async def _create(asking: Asking, request: ProviderRequest) -> AsyncStream[ChatCompletionChunk]:
    """Send the request; where the server refuses a field it does not know, again without it."""
    from openai import BadRequestError, UnprocessableEntityError

    dialects = asking.connection.chat_dialects
    dialect = dialects.get(asking.where) or first_dialect(str(asking.client.base_url))
    while True:
        body = chat_body(
            request, session_id=asking.session_id, model=asking.model, config=asking.config, dialect=dialect
        )
        try:
            stream = await asking.client.chat.completions.create(**body, timeout=asking.timeout)
        except (BadRequestError, UnprocessableEntityError) as error:
            simpler = dialect.without(failure_of(error))
            if simpler is None:
                raise
            dialect = simpler
        else:
            dialects[asking.where] = dialect
            return stream


async def _read(stream: AsyncStream[ChatCompletionChunk], asking: Asking) -> AsyncGenerator[ProviderEvent, None]:
    answer = ChatAnswer(model=asking.model, request_id=stream.response.headers.get("x-request-id"))
    is_started = False
    async for chunk in stream:
        if not is_started:
            is_started = True
            yield Started(request_id=answer.request_id)
        if not hasattr(chunk, "to_dict"):  # JSON, but no object
            raise OPENAI_FAILURES.error(OPENAI_FAILURES.illegible)
        if text := answer.add(chunk):
            yield TextDelta(text)
        if answer.finish_reason == "error":  # OpenRouter's word for a model that failed while it answered
            raise OPENAI_FAILURES.error(OPENAI_FAILURES.down)
        if answer.finish_reason is not None:
            await _drain(stream, answer)
            yield answer.completed()
            return
    raise OPENAI_FAILURES.no_end(stream.response.headers, is_begun=is_started)


async def _drain(stream: AsyncStream[ChatCompletionChunk], answer: ChatAnswer) -> None:
    """Read what follows a finished answer: its tokens, where the server tells them."""
    with suppress(TimeoutError, *foreign_errors()):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for chunk in stream:
                answer.add(chunk)
