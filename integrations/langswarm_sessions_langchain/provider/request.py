"""How a chat model is called for one request: its settings, tools, keyword arguments and run config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableConfig, ensure_config
from langchain_core.runnables.base import RunnableBinding
from langchain_core.runnables.config import merge_configs

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.providers.settings import in_force
from langswarm_sessions.providers.tools import function_tool, normal_tool_choice
from langswarm_sessions.records import ToolChoice
from langswarm_sessions_langchain.provider.profile import fields_of
from langswarm_sessions_langchain.runnable.config import GROUPED_BY

__all__ = ["ModelCall", "configured", "model_call", "response_format", "run_config", "wire_tools"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """What is called, and how.

    Args:
        model: The chat model, or what its `bind_tools` made of it.
        config: The config of its run.
        kwargs: Keyword arguments of `astream`.
    """

    model: Runnable[Any, Any] = field(repr=False)
    config: RunnableConfig = field(repr=False)
    kwargs: Mapping[str, Any] = field(repr=False)


def configured(model: BaseChatModel, config: Mapping[str, Any]) -> BaseChatModel:
    """Return a chat model with a session's settings: the same, or a copy with its fields set.

    Args:
        model: The chat model.
        config: The session's provider_config; keys without a field are left to `model_call`.
    """
    fields = fields_of(type(model))
    update = {fields[name]: value for name, value in config.items() if name in fields}
    return model.model_copy(update=update) if update else model


def model_call(
    model: BaseChatModel,
    request: ProviderRequest,
    *,
    config: Mapping[str, Any],
    run: RunnableConfig,
    provider: str,
) -> ModelCall:
    """Return how a request is made of a chat model.

    Args:
        model: The chat model, from `configured`.
        request: What the planner decided to send.
        config: The session's provider_config.
        run: The config of the model's run, from `run_config`.
        provider: The provider's name, for messages.

    Raises:
        InvalidInputError: A tool definition is malformed.
        ConfigurationError: There are tools, and the model takes none.
    """
    kwargs: dict[str, Any] = {}
    if "stop" in config:
        stop: str | list[str] = config["stop"]
        kwargs["stop"] = [stop] if isinstance(stop, str) else list(stop)
    if (wanted := response_format(in_force(config, request.options).get("response_format"))) is not None:
        kwargs["response_format"] = wanted
    if not request.options.tools:
        return ModelCall(model=model, config=run, kwargs=kwargs)
    bound = _with_tools(model, request, config, provider=provider)
    if not isinstance(bound, RunnableBinding):
        return ModelCall(model=bound, config=run, kwargs=kwargs)
    # Called without the binding around it: closing that would leave the model's own stream to the garbage collector.
    return ModelCall(model=bound.bound, config=merge_configs(bound.config, run), kwargs={**bound.kwargs, **kwargs})


def run_config(session_id: str, *, metadata: Mapping[str, Any] | None = None) -> RunnableConfig:
    """Return the config of a model's run: beneath the run around it, and named as the session's.

    Args:
        session_id: Its metadata says it in the words by which tracers group runs.
        metadata: More of it, from provider_config: what is given there stays.
    """
    config = ensure_config()
    around = config.get("metadata") or {}
    config["metadata"] = {**around, **dict.fromkeys(GROUPED_BY, session_id), **(metadata or {})}
    config["configurable"] = {"thread_id": session_id, **(config.get("configurable") or {})}
    config.pop("run_id", None)  # of the run around it
    config.pop("run_name", None)
    return config


def wire_tools(request: ProviderRequest) -> list[dict[str, Any]]:
    """Return a request's tools in the form every `bind_tools` reads; those of other types than function as they are.

    Raises:
        InvalidInputError: A definition is malformed.
    """
    wire: list[dict[str, Any]] = []
    for tool in request.options.tools:
        function = function_tool(tool)
        if function is None:
            wire.append(dict(tool))
            continue
        inner: dict[str, Any] = {
            "name": function.name,
            "description": function.description or "",
            "parameters": dict(function.parameters),
        }
        wire.append({"type": "function", "function": {**inner, "strict": True} if function.strict else inner})
    return wire


def response_format(given: str | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a response format in the chat form, which chat models share; None for plain text.

    Args:
        given: `text`, `json_object`, or a dict in chat form (`json_schema` nested) or in responses form.

    Example:
        >>> response_format({"type": "json_schema", "name": "n", "schema": {}})
        {'type': 'json_schema', 'json_schema': {'name': 'n', 'schema': {}}}
    """
    if given is None or given == "text":
        return None
    if isinstance(given, str):
        return {"type": given}
    if given.get("type") == "text":
        return None
    if given.get("type") == "json_schema" and "json_schema" not in given:
        return {"type": "json_schema", "json_schema": {name: item for name, item in given.items() if name != "type"}}
    return dict(given)


def _with_tools(
    model: BaseChatModel, request: ProviderRequest, config: Mapping[str, Any], *, provider: str
) -> Runnable[Any, Any]:
    options: dict[str, Any] = {}
    choice = request.options.tool_choice if request.options.tool_choice is not None else config.get("tool_choice")
    if choice is not None and (wanted := _tool_choice(choice, model)) is not None:
        options["tool_choice"] = wanted
    if "parallel_tool_calls" in config:
        options["parallel_tool_calls"] = config["parallel_tool_calls"]
    try:
        return model.bind_tools(wire_tools(request), **options)
    except NotImplementedError:
        raise ConfigurationError(
            f"{provider}: {type(model).__name__} takes no tools. Send without tools=, or give a chat model with "
            "bind_tools.",
            provider=provider,
        ) from None


def _tool_choice(choice: ToolChoice, model: BaseChatModel) -> object:
    if isinstance(choice, Mapping) and choice.get("type", "function") != "function":
        return dict(choice)
    mode, _, name = (normal_tool_choice(choice) or "auto").partition(":")
    if mode == "none" and any(kind.__name__ == "ChatAnthropic" for kind in type(model).__mro__):
        return {"type": "none"}  # it takes a word it does not know for the name of a tool
    return name or {"auto": None, "required": "any"}.get(mode, mode)
