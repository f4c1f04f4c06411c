"""A turn of a LangGraph agent, on threads that already hold many turns, with our checkpointer and with others."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph  # pyright: ignore[reportMissingTypeStubs]

from langswarm_sessions_langchain import SessionCheckpointSaver
from tests.benchmarks.bare import INPUT, mock_answer
from tests.benchmarks.measure import Turn, median_of_rounds
from tests.benchmarks.ours import manager_on

__all__ = ["TURNS_HELD", "CheckpointCosts", "checkpoint_costs"]

TURNS_HELD = (10, 100, 1_000)

_THREAD: Any = {"configurable": {"thread_id": "t"}}
_TURNS_COUNTED = 10
OURS, ORDERED, SQLITE, MEMORY = "ours", "ours, ordered", "AsyncSqliteSaver", "InMemorySaver"

Savers = Callable[[Path], AbstractAsyncContextManager[BaseCheckpointSaver[Any]]]


@dataclass(frozen=True, slots=True)
class CheckpointCosts:
    """What a turn costs.

    Args:
        milliseconds: Of a turn, by saver.
        added: Bytes that a turn adds to the database, by saver.
    """

    milliseconds: dict[str, float]
    added: dict[str, float]


async def checkpoint_costs(folder: Path, *, turns: int, rounds: int) -> CheckpointCosts:
    """Measure a turn on threads of `turns` turns.

    Args:
        folder: Where databases are made.
        turns: Turns that a thread holds already; each a question and an answer of about 200 characters.
        rounds: Rounds; the median of them counts.
    """
    systems: dict[str, Turn] = {}
    added: dict[str, float] = {}
    async with AsyncExitStack() as open_savers:
        for name, make in (("ours", _ours), ("sqlite", _sqlite), ("memory", _memory)):
            path = folder / f"{name}-checkpoints-{turns}.db"
            saver = await open_savers.enter_async_context(make(path))
            graph = await _filled(saver, turns)
            if name == "ours":
                systems[OURS] = _turn(graph)
                systems[ORDERED] = _turn(cast("SessionCheckpointSaver", saver).ordered(graph))
                added[OURS] = await _added(path, systems[OURS])
            elif name == "sqlite":
                systems[SQLITE] = _turn(graph)
                added[SQLITE] = await _added(path, systems[SQLITE])
            else:
                systems[MEMORY] = _turn(graph)
        return CheckpointCosts(await median_of_rounds(systems, turns=5, rounds=rounds), added)


@asynccontextmanager
async def _ours(path: Path) -> AsyncGenerator[BaseCheckpointSaver[Any]]:
    async with manager_on(path.parent, path.stem, telemetry=False) as manager:
        yield SessionCheckpointSaver(manager)


def _sqlite(path: Path) -> AbstractAsyncContextManager[BaseCheckpointSaver[Any]]:
    return AsyncSqliteSaver.from_conn_string(str(path))


@asynccontextmanager
async def _memory(_: Path) -> AsyncGenerator[BaseCheckpointSaver[Any]]:
    yield InMemorySaver()


async def _answer(_: MessagesState) -> dict[str, list[AnyMessage]]:
    return {"messages": [AIMessage(mock_answer(INPUT))]}


async def _filled(saver: BaseCheckpointSaver[Any], turns: int) -> Any:
    """Return a graph whose thread holds as many turns."""
    builder = cast("Any", StateGraph)(MessagesState)
    builder.add_node("answer", _answer)
    builder.add_edge(START, "answer")
    graph = builder.compile(checkpointer=saver)
    said = [message for _ in range(turns) for message in (HumanMessage(INPUT), AIMessage(mock_answer(INPUT)))]
    await graph.aupdate_state(_THREAD, {"messages": said}, as_node="answer")
    return graph


def _turn(graph: Any) -> Turn:
    async def turn() -> None:
        await graph.ainvoke({"messages": [HumanMessage(INPUT)]}, _THREAD)

    return turn


async def _added(path: Path, turn: Turn) -> float:
    await turn()
    before = _size(path)
    for _ in range(_TURNS_COUNTED):
        await turn()
    return (_size(path) - before) / _TURNS_COUNTED


def _size(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        pages, size = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size"))
        return pages * size
