"""Calls aside: what the middleware and the tools of an agent ask a chat model on their own account. Pure functions.

An agent hands its config, and with it the name of its conversation, to everything it runs. A summary of the
conversation, a choice of tools or a question that a tool asks is no turn of it all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig

__all__ = ["is_internal", "session_in_graph"]

_INTERNAL_MARKS = ("lc_internal_call", "lc_source")
"""Metadata by which LangChain's middleware marks the calls it makes itself."""

_TOOL_NODE = "tools"
_HOOKS = (".before_agent", ".before_model", ".after_model", ".after_agent")
"""How `create_agent` ends the names of the nodes that its middleware runs in."""


def is_internal(config: RunnableConfig) -> bool:
    """Whether a call is marked as middleware's own."""
    metadata: Mapping[str, Any] = config.get("metadata") or {}
    return any(metadata.get(mark) for mark in _INTERNAL_MARKS)


def session_in_graph(config: RunnableConfig, named: str) -> str | None:
    """Return the session of a call whose config names a conversation; None: one of its own.

    Only the nodes of tools (called `tools`) and of middleware are aside. An agent that runs in one of them has one
    session for all its calls there.

    Args:
        config: The call's complete config.
        named: The conversation it names.

    Example:
        >>> session_in_graph({"configurable": {"checkpoint_ns": "tools:1|model:2"}}, "trip")
        'trip/tools:1'
    """
    namespace = str((config.get("configurable") or {}).get("checkpoint_ns") or "")
    nodes = namespace.split("|")
    aside = next((at for at in reversed(range(len(nodes))) if _is_aside(nodes[at].partition(":")[0])), None)
    if aside is None:
        return named
    return None if aside == len(nodes) - 1 else f"{named}/{'|'.join(nodes[: aside + 1])}"


def _is_aside(node: str) -> bool:
    return node == _TOOL_NODE or node.endswith(_HOOKS)
