"""What an answer's metadata say of how its request is billed, as LangChain's packages for providers write them.

They leave out what the provider told them, each something else: what they never tell is named as untold.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from langswarm_sessions.providers.billing import anthropic_terms, terms_of, tools_counted
from langswarm_sessions.records import UNTOLD, ModelCall
from langswarm_sessions_langchain.messages import usage_of
from langswarm_sessions_langchain.runnable.homes import endpoint_of, may_be

__all__ = ["billed_call"]

_logger = logging.getLogger("langswarm_sessions.telemetry")

_TELL = {
    "anthropic": frozenset({"cached"}),
    "bedrock_converse": frozenset({"cached"}),
    "deepseek": frozenset({"audio", "cached"}),
    "google_genai": frozenset({"cached"}),
    "google_vertexai": frozenset({"cached"}),
    "groq": frozenset({"cached"}),
    "openai": frozenset({"audio", "cached"}),
    "xai": frozenset({"audio", "cached"}),
}
"""Of which tokens a package tells how many there are, if there are some; of another, no more than it does tell."""

_COUNTS_OTHERS = frozenset({"cohere"})
"""Packages that count other tokens than are billed."""

_KINDS = {"audio": ("audio", "audio"), "cached": ("cache_read", None), "image": (None, "image")}
"""Where LangChain counts a kind of tokens: in the details of what was sent, of what was made."""

_OWN_ADDRESS = "generativelanguage.googleapis.com"
_SIGNS_OF_TOOLS = ("annotations", "citations", "executed_tools", "search_results", "tool_outputs")
_RUN_BY_US = frozenset({"custom_tool_call", "function_call", "tool_call"})


def billed_call(
    answer: AIMessage, models: Iterable[BaseChatModel], *, model: str, asked: BaseChatModel | None = None
) -> ModelCall:
    """Return the request that an answer came from, as it is billed.

    Args:
        answer: The answer.
        models: The chat models it may be from.
        model: What the model is called if the answer does not say it.
        asked: The one that it is from, if that is known.
    """
    try:
        return _call_of(answer, models, model=model, asked=asked)
    except Exception as error:  # noqa: BLE001 - chat models of others: no answer is lost over what they raise
        _logger.debug("what an answer says of how it is billed cannot be read: %s", type(error).__name__)
        return ModelCall(model=model, usage=usage_of(answer), terms={UNTOLD: "all"})


def _call_of(
    answer: AIMessage, models: Iterable[BaseChatModel], *, model: str, asked: BaseChatModel | None
) -> ModelCall:
    about: Mapping[str, Any] = answer.response_metadata
    told = next((value for name in ("model_name", "model", "model_id") if (value := about.get(name))), None)
    callers = [asked] if asked is not None else [each for each in models if told and may_be(str(told), each)]
    hosts = {endpoint_of(caller)[0] for caller in callers}
    host = hosts.pop() if len(hosts) == 1 else None
    provider = about.get("model_provider")
    return ModelCall(
        model=str(told or model),
        usage=usage_of(answer),
        provider=provider if isinstance(provider, str) and provider else None,
        terms=_terms(answer, kind=_kind(provider, callers), callers=callers, host=host),
        host=host,
        is_free=_is_of_a_turn(about) or _is_cached(answer),
    )


def _is_of_a_turn(about: Mapping[str, Any]) -> bool:
    """Whether an answer was given out by a session, in a turn of its own."""
    return all(isinstance(about.get(name), str) for name in ("session_id", "turn_id"))


def _is_cached(answer: AIMessage) -> bool:
    """Whether LangChain's own cache gave the answer: it then says so, beside the tokens of the request back then."""
    return _mapping(answer.usage_metadata).get("total_cost") == 0


def _kind(provider: object, callers: Iterable[BaseChatModel]) -> str:
    """Return whose metadata these are: as they say, else by the package of the chat model."""
    if isinstance(provider, str) and provider:
        return provider
    packages = {type(caller).__module__.partition(".")[0].removeprefix("langchain_") for caller in callers}
    return packages.pop() if len(packages) == 1 else ""


def _terms(answer: AIMessage, *, kind: str, callers: list[BaseChatModel], host: str | None) -> dict[str, str]:
    about, untold = answer.response_metadata, set(_untold(answer, kind))
    if kind == "anthropic":
        usage = _mapping(about.get("usage"))
        terms = anthropic_terms(usage, _blocks(answer))
        untold |= {*terms.pop("untold_tokens", "").split(",")} - {""} if usage else {"terms"}
        return {**terms, **terms_of({}, untold=untold)}
    if kind == "google_vertexai" or (kind == "google_genai" and host != _OWN_ADDRESS):
        untold.add("terms")  # capacity that was bought serves requests of itself
    tier = about.get("service_tier") or _mapping(about.get("serviceTier")).get("type")
    latency = _mapping(about.get("performanceConfig")).get("latency")
    told = {
        "service_tier": tier or _asked_for(callers, "service_tier"),
        "latency": None if latency == "standard" else latency,
    }
    return terms_of(told, tools=_tools_run(answer, callers), untold=untold)


def _untold(answer: AIMessage, kind: str) -> Iterator[str]:
    """Yield the kinds of tokens that are not told from others."""
    if kind in _COUNTS_OTHERS:
        yield "all"
    usage = _mapping(answer.usage_metadata)
    sent, made = (_mapping(usage.get(f"{side}_token_details")) for side in ("input", "output"))
    for name, (among_sent, among_made) in _KINDS.items():
        if name not in _TELL.get(kind, ()) and among_sent not in sent and among_made not in made:
            yield name
    if sent.get("audio") and sent.get("cache_read"):  # which of it was cached?
        yield "audio"
    if sent.get("cache_creation") and not any(name.startswith("ephemeral_") for name in sent):
        yield "hour"


def _asked_for(callers: Iterable[BaseChatModel], name: str) -> str | None:
    """Return what the chat models that may have asked have as a setting; "several" when they differ."""
    found = {value for caller in callers if isinstance(value := getattr(caller, name, None), str) and value}
    return "several" if len(found) > 1 else next(iter(found), None)


def _tools_run(answer: AIMessage, callers: Iterable[BaseChatModel]) -> Iterator[str]:
    """Yield what ran at the provider, or may have."""
    for block in _blocks(answer):
        kind = str(block.get("type"))
        if kind.startswith("server_tool") or (kind.endswith("_call") and kind not in _RUN_BY_US):
            yield kind
    about, more = answer.response_metadata, answer.additional_kwargs
    yield from (name for name in _SIGNS_OF_TOOLS if about.get(name) or more.get(name))
    yield from (name for name in ("grounding_metadata", "trace") if any(_mapping(about.get(name)).values()))
    for name in ("token_usage", "usage", "usage_metadata"):
        yield from tools_counted(_mapping(about.get(name)))
    for caller in callers:
        asked = {**_mapping(getattr(caller, "model_kwargs", None)), **_mapping(getattr(caller, "extra_body", None))}
        yield from (name for name in asked if "search" in name or "plugin" in name)


def _blocks(answer: AIMessage) -> list[Mapping[str, Any]]:
    content: object = answer.content
    found = cast("list[object]", content) if isinstance(content, list) else []
    return [_mapping(block) for block in found]


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
