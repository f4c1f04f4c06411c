"""What a call of a SessionChatModel asks for: its session, options of the turn, settings of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.utils.function_calling import convert_to_openai_tool

from langswarm_sessions.checks import check_name, check_seconds
from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS
from langswarm_sessions.records import TurnOptions
from langswarm_sessions.tools import turn_options
from langswarm_sessions_langchain.chat_model.aside import is_internal, session_in_graph

__all__ = ["ModelAsk", "ids_in", "read_ask", "tool_choice_of", "wire_tool"]

_TURN = ("tools", "tool_choice", "response_format", "idempotency_key", "timeout", "session_id", "user_id", "model")
_NO_SETTING = frozenset({*_TURN, "base_url", "instructions", "native", "store"})
_SETTINGS = frozenset(DOCUMENTED_SETTINGS) - _NO_SETTING
_WITHOUT_MEANING = frozenset({"stream", "strict"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAsk:
    """One call.

    Args:
        session_id: The session; None: one of its own.
        user_id: Whose session it must be; None: anybody's.
        options: Tools, their choice, the form of the answer.
        settings: Settings of the model for this call alone.
        model: The model for this call alone.
        idempotency_key: Names the turn.
        timeout: Seconds the turn may take.
    """

    session_id: str | None = None
    user_id: str | None = None
    options: TurnOptions = field(default_factory=TurnOptions)
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    model: str | None = None
    idempotency_key: str | None = None
    timeout: float | None = None


def ids_in(config: RunnableConfig, *, session_id: str | None, user_id: str | None) -> dict[str, str | None]:
    """Return the ids of a call as its keyword arguments; None: no session, so one of its own, and no user.

    Args:
        config: The call's complete config.
        session_id: The model's own session, when the config names none.
        user_id: Its own user.

    Raises:
        InvalidInputError: An id is not a non-empty string.
    """
    configurable: Mapping[str, Any] = config.get("configurable") or {}
    owner = configurable.get("user_id")
    owner = user_id if owner is None else check_name(owner, field="config['configurable']['user_id']")
    return {"session_id": _session_in(config, configurable, own=session_id), "user_id": owner}


def _session_in(config: RunnableConfig, configurable: Mapping[str, Any], *, own: str | None) -> str | None:
    if "session_id" not in configurable and own is not None:
        return None if is_internal(config) else own
    key = "session_id" if "session_id" in configurable else "thread_id"
    if key == "thread_id" and configurable.get(key) is None:
        return None
    named = check_name(configurable[key], field=f"config['configurable'][{key!r}]")
    return None if is_internal(config) else session_in_graph(config, named)


def read_ask(kwargs: Mapping[str, Any], *, stop: Sequence[str] | None) -> ModelAsk:
    """Return what the keyword arguments of a call (or of `bind`) ask for.

    Args:
        kwargs: session_id, user_id, tools, tool_choice, response_format, idempotency_key, timeout (seconds), model,
            and settings of the model.
        stop: Texts at which the answer ends.

    Raises:
        InvalidInputError: One is unknown or wrong.
    """
    given = {name: value for name, value in kwargs.items() if value is not None and name not in _WITHOUT_MEANING}
    unknown = sorted(given.keys() - _SETTINGS - {*_TURN})
    if unknown:
        raise InvalidInputError(
            f"unknown argument {unknown[0]!r}; a call of SessionChatModel takes {', '.join(sorted(_TURN))}, stop, and "
            f"settings of the model: {', '.join(sorted(_SETTINGS))}. Other settings belong to provider_config=."
        )
    names = {name: check_name(given[name], field=name) for name in _TURN[-3:] if name in given}
    tools = given.get("tools")
    choice = tool_choice_of(given.get("tool_choice"))
    return ModelAsk(
        session_id=names.get("session_id"),
        user_id=names.get("user_id"),
        options=turn_options(
            [wire_tool(tool) for tool in tools] if tools else None,
            choice if tools else None,
            response_format=given.get("response_format"),
        ),
        settings={
            **{name: given[name] for name in given if name in _SETTINGS},
            **({"stop": list(stop)} if stop else {}),
        },
        model=names.get("model"),
        idempotency_key=check_name(given["idempotency_key"], field="idempotency_key")
        if "idempotency_key" in given
        else None,
        timeout=check_seconds(given.get("timeout"), field="timeout"),
    )


def wire_tool(tool: object, *, strict: bool | None = None) -> dict[str, Any]:
    """Return a tool as a JSON definition: LangChain's tools, functions, models and schemas; a provider's own as it is.

    Args:
        tool: Anything `bind_tools` of chat models takes.
        strict: Whether calls must follow the schema to the letter; None leaves it to the provider.
    """
    if isinstance(tool, Mapping):
        given = cast("Mapping[str, Any]", tool)
        if given.get("type", "object") not in ("function", "object"):
            return dict(given)
    return convert_to_openai_tool(cast("Any", tool), strict=strict)


def tool_choice_of(choice: Any) -> str | dict[str, Any] | None:
    """Return a tool choice in the words of sessions.

    Args:
        choice: "auto", "none", "any", "required", True (any), a tool's name, or the provider's own form.
    """
    if choice is True:
        return "required"
    if choice is False or choice is None:
        return None
    return "required" if choice == "any" else choice
