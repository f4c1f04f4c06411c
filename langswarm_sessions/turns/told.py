"""What telemetry is told of a request to a provider, whatever it is sent for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langswarm_sessions.interfaces.provider import Completed, EngineProvider, ProviderRequest
from langswarm_sessions.messages import OtherPart, Part
from langswarm_sessions.records import NativeKind, Usage
from langswarm_sessions.strategies import TurnPlan
from langswarm_sessions_otel import ChatScope, TurnScope

__all__ = ["are_counted", "chat_span", "note_answer", "note_compaction"]

_COMPACTS = "compact_threshold"  # has OpenAI sum up what was said before
_OPTIONS = ("temperature", "max_tokens", "top_p")
_TOKENS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")


def chat_span(
    span: TurnScope,
    provider: EngineProvider,
    request: ProviderRequest,
    *,
    config: Mapping[str, Any] | None = None,
    aside: bool = False,
) -> ChatScope:
    """Open the span of a request; it is no span where somebody else sends and traces it.

    Args:
        span: The turn's.
        provider: Who is asked.
        request: What is sent.
        config: The provider's settings.
        aside: Whether it is no part of the turn's answer.
    """
    if provider.profile.is_foreign:
        return span.foreign_chat()
    host, port = provider.endpoint()
    return span.chat(
        provider=provider.profile.otel_name,
        model=provider.model,
        stream=request.streamed,
        previous_response_id=_node_of(request),
        server_address=host,
        server_port=port,
        request_options={key: config[key] for key in _OPTIONS if key in config} if config else None,
        sdk_calls=provider.sdk_calls(),
        aside=aside,
    )


def note_answer(chat: ChatScope, completed: Completed) -> None:
    """Tell what came back.

    Args:
        chat: The span of the request.
        completed: Its answer.
    """
    if _is_compacted(completed.parts):  # by the provider, before it answered
        chat.compacted()
    chat.finished(
        response_model=completed.model,
        response_id=completed.provider_message_id,
        finish_reason=completed.finish_reason,
        **_tokens_of(completed.usage),
    )


def are_counted(usage: Usage) -> bool:
    """Whether anybody counted tokens: not every provider does, and no answer takes none."""
    return usage.input_tokens > 0 or usage.output_tokens > 0


def note_compaction(chat: ChatScope, plan: TurnPlan, config: Mapping[str, Any]) -> None:
    """Tell where the model sees a shorter view of the conversation: something was left out or summed up.

    Args:
        chat: The span of the request.
        plan: What is sent.
        config: The provider's settings.
    """
    replays = _COMPACTS in config and any(_is_compacted(message.parts) for message in plan.messages)
    if plan.left_out or plan.summary is not None or replays:
        chat.compacted()


def _tokens_of(usage: Usage) -> dict[str, int]:
    if not are_counted(usage):
        return {}
    told = {name: getattr(usage, name) for name in _TOKENS}
    if usage.cache_write_tokens:  # 0 is what most providers say nothing of
        told["cache_write_tokens"] = usage.cache_write_tokens
    return told


def _is_compacted(parts: Iterable[Part]) -> bool:
    return any(isinstance(part, OtherPart) and part.data.get("type") == "compaction" for part in parts)


def _node_of(request: ProviderRequest) -> str | None:
    native = request.native
    return native.id if native is not None and native.kind is NativeKind.NODE else None
