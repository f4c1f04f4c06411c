"""Which session a hook of an agent belongs to, and who owns what the model is given: read from the run's config."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from langchain_core.runnables import RunnableConfig, ensure_config

from langswarm_sessions.checks import check_name
from langswarm_sessions.errors import InvalidInputError

__all__ = ["RUN_KEY", "AgentRun", "HistoryOwner", "inside_tool", "read_run"]

RUN_KEY = "session_run"
"""Where in the graph's state the name of the run is."""

# Where LangGraph hands a run's checkpointer to its nodes; there is no public way to ask. Were it to move, the session
# would be taken to own the history, which is right but for what middleware removed; and history= always decides.
_CHECKPOINTER = "__pregel_checkpointer"
_UNNAMED = "agent"
_LONGEST_ID = 255
_KEPT_OF_ID = 200


class HistoryOwner(StrEnum):
    """Who decides what of the conversation the model is given.

    SESSION: the session does; what was said in earlier runs comes from it, in the window its planner chose.
    GRAPH: the graph's state does, as its checkpointer keeps it; the session keeps the transcript beside.
    """

    SESSION = "session"
    GRAPH = "graph"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRun:
    """Where a hook runs.

    Args:
        session_id: The session; of an agent that runs inside a tool of another one, a session of its own.
        user_id: Whose it must be (None: anybody's).
        is_nested: Whether the agent runs inside a tool of another one of the same conversation.
        has_checkpointer: Whether the graph's state is kept between runs.
        place: The nodes around the hook, by which agents that share a conversation are told apart.
        step: The step of the graph.
        config: The config of the node.
    """

    session_id: str
    user_id: str | None
    is_nested: bool
    has_checkpointer: bool
    place: str
    step: int
    config: RunnableConfig = field(repr=False)


@dataclass(frozen=True, slots=True)
class _ToolOf:
    """A tool that runs: the conversation the config names, the session it is recorded in, and the call of it."""

    named: str
    session_id: str
    call_id: str

    def session_of(self, agent: str) -> str:
        """Return the session of an agent in the tool: one for each call, as calls may run side by side."""
        own = "/".join(part for part in (self.session_id, agent, self.call_id) if part)
        if len(own) <= _LONGEST_ID:
            return own
        return f"{own[:_KEPT_OF_ID]}/{hashlib.sha256(own.encode()).hexdigest()[:32]}"


_tools: ContextVar[tuple[_ToolOf, ...]] = ContextVar("langswarm_sessions_agent_tools", default=())


def read_run(*, user_id: str | None, config: RunnableConfig | None = None) -> AgentRun:
    """Return where the current hook runs.

    Args:
        user_id: The user when the config names none.
        config: The node's config (None: that of the run around the caller).

    Raises:
        InvalidInputError: The config names no session, or an id is not a non-empty string.
    """
    current = ensure_config(config)
    configurable: Mapping[str, Any] = current.get("configurable") or {}
    named = _named(configurable)
    user = configurable.get("user_id")
    outer = next((tool for tool in reversed(_tools.get()) if tool.named == named), None)
    return AgentRun(
        session_id=named if outer is None else outer.session_of(_agent_name(current)),
        user_id=user_id if user is None else check_name(user, field="config['configurable']['user_id']"),
        is_nested=outer is not None,
        has_checkpointer=configurable.get(_CHECKPOINTER) is not None,
        place=_place(str(configurable.get("checkpoint_ns") or "")),
        step=int((current.get("metadata") or {}).get("langgraph_step") or 0),
        config=current,
    )


@contextmanager
def inside_tool(run: AgentRun, call_id: str) -> Generator[None]:
    """Mark what runs in the block as part of a tool of an agent: agents in it keep sessions of their own.

    Args:
        run: The agent's run.
        call_id: The call of the tool.
    """
    tool = _ToolOf(_named(run.config.get("configurable") or {}), run.session_id, call_id)
    token = _tools.set((*_tools.get(), tool))
    try:
        yield
    finally:
        _tools.reset(token)


def _named(configurable: Mapping[str, Any]) -> str:
    for key in ("session_id", "thread_id"):
        value = configurable.get(key)
        if value is not None and value != "":
            return check_name(value, field=f"config['configurable'][{key!r}]")
    raise InvalidInputError(
        "config['configurable'] must name the session: pass session_id or thread_id, a non-empty string; for example "
        "agent.invoke({'messages': [...]}, config={'configurable': {'thread_id': 'conversation-1'}})."
    )


def _agent_name(config: RunnableConfig) -> str:
    name = (config.get("metadata") or {}).get("lc_agent_name")
    return name if isinstance(name, str) and name else _UNNAMED


def _place(namespace: str) -> str:
    """Return the names of the nodes in a checkpoint namespace, without the ids that differ from run to run."""
    return "|".join(part.partition(":")[0] for part in namespace.split("|"))
