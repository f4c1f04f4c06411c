"""Drawing a Runnable with what it wraps."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.graph import Graph

__all__ = ["graph_around"]


def graph_around(outer: Runnable[Any, Any], bound: Runnable[Any, Any], config: RunnableConfig | None) -> Graph:
    """Return the graph of a Runnable that hands its input on to another one.

    Args:
        outer: The Runnable around.
        bound: What it wraps.
        config: The config both are drawn for.
    """
    graph = Graph()
    start = graph.add_node(outer.get_input_schema(config))
    session = graph.add_node(outer, metadata=None if config is None else config.get("metadata"))
    graph.add_edge(start, session)
    inner = bound.get_graph(config)
    inner.trim_first_node()
    inner.trim_last_node()
    first, last = graph.extend(inner)
    end = graph.add_node(outer.get_output_schema(config))
    if first is not None:
        graph.add_edge(session, first)
    graph.add_edge(last or first or session, end)
    return graph
