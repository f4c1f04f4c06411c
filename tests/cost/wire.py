"""Providers at their own addresses, whose answers are written here: the SDKs are real, the bytes are a handler's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import httpx2

__all__ = ["PROVIDERS", "Wire", "sse"]

Json = Mapping[str, Any]


def sse(*events: Json, named: bool = False) -> bytes:
    """Return events as a stream of server-sent ones."""
    lines = [(f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n" for event in events]
    return "".join(lines).encode()


@dataclass
class Wire:
    """What one provider answers with, and what it was asked.

    Args:
        provider: Its name.
        model: The model that is asked for.
        usage: The usage of each answer, as the provider's API writes it.
        told: More of what the provider says of the answer.
        status: The status of its answers; those of errors hold none.
        host: Where it is (None: at its own address).
    """

    provider: str
    model: str
    usage: Json
    told: Json = field(default_factory=dict[str, Any])
    status: int = 200
    host: str | None = None
    requests: list[str] = field(default_factory=list[str])

    def client(self) -> Any:
        """Return a client of the provider's SDK."""
        return PROVIDERS[self.provider].client(self)

    def answer(self, request: Any) -> tuple[int, bytes]:
        self.requests.append(str(request.url))
        if self.status != 200:
            return self.status, b'{"error": {"message": "no"}}'
        provider = PROVIDERS[self.provider]
        if provider.plain is not None and not json.loads(request.content).get("stream"):
            return 200, provider.plain(self)
        done = b"data: [DONE]\n\n" if provider.says_done else b""
        return 200, sse(*provider.events(self), named=provider.is_named) + done

    def pool(self, library: Any) -> Any:
        """Return an HTTP client of httpx or httpx2 that nothing leaves the process by."""

        def handler(request: Any) -> Any:
            status, body = self.answer(request)
            kind = "application/json" if body.startswith(b"{") else "text/event-stream"
            return library.Response(status, content=body, headers={"content-type": kind})

        return library.AsyncClient(transport=library.MockTransport(handler))


@dataclass(frozen=True)
class Provider:
    """How a provider's wire looks."""

    client: Callable[[Wire], Any]
    events: Callable[[Wire], tuple[Json, ...]]
    config: Json = field(default_factory=dict[str, Any])
    plain: Callable[[Wire], bytes] | None = None
    is_named: bool = False
    says_done: bool = False


def _openai_client(wire: Wire) -> Any:
    from openai import AsyncOpenAI

    address = None if wire.host is None else f"https://{wire.host}/v1"
    return AsyncOpenAI(api_key="k", base_url=address, http_client=wire.pool(httpx2), max_retries=0)


def _responses(wire: Wire) -> tuple[Json, ...]:
    message: Json = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "hey", "annotations": []}],
    }
    response: Json = {
        "id": f"resp_{len(wire.requests)}",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": wire.model,
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": wire.usage,
        "service_tier": "default",
        **wire.told,
    }
    created: Json = {**response, "status": "in_progress", "output": [], "usage": None}
    return (
        {"type": "response.created", "sequence_number": 0, "response": created},
        {"type": "response.completed", "sequence_number": 1, "response": response},
    )


def _chat(wire: Wire) -> tuple[Json, ...]:
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": wire.model, **wire.told}
    said = {"index": 0, "delta": {"role": "assistant", "content": "hey"}, "finish_reason": None}
    ended: Json = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return (
        {**chunk, "choices": [said]},
        {**chunk, "choices": [ended]},
        {**chunk, "choices": [], "usage": wire.usage},
    )


def _completion(wire: Wire) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hey"}, "finish_reason": "stop"}
    answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": wire.model, "choices": [choice]}
    return json.dumps({**answer, "usage": wire.usage, **wire.told}).encode()


def _anthropic_client(wire: Wire) -> Any:
    from anthropic import AsyncAnthropic

    address = None if wire.host is None else f"https://{wire.host}"
    return AsyncAnthropic(api_key="k", base_url=address, http_client=wire.pool(httpx2), max_retries=0)


def _messages(wire: Wire) -> tuple[Json, ...]:
    made = wire.usage.get("output_tokens", 0)
    sent = {name: value for name, value in wire.usage.items() if name != "output_tokens"}
    message: Json = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": wire.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**sent, "output_tokens": 1},
        **wire.told,
    }
    return (
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hey"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": made}},
        {"type": "message_stop"},
    )


def _gemini_client(wire: Wire) -> Any:
    from google.genai import Client
    from google.genai.types import HttpOptions

    return Client(api_key="k", http_options=HttpOptions(httpx_async_client=wire.pool(httpx)))


def _candidates(wire: Wire) -> tuple[Json, ...]:
    said = {"content": {"role": "model", "parts": [{"text": "hey"}]}, "finishReason": "STOP", "index": 0}
    return ({"candidates": [said], "usageMetadata": wire.usage, "modelVersion": wire.model, **wire.told},)


def _mistral_client(wire: Wire) -> Any:
    from mistralai.client import Mistral

    return Mistral(api_key="k", async_client=wire.pool(httpx))


def _cohere_client(wire: Wire) -> Any:
    from cohere import AsyncClientV2

    return AsyncClientV2("k", httpx_client=wire.pool(httpx))


def _cohere(wire: Wire) -> tuple[Json, ...]:
    return (
        {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant", "content": []}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "hey"}}}},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": wire.usage, **wire.told}},
    )


PROVIDERS: dict[str, Provider] = {
    "openai": Provider(_openai_client, _responses, is_named=True),
    "openai-chat": Provider(_openai_client, _chat, {"api": "chat"}, _completion, says_done=True),
    "anthropic": Provider(_anthropic_client, _messages, is_named=True),
    "gemini": Provider(_gemini_client, _candidates),
    "mistral": Provider(_mistral_client, _chat, says_done=True),
    "cohere": Provider(_cohere_client, _cohere),
}
