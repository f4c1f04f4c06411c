"""What a LangChain chat model can do, as far as its class tells."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.language_models import BaseChatModel

from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.records import NativeKind
from langswarm_sessions_langchain.provider.mapping import Speaker, crossing_to

__all__ = ["ALWAYS", "WITHOUT_EFFECT", "fields_of", "has_foreign_tracer", "model_names", "profile_of", "speaker_of"]

ALWAYS = frozenset({"instructions", "metadata", "native", "stop", "timeout", "tool_choice"})
"""Documented settings that have an effect with every chat model."""

WITHOUT_EFFECT = frozenset({"agent_id", "assistant_id", "conversation_metadata", "thread_metadata"})
"""Documented settings about conversations a provider keeps: there is none here."""

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "frequency_penalty": (),
    "max_tokens": ("max_output_tokens", "num_predict"),
    "presence_penalty": (),
    "reasoning_effort": (),
    "seed": ("random_seed",),
    "service_tier": (),
    "store": (),
    "temperature": (),
    "top_k": (),
    "top_p": (),
    "truncation": (),
    "user": (),
    "verbosity": (),
}
"""Settings a chat model may declare as fields, with other names they have there."""

_NAME_FIELDS = ("model", "model_name", "model_id", "deployment_name", "azure_deployment")
_OTEL_NAMES = {
    "langchain_aws": "aws.bedrock",
    "langchain_google_genai": "gcp.gen_ai",
    "langchain_google_vertexai": "gcp.vertex_ai",
    "langchain_ibm": "ibm.watsonx.ai",
    "langchain_mistralai": "mistral_ai",
    "langchain_xai": "x_ai",
}
"""Packages to values of `gen_ai.provider.name`; the others are called as the package is, without `langchain_`."""

_VENDORS = {
    "anthropic": "anthropic",
    "azure.ai.openai": "openai",
    "gcp.gen_ai": "gemini",
    "mistral_ai": "mistral",
    "openai": "openai",
}
"""Values of `gen_ai.provider.name` to the providers whose ids of files mean something there."""

_MEDIA_FLAGS = {"image": "image_inputs", "audio": "audio_inputs", "file": "pdf_inputs"}


def profile_of(model: BaseChatModel, *, is_foreign: bool, name: str = "langchain") -> ProviderProfile:
    """Return what a chat model can do.

    Args:
        model: The chat model.
        is_foreign: Whether its calls are traced by somebody else.
        name: The provider's name.
    """
    kind = type(model)
    keys = {*ALWAYS, *fields_of(kind)}
    binding = inspect.signature(kind.bind_tools).parameters
    known: Mapping[str, Any] = model.profile or {}
    if "parallel_tool_calls" in binding:
        keys.add("parallel_tool_calls")
    if "response_format" in binding or known.get("structured_output") is True:
        keys.add("response_format")
    refused = {medium for medium, flag in _MEDIA_FLAGS.items() if known.get(flag) is False}
    return ProviderProfile(
        native=NativeKind.NONE,
        client=True,
        config_keys=frozenset(keys),
        ignored_keys=WITHOUT_EFFECT,
        otel_name=_otel_name(kind),
        takes=frozenset({"text", *_MEDIA_FLAGS} - refused),
        is_foreign=is_foreign,
        crosses=lambda messages, asked: crossing_to(speaker_of(model, provider=name, model=asked), messages),
    )


def speaker_of(chat_model: BaseChatModel, *, provider: str, model: str) -> Speaker:
    """Return who answers when a chat model does.

    Args:
        chat_model: The chat model.
        provider: The provider's name.
        model: The session's model.
    """
    kind = type(chat_model)
    asked = next(iter(model_names(chat_model)), model)
    return Speaker(
        provider=provider,
        model=model,
        chat_model=f"{kind.__module__}.{kind.__qualname__}/{asked}",
        vendor=_VENDORS.get(_otel_name(kind)),
    )


def fields_of(kind: type[BaseChatModel]) -> dict[str, str]:
    """Return the settings that a class of chat models declares as fields, with the fields' names."""
    known = {field.alias: name for name, field in kind.model_fields.items() if field.alias}
    known |= {name: name for name in kind.model_fields}
    found: dict[str, str] = {}
    for setting, synonyms in _FIELDS.items():
        field = next((known[name] for name in (setting, *synonyms) if name in known), None)
        if field is not None:
            found[setting] = field
    return found


def model_names(model: BaseChatModel) -> list[str]:
    """Return the names a chat model gives the model it asks; none when it has no such field."""
    values = (getattr(model, field, None) for field in _NAME_FIELDS)
    return list(dict.fromkeys(value for value in values if isinstance(value, str) and value))


def has_foreign_tracer() -> bool:
    """Whether an OpenTelemetry instrumentor has wrapped LangChain: it then traces and counts every call of a model.

    All of them hook in by wrapping this one method, as that reaches every way of calling a model.
    """
    return hasattr(BaseCallbackManager.__init__, "__wrapped__")


def _otel_name(kind: type[BaseChatModel]) -> str:
    for base in kind.__mro__:
        if base.__name__ == "AzureChatOpenAI":
            return "azure.ai.openai"
        package = base.__module__.partition(".")[0]
        if package.startswith("langchain_") and package not in {"langchain_core", "langchain_community"}:
            return _OTEL_NAMES.get(package, package.removeprefix("langchain_"))
    return "langchain"
