"""The answers of both APIs to ours: streams put together, usage, why they ended. Pure: all of it comes as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from langswarm_sessions.errors import SessionError
from langswarm_sessions.interfaces.provider import Completed
from langswarm_sessions.messages import Part, ToolCall
from langswarm_sessions.providers.billing import terms_of
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.gemini import contents, steps
from langswarm_sessions.providers.gemini.errors import GEMINI_FAILURES, classify, failure_in
from langswarm_sessions.providers.gemini.mapping import Item
from langswarm_sessions.providers.tools import parse_arguments
from langswarm_sessions.records import Usage

__all__ = ["CandidateCollector", "StepCollector"]

_LENGTH = "max_output_tokens"
_FILTERED = "content_filter"

_STATUS_REASONS = {"incomplete": _LENGTH, "requires_continuation": _LENGTH, "requires_action": "tool_calls"}
_FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": _LENGTH,
    "CONTINUATION": _LENGTH,
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "MODEL_ARMOR",
        ),
        _FILTERED,
    ),
}
_SPOILED = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "TOO_MANY_TOOL_CALLS",
        "UNEXPECTED_TOOL_CALL",
    }
)
"""The model wrote what cannot be used; asked again it may do better."""

_MEDIA = frozenset({"audio", "document", "image", "video"})


class StepCollector:
    """Puts the steps of one streamed interaction together.

    Args:
        model: The model that was asked for.
        kept: Whether the provider keeps the interaction.
        continued: Whether it continued another.
        request_id: The provider's id of the request.
    """

    def __init__(self, *, model: str, kept: bool, continued: bool, request_id: str | None = None) -> None:
        self._model = model
        self._kept = kept
        self._continued = continued
        self._request_id = request_id
        self._steps: dict[int, Item] = {}
        self._arguments: dict[int, str] = {}

    def start(self, event: Item) -> str:
        """Take in `step.start`; returns the text to show."""
        step = {name: value for name, value in _item(event.get("step")).items() if value is not None}
        _check_names(step)
        self._steps[int(event.get("index") or 0)] = step
        if step.get("type") != "model_output":
            return ""
        return "".join(block.get("text") or "" for block in _items(step.get("content")))

    def delta(self, event: Item) -> str:
        """Take in `step.delta`; returns the text to show."""
        index, delta = int(event.get("index") or 0), _item(event.get("delta"))
        step = self._steps.setdefault(index, {"type": "model_output"})
        kind = delta.get("type")
        if kind == "text":
            _append_text(step, "content", str(delta.get("text") or ""))
            return str(delta.get("text") or "") if step.get("type") == "model_output" else ""
        if kind == "thought_summary":
            _append_block(step, "summary", _item(delta.get("content")))
        elif kind == "thought_signature":
            step["signature"] = delta.get("signature")
        elif kind == "arguments_delta":
            self._arguments[index] = self._arguments.get(index, "") + str(delta.get("arguments") or "")
        elif kind == "text_annotation_delta":
            if content := _items(step.get("content")):
                content[-1].setdefault("annotations", []).extend(delta.get("annotations") or [])
        elif kind in _MEDIA:
            step.setdefault("content", []).append({name: value for name, value in delta.items() if value is not None})
        else:
            step |= {name: value for name, value in delta.items() if value is not None and name != "type"}
        return ""

    def complete(self, interaction: Item) -> Completed:
        """Return the whole answer.

        Args:
            interaction: That of the terminal event.

        Raises:
            SessionError: The interaction ended without an answer.
        """
        status = str(interaction.get("status"))
        self._refuse(status, interaction)
        found = self._finished() or _items(interaction.get("steps"))
        items = [step for step in found if step.get("type") != "user_input"]
        parts = steps.parts_of_steps(items)
        native_id = str(interaction.get("id") or "") or None
        return Completed(
            parts=tuple(parts),
            model=str(interaction.get("model") or self._model),
            usage=_interaction_usage(_item(interaction.get("usage"))),
            terms=_interaction_terms(interaction),
            finish_reason=_STATUS_REASONS.get(status) or _stop_reason(parts),
            provider_message_id=native_id,
            native_id=native_id if self._kept else None,
            request_id=self._request_id,
            payload={"provider": "gemini", "model": self._model, "api": steps.API, "items": items},
        )

    def failed(self, error: Mapping[str, Any]) -> SessionError:
        """Return this library's error for one the provider sent as an event.

        Args:
            error: `code` and `message`.
        """
        return classify(failure_in(error, request_id=self._request_id, continued=self._continued))

    def _refuse(self, status: str, interaction: Item) -> None:
        if status in {"in_progress", "queued", "None"}:
            raise GEMINI_FAILURES.cut_stream()
        if status == "budget_exceeded":
            raise GEMINI_FAILURES.error(GEMINI_FAILURES.quota, Failure(code=status, request_id=self._request_id))
        if status in {"failed", "cancelled"}:
            told = [*_items(interaction.get("errors")), *(_item(step.get("error")) for step in self._steps.values())]
            raise self.failed(next((error for error in told if error), {"code": status}))

    def _finished(self) -> list[Item]:
        for index, text in self._arguments.items():
            arguments = parse_arguments(text)
            self._steps[index]["arguments"] = {"raw_arguments": text} if arguments is None else arguments
        return [self._steps[index] for index in sorted(self._steps)]


def _check_names(step: Item) -> None:
    """Refuse a step that could never be sent back.

    Raises:
        TypeError: What names it is no text.
    """
    for name in ("type", "id", "name"):
        if not isinstance(step.get(name, ""), str):
            raise TypeError(name)


def _append_text(step: Item, name: str, text: str) -> None:
    _append_block(step, name, {"type": "text", "text": text})


def _append_block(step: Item, name: str, block: Item) -> None:
    blocks: list[Item] = step.setdefault(name, [])
    is_text = block.get("type") == "text"
    if is_text and blocks and blocks[-1].get("type") == "text":
        blocks[-1]["text"] = f"{blocks[-1].get('text') or ''}{block.get('text') or ''}"
    else:
        blocks.append({key: value for key, value in block.items() if value is not None})


class CandidateCollector:
    """Puts the chunks of one streamed `generate_content` together.

    Args:
        model: The model that was asked for.
        seed: Names the answer where the provider does not: calls without an id get one made of it.
    """

    def __init__(self, *, model: str, seed: str) -> None:
        self._model = model
        self._seed = seed
        self._items: list[Item] = []
        self._usage: Item = {}
        self._version: str | None = None
        self._has_tools = False
        self.response_id: str | None = None
        self.reason: str | None = None
        """Why the answer ended; None while it goes on."""

    def add(self, chunk: Item) -> str:
        """Take in a chunk; returns the text to show.

        Raises:
            SessionError: The provider refused what was asked.
        """
        self._usage |= {name: value for name, value in _item(chunk.get("usageMetadata")).items() if value is not None}
        self._version = chunk.get("modelVersion") or self._version
        self.response_id = chunk.get("responseId") or self.response_id
        if blocked := _item(chunk.get("promptFeedback")).get("blockReason"):
            raise self._refusal(str(blocked))
        shown = ""
        for candidate in _items(chunk.get("candidates"))[:1]:
            self._has_tools = self._has_tools or bool(candidate.get("groundingMetadata"))
            for item in _items(_item(candidate.get("content")).get("parts")):
                self._take(item)
                if not item.get("thought"):
                    shown += item.get("text") or ""
            self.reason = candidate.get("finishReason") or self.reason
        return shown

    def complete(self) -> Completed:
        """Return the whole answer.

        Raises:
            SessionError: The answer never came to its end, or holds nothing that could be used.
        """
        if self.reason is None:
            raise GEMINI_FAILURES.cut_stream()
        parts = contents.parts_of_items(self._items, seed=self.response_id or self._seed)
        reason = _FINISH_REASONS.get(self.reason, self.reason.lower())
        if not parts and reason == _FILTERED:
            raise self._refusal(self.reason)
        if not parts and self.reason in _SPOILED:
            raise GEMINI_FAILURES.error(GEMINI_FAILURES.down, Failure(code=self.reason, request_id=self.response_id))
        return Completed(
            parts=tuple(parts),
            model=self._version or self._model,
            usage=_content_usage(self._usage),
            terms=_content_terms(self._usage, has_tools=self._has_tools),
            finish_reason=_stop_reason(parts) if reason == "stop" else reason,
            provider_message_id=self.response_id,
            request_id=self.response_id,
            payload={"provider": "gemini", "model": self._model, "api": contents.API, "items": self._items},
        )

    def _take(self, item: Item) -> None:
        """Join text to the text before it; what is signed stays as it came."""
        last = self._items[-1] if self._items else {}
        plain = {"text", "thought"}
        is_joined = "text" in item and "text" in last and set(item) <= plain and set(last) <= plain
        if is_joined and bool(item.get("thought")) is bool(last.get("thought")):
            last["text"] += item["text"]
        elif item != {"text": ""}:
            self._items.append(item)

    def _refusal(self, reason: str) -> SessionError:
        return GEMINI_FAILURES.error(GEMINI_FAILURES.refused, Failure(code=reason, request_id=self.response_id))


def _stop_reason(parts: Iterable[Part]) -> str:
    return "tool_calls" if any(isinstance(part, ToolCall) for part in parts) else "stop"


def _interaction_usage(told: Item) -> Usage:
    return _usage(
        sent=_count(told, "total_input_tokens") + _count(told, "total_tool_use_tokens"),
        made=_count(told, "total_output_tokens"),
        thought=_count(told, "total_thought_tokens"),
        cached=_count(told, "total_cached_tokens"),
        total=_count(told, "total_tokens"),
        sound=_of_kind(told, "input_tokens_by_modality", "audio"),
        cached_sound=_of_kind(told, "cached_tokens_by_modality", "audio"),
        made_sound=_of_kind(told, "output_tokens_by_modality", "audio"),
        made_images=_of_kind(told, "output_tokens_by_modality", "image"),
    )


def _content_usage(told: Item) -> Usage:
    return _usage(
        sent=_count(told, "promptTokenCount") + _count(told, "toolUsePromptTokenCount"),
        made=_count(told, "candidatesTokenCount"),
        thought=_count(told, "thoughtsTokenCount"),
        cached=_count(told, "cachedContentTokenCount"),
        total=_count(told, "totalTokenCount"),
        sound=_of_kind(told, "promptTokensDetails", "audio"),
        cached_sound=_of_kind(told, "cacheTokensDetails", "audio"),
        made_sound=_of_kind(told, "candidatesTokensDetails", "audio"),
        made_images=_of_kind(told, "candidatesTokensDetails", "image"),
    )


def _usage(
    *,
    sent: int,
    made: int,
    thought: int,
    cached: int,
    total: int,
    sound: int,
    cached_sound: int,
    made_sound: int,
    made_images: int,
) -> Usage:
    """Gemini counts thoughts beside the answer; here, as with other providers, they are part of what was made."""
    written = max(made, total - sent) if total else made + thought
    return Usage(
        input_tokens=sent,
        output_tokens=written,
        total_tokens=sent + written,
        cached_tokens=cached,
        reasoning_tokens=thought,
        input_audio_tokens=sound,
        cached_audio_tokens=cached_sound,
        output_audio_tokens=made_sound,
        output_image_tokens=made_images,
    )


def _of_kind(told: Item, name: str, kind: str) -> int:
    """Return the tokens of one kind of medium in a list of counts by kind."""
    counts = [entry for entry in _items(told.get(name)) if str(entry.get("modality")).lower() == kind]
    return sum(_count(entry, "tokens") or _count(entry, "tokenCount") for entry in counts)


def _interaction_terms(interaction: Item) -> dict[str, str]:
    usage = _item(interaction.get("usage"))
    tools = [str(entry.get("type")) for entry in _items(usage.get("grounding_tool_count"))]
    if _count(usage, "total_tool_use_tokens"):
        tools.append("tool_use")
    untold = _untold(
        _interaction_usage(usage),
        sent=usage.get("input_tokens_by_modality"),
        cached=usage.get("cached_tokens_by_modality"),
        made=usage.get("output_tokens_by_modality"),
        counted=_count(usage, "total_output_tokens") + _count(usage, "total_thought_tokens"),
    )
    return terms_of({"service_tier": interaction.get("service_tier")}, tools=tools, untold=untold)


def _content_terms(usage: Item, *, has_tools: bool) -> dict[str, str]:
    traffic = usage.get("trafficType")
    told = {"service_tier": usage.get("serviceTier"), "traffic": None if traffic == "ON_DEMAND" else traffic}
    untold = _untold(
        _content_usage(usage),
        sent=usage.get("promptTokensDetails"),
        cached=usage.get("cacheTokensDetails"),
        made=usage.get("candidatesTokensDetails"),
        counted=_count(usage, "candidatesTokenCount") + _count(usage, "thoughtsTokenCount"),
    )
    tools = ["tool_use"] if has_tools or _count(usage, "toolUsePromptTokenCount") else ()
    return terms_of(told, tools=tools, untold=untold)


def _untold(usage: Usage, *, sent: object, cached: object, made: object, counted: int) -> Iterator[str]:
    """Yield the kinds of tokens that are not told from others, by the lists of counts that are not there."""
    if not sent or (usage.cached_tokens and usage.input_audio_tokens and not cached):
        yield "audio"
    if not made:
        yield "image"
    if usage.output_tokens != counted:  # the total has tokens that no counter names
        yield "all"


def _count(told: Item, name: str) -> int:
    value = told.get(name)
    return value if isinstance(value, int) else 0


def _item(value: object) -> Item:
    return cast(Item, value) if isinstance(value, dict) else {}


def _items(value: object) -> list[Item]:
    found = cast(list[object], value) if isinstance(value, list) else []
    return [cast(Item, entry) for entry in found if isinstance(entry, dict)]
