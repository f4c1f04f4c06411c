"""From a Runnable's call to a turn of a session: ids from the config, options from keyword arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.runnables import ConfigurableFieldSpec, RunnableConfig, ensure_config
from langchain_core.utils.function_calling import convert_to_openai_tool

from langswarm_sessions.checks import check_name, check_seconds
from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.records import TurnOptions
from langswarm_sessions.tools import turn_options
from langswarm_sessions_langchain.runnable.nesting import sessions_around

__all__ = [
    "CONFIG_SPECS",
    "GROUPED_BY",
    "CallOptions",
    "ConversationIds",
    "child_config",
    "grouped",
    "named_config",
    "read_ids",
    "read_options",
]

CONFIG_SPECS = [
    # Word for word RunnableWithMessageHistory's, so that both can stand in one chain.
    ConfigurableFieldSpec(
        id="session_id",
        annotation=str,
        name="Session ID",
        description="Unique identifier for a session.",
        default="",
        is_shared=True,
    ),
    ConfigurableFieldSpec(
        id="user_id",
        annotation=str | None,
        name="User ID",
        description="Whose session it must be.",
        default=None,
        is_shared=True,
    ),
]

GROUPED_BY = ("session_id", "thread_id", "conversation_id")
"""Keys of a run's metadata by which tracing tools group runs into conversations."""


@dataclass(frozen=True, slots=True)
class ConversationIds:
    """Which session a call belongs to; without a user it may be anybody's."""

    session_id: str
    user_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """What a call's keyword arguments ask of the turn; `rest` is for the wrapped Runnable."""

    options: TurnOptions = field(default_factory=TurnOptions)
    idempotency_key: str | None = None
    timeout: float | None = None
    rest: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)


def read_ids(config: RunnableConfig, *, user_id: str | None) -> ConversationIds:
    """Return the session a config names.

    Args:
        config: A run's config.
        user_id: The user when the config names none.

    Raises:
        InvalidInputError: There is no session_id, or an id is not a non-empty string.
    """
    configurable: Mapping[str, Any] = config.get("configurable") or {}
    session_id = configurable.get("session_id")
    if not isinstance(session_id, str) or not session_id.strip():
        raise InvalidInputError(
            "config['configurable']['session_id'] must be a non-empty string; for example "
            "runnable.invoke('hi', config={'configurable': {'session_id': 'conversation-1'}})."
        )
    user = configurable.get("user_id")
    return ConversationIds(
        check_name(session_id, field="config['configurable']['session_id']"),
        user_id if user is None else check_name(user, field="config['configurable']['user_id']"),
    )


def read_options(kwargs: Mapping[str, Any], *, bound: bool) -> CallOptions:
    """Return what the keyword arguments of a call (or of `bind`) ask for.

    Args:
        kwargs: idempotency_key, timeout (seconds), and without a wrapped Runnable tools, tool_choice,
            response_format.
        bound: Whether a wrapped Runnable takes the others.

    Raises:
        InvalidInputError: One is unknown or wrong.
    """
    rest = dict(kwargs)
    key = rest.pop("idempotency_key", None)
    timeout = check_seconds(rest.pop("timeout", None), field="timeout")
    if key is not None:
        key = check_name(key, field="idempotency_key")
    if bound:
        return CallOptions(idempotency_key=key, timeout=timeout, rest=rest)
    options = turn_options(
        _tools(rest.pop("tools", None)),
        rest.pop("tool_choice", None),
        response_format=rest.pop("response_format", None),
    )
    if rest:
        raise InvalidInputError(
            f"unknown argument {min(rest)!r}; a SessionRunnable takes tools, tool_choice, response_format, "
            "idempotency_key and timeout. Settings of the model belong to the session's provider_config."
        )
    return CallOptions(options=options, idempotency_key=key, timeout=timeout)


def named_config(config: RunnableConfig | None) -> RunnableConfig:
    """Return the config of a run, its metadata naming the session in the words by which tracers group runs.

    Args:
        config: What the caller gave; it is completed by the config of the run around this one.
    """
    complete = ensure_config(config)
    session_id = (complete.get("configurable") or {}).get("session_id")
    if isinstance(session_id, str):  # any other is refused within the run, where tracers see it
        complete["metadata"] = grouped(complete, session_id)
    return complete


def grouped(config: RunnableConfig, session_id: str) -> dict[str, Any]:
    """Return the metadata of a run, naming a session in the words by which tracers group runs.

    What the caller gave stays. What LangGraph copied there from the config, and what a turn around this one is called,
    makes way.

    Args:
        config: The run's config.
        session_id: Its session.
    """
    given: Mapping[str, Any] = config.get("metadata") or {}
    configurable: Mapping[str, Any] = config.get("configurable") or {}
    around = sessions_around()
    own = {key: given[key] for key in GROUPED_BY if key in given and given[key] not in (configurable.get(key), *around)}
    return {**given, **dict.fromkeys(GROUPED_BY, session_id), **own}


def child_config(config: RunnableConfig, ids: ConversationIds, *, callbacks: Any = None) -> RunnableConfig:
    """Return the config of what runs inside a turn.

    Args:
        config: The run's own config, from `named_config`.
        ids: The session; a `thread_id` of the caller's own stays.
        callbacks: The callbacks of its children; None keeps those of `config`.
    """
    configurable = {"thread_id": ids.session_id, **(config.get("configurable") or {})}
    child: RunnableConfig = {**config, "configurable": configurable}
    if callbacks is not None:
        child["callbacks"] = callbacks
        # What named or identified this run must not name its children.
        child.pop("run_name", None)
        child.pop("run_id", None)
    return child


def _tools(tools: object) -> list[Mapping[str, Any]] | None:
    """Return tools as JSON definitions: LangChain tools, functions and models are described, dicts stay."""
    if tools is None:
        return None
    if isinstance(tools, str | Mapping) or not isinstance(tools, Sequence):
        raise InvalidInputError("tools must be a list of LangChain tools, functions or JSON function definitions.")
    return [
        cast("Mapping[str, Any]", tool) if isinstance(tool, Mapping) else convert_to_openai_tool(cast("Any", tool))
        for tool in cast("Sequence[object]", tools)
    ]
