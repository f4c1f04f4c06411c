"""The Responses API's answers to our parts. Pure functions over the SDK's models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from langswarm_sessions.interfaces.provider import Completed
from langswarm_sessions.messages import OtherPart, Part, ReasoningPart, RefusalPart, TextPart, ToolCall
from langswarm_sessions.providers.billing import terms_of, tools_counted
from langswarm_sessions.providers.tools import parse_arguments
from langswarm_sessions.records import Usage

if TYPE_CHECKING:
    from openai.types.responses import Response, ResponseOutputItem

__all__ = [
    "NEWEST_ITEM",
    "adopted_answer",
    "blocks_of",
    "completed_answer",
    "newest_item",
    "parts_of",
    "usage_of",
]

NEWEST_ITEM = "newest_item"
"""In a native state's memo: the id of the newest item of the conversation."""

_RUN_BY_US = frozenset(
    {"apply_patch_call", "computer_call", "custom_tool_call", "function_call", "local_shell_call", "mcp_call"}
)
"""Calls that the caller or its own servers carry out: OpenAI bills their tokens alone."""


def completed_answer(
    response: Response,
    *,
    model: str,
    items: Sequence[ResponseOutputItem],
    kept: bool,
    request_id: str | None,
    conversation: str | None = None,
) -> Completed:
    """Return the whole answer.

    Args:
        response: The response of the terminal event.
        model: The model that was asked for.
        items: The items the stream delivered, for servers whose terminal event repeats none.
        kept: Whether the provider keeps it.
        request_id: The provider's id of the request.
        conversation: The conversation the answer is an entry of, if it is one.
    """
    output = list(getattr(response, "output", None) or items)
    data = [item.to_dict(mode="json", warnings=False) for item in output]
    parts = parts_of(data)
    return Completed(
        parts=tuple(parts),
        model=str(getattr(response, "model", None) or model),
        usage=usage_of(response),
        finish_reason=_finish_reason(response, parts),
        provider_message_id=_message_id(data) or response.id,
        native_id=conversation or (response.id if kept else None),
        native_memo=newest_item(data) if conversation else {},
        request_id=request_id,
        payload={"provider": "openai", "model": model, "items": data},
        terms=terms_of(
            {"service_tier": getattr(response, "service_tier", None), "cache_ttl": _long_cache(response)},
            tools=[*_tools_run(data), *tools_counted(_counters(response))],
            untold=["audio", "image"],  # this API counts text alone
        ),
    )


def adopted_answer(items: Sequence[dict[str, Any]], *, model: str, conversation: str) -> Completed:
    """Return an answer that is only known from the items of its conversation: its tokens are not told there.

    Args:
        items: The answer's items.
        model: The model that was asked for.
        conversation: The conversation that holds them.
    """
    parts = parts_of(items)
    return Completed(
        parts=tuple(parts),
        model=model,
        usage=Usage(),
        finish_reason="tool_calls" if any(isinstance(part, ToolCall) for part in parts) else "stop",
        provider_message_id=_message_id(items),
        native_id=conversation,
        native_memo=newest_item(items),
        payload={"provider": "openai", "model": model, "items": list(items)},
    )


def _long_cache(response: Response) -> str | None:
    """Return how long what was written to a cache stays there, if that is longer than usual: it is dearer."""
    sent: object = getattr(getattr(response, "usage", None), "input_tokens_details", None)
    return "12h" if _count(getattr(sent, "cache_write_tokens_details", None), "ttl_12h_tokens") else None


def _tools_run(items: Iterable[dict[str, Any]]) -> list[str]:
    """Return the kinds of tools that ran at the provider to make output items."""
    kinds = [str(item.get("type")) for item in items]
    return [kind for kind in kinds if kind.endswith("_call") and kind not in _RUN_BY_US]


def _counters(response: Response) -> dict[str, Any]:
    """Return the usage as the server wrote it: some count what ran there."""
    as_dict = getattr(getattr(response, "usage", None), "to_dict", None)
    return {} if as_dict is None else as_dict(mode="json", warnings=False)


def newest_item(items: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return what is noted of a conversation after these items; empty when they do not tell where they end."""
    return {NEWEST_ITEM: str(items[-1]["id"])} if items and items[-1].get("id") else {}


def parts_of(items: Iterable[dict[str, Any]]) -> list[Part]:
    """Return the parts that say what output items say, in their order."""
    parts: list[Part] = []
    for item in items:
        kind = item.get("type")
        if kind == "message":
            parts += [_message_part(block) for block in blocks_of(item)]
        elif kind == "function_call":
            parts.append(_tool_call(item))
        elif kind == "reasoning":
            blocks = blocks_of(item, "summary") or blocks_of(item)
            if text := "\n\n".join(block.get("text", "") for block in blocks):
                parts.append(ReasoningPart(text=text))
        else:
            parts.append(OtherPart(data=item))
    return parts


def blocks_of(item: dict[str, Any], name: str = "content") -> list[dict[str, Any]]:
    """Return the content blocks of an item, as an empty list where there are none."""
    blocks: list[dict[str, Any]] | None = item.get(name)
    return blocks or []


def _message_part(block: dict[str, Any]) -> Part:
    if block.get("type") == "refusal":
        return RefusalPart(block.get("refusal") or "")
    if block.get("type") != "output_text":
        return OtherPart(data=block)
    if not isinstance(block["text"], str):
        raise TypeError("text")
    return TextPart(block["text"])


def _tool_call(item: dict[str, Any]) -> ToolCall:
    text = str(item.get("arguments") or "")
    name, call_id = str(item.get("name")), str(item.get("call_id"))
    arguments = parse_arguments(text)
    if arguments is None:
        return ToolCall(id=call_id, name=name, raw_arguments=text)
    return ToolCall(id=call_id, name=name, arguments=arguments)


def _message_id(items: Iterable[dict[str, Any]]) -> str | None:
    return next((str(item["id"]) for item in items if item.get("type") == "message" and item.get("id")), None)


def _finish_reason(response: Response, parts: Iterable[Part]) -> str:
    if response.status == "incomplete":
        details = response.incomplete_details
        return (details.reason if details is not None else None) or "incomplete"
    return "tool_calls" if any(isinstance(part, ToolCall) for part in parts) else "stop"


def usage_of(response: Response) -> Usage:
    """Return the tokens of an answer; zeros where a server leaves them out."""
    usage = getattr(response, "usage", None)
    sent, made = _count(usage, "input_tokens"), _count(usage, "output_tokens")
    sent_details: object = getattr(usage, "input_tokens_details", None)
    return Usage(
        input_tokens=sent,
        output_tokens=made,
        total_tokens=_count(usage, "total_tokens") or sent + made,
        cached_tokens=_count(sent_details, "cached_tokens"),
        reasoning_tokens=_count(getattr(usage, "output_tokens_details", None), "reasoning_tokens"),
        cache_write_tokens=_count(sent_details, "cache_write_tokens"),
    )


def _count(usage: object, name: str) -> int:
    value: object = getattr(usage, name, None)
    return value if isinstance(value, int) else 0
