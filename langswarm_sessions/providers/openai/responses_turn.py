"""One streamed request to the Responses API, from its body to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from langswarm_sessions.interfaces.provider import ProviderEvent, ProviderRequest, Started, TextDelta
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.openai.answers import completed_answer
from langswarm_sessions.providers.openai.asking import Asking
from langswarm_sessions.providers.openai.errors import OPENAI_FAILURES, classify, failure_of, foreign_errors
from langswarm_sessions.providers.openai.request import Dialect, is_kept, request_body

if TYPE_CHECKING:
    from openai import AsyncStream
    from openai.types.responses import Response, ResponseOutputItem, ResponseStreamEvent

__all__ = ["response_events"]

_DRAIN_SECONDS = 1.0


async def response_events(
    asking: Asking,
    request: ProviderRequest,
    *,
    conversation: str | None = None,
    heard: Callable[[str], None] | None = None,
) -> AsyncGenerator[ProviderEvent, None]:
    """Send a request and yield its events; errors of the SDK are raised as they are.

    Args:
        asking: Who asks.
        request: What to send.
        conversation: The conversation it is a turn of, if it is one.
        heard: Told the response's id as soon as it is known.
    """
    stream = await _create(asking, request, conversation=conversation)
    async with stream, aclosing(_read(stream, asking, request, conversation=conversation, heard=heard)) as events:
        async for event in events:
            yield event


async def _create(
    asking: Asking, request: ProviderRequest, *, conversation: str | None
) -> AsyncStream[ResponseStreamEvent]:
    """Send the request; where the model refuses a field it does not know, once more without it."""
    from openai import BadRequestError

    dialect = Dialect(encrypts=asking.encrypts, is_own=asking.is_own)
    while True:
        body = request_body(
            request,
            session_id=asking.session_id,
            model=asking.model,
            config=asking.config,
            dialect=dialect,
            conversation=conversation,
        )
        try:
            return await asking.client.responses.create(**body, timeout=asking.timeout)
        except BadRequestError as error:
            simpler = dialect.without(failure_of(error))
            if simpler is None:
                raise
            if not simpler.encrypts:
                asking.connection.unencrypted.add(asking.where)
            dialect = simpler


async def _read(
    stream: AsyncStream[ResponseStreamEvent],
    asking: Asking,
    request: ProviderRequest,
    *,
    conversation: str | None,
    heard: Callable[[str], None] | None,
) -> AsyncGenerator[ProviderEvent, None]:
    kept, is_begun = is_kept(request, asking.config), False
    request_id = stream.response.headers.get("x-request-id")
    items: list[ResponseOutputItem] = []
    async for event in stream:
        is_begun = True
        if not hasattr(event, "type"):  # JSON, but no object
            raise OPENAI_FAILURES.error(OPENAI_FAILURES.illegible)
        match event.type:
            case "response.created":
                response_id = OPENAI_FAILURES.read(_text_at, event.response, "id")
                if heard is not None:
                    heard(response_id)
                yield Started(native_id=conversation or (response_id if kept else None), request_id=request_id)
            case "response.output_text.delta" | "response.refusal.delta":
                yield TextDelta(OPENAI_FAILURES.read(_text_at, event, "delta"))
            case "response.output_item.done":
                items.append(event.item)
            case "response.completed" | "response.incomplete":
                answer = OPENAI_FAILURES.read(
                    completed_answer,
                    event.response,
                    model=asking.model,
                    items=items,
                    kept=kept,
                    request_id=request_id,
                    conversation=conversation,
                )
                await _drain(stream)
                yield answer
                return
            case "response.failed":
                raise classify(OPENAI_FAILURES.read(_failure_in, event.response, request, request_id))
            case "error":
                raise classify(
                    Failure(
                        code=event.code,
                        param=event.param,
                        message=event.message,
                        request_id=request_id,
                        continued=request.native is not None,
                    )
                )
            case _:
                pass
    raise OPENAI_FAILURES.no_end(stream.response.headers, is_begun=is_begun)


def _text_at(event: object, name: str) -> str:
    """Return a field that holds text; the SDK checks nothing of what it reads.

    Raises:
        TypeError: It holds something else.
    """
    text: object = getattr(event, name)
    if not isinstance(text, str):
        raise TypeError(name)
    return text


def _failure_in(response: Response, request: ProviderRequest, request_id: str | None) -> Failure:
    error = response.error
    return Failure(
        code=error.code if error is not None else None,
        param=error.param if error is not None else None,
        type=error.type if error is not None else None,
        message=error.message if error is not None else "",
        request_id=request_id,
        continued=request.native is not None,
    )


async def _drain(stream: AsyncStream[ResponseStreamEvent]) -> None:
    """Read what is left of a finished answer, so that the connection can serve the next request."""
    with suppress(TimeoutError, *foreign_errors()):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in stream:
                pass
