"""Counting the tokens of a request at the provider, without an answer."""

from __future__ import annotations

from typing import Any

from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.providers.openai.asking import Asking
from langswarm_sessions.providers.openai.request import Dialect, request_body
from langswarm_sessions.records import NativeKind

__all__ = ["counted_input"]

_COUNTED = frozenset(
    {
        "conversation",
        "input",
        "instructions",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "reasoning",
        "text",
        "tool_choice",
        "tools",
        "truncation",
    }
)
"""Fields of a request that count as input."""


async def counted_input(asking: Asking, request: ProviderRequest) -> int:
    """Return how many tokens of input a request has; errors of the SDK are raised as they are.

    Args:
        asking: Who asks.
        request: What would be sent.
    """
    native = request.native
    body = request_body(
        request,
        session_id=asking.session_id,
        model=asking.model,
        config=asking.config,
        dialect=Dialect(encrypts=asking.encrypts, is_own=asking.is_own),
        conversation=native.id if native is not None and native.kind is NativeKind.LOG else None,
    )
    counted: dict[str, Any] = {name: value for name, value in body.items() if name in _COUNTED}
    answer = await asking.client.responses.input_tokens.count(**counted, timeout=asking.timeout)
    return answer.input_tokens
