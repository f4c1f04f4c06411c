"""Graphs the tests of checkpoints run."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict, cast

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.graph import END, START, StateGraph  # pyright: ignore[reportMissingTypeStubs]
from langgraph.graph.message import add_messages  # pyright: ignore[reportMissingTypeStubs]

from langswarm_sessions import SessionManager
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver


class Chat(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


class Log(TypedDict):
    entries: Annotated[list[str], operator.add]


def thread(thread_id: str, **more: Any) -> RunnableConfig:
    """Return the config of a thread."""
    return {"configurable": {"thread_id": thread_id, **more}}


def texts(state: dict[str, Any]) -> list[str]:
    """Return what the messages of a state say."""
    return [message.text for message in state["messages"]]


def chat(saver: BaseCheckpointSaver[Any], *, size: int = 0) -> Any:
    """Return a graph that answers each message, with answers of about `size` characters."""

    async def answer(state: Chat) -> dict[str, Any]:
        return {"messages": [AIMessage(f"re: {state['messages'][-1].text}" + "." * size)]}

    return _answering(answer, saver)


def sync_chat(saver: BaseCheckpointSaver[Any]) -> Any:
    """Return the same graph with a node that is no coroutine."""
    return _answering(lambda state: {"messages": [AIMessage(f"re: {state['messages'][-1].text}")]}, saver)


def _answering(answer: Callable[[Chat], Any], saver: BaseCheckpointSaver[Any]) -> Any:
    return in_a_row(Chat, saver, answer=answer)


def in_a_row(state: Any, saver: BaseCheckpointSaver[Any] | None, **nodes: Any) -> Any:
    """Return a graph whose nodes run one after the other."""
    builder = cast("Any", StateGraph)(state)
    for name, node in nodes.items():
        builder.add_node(name, node)
    for before, after in zip((START, *nodes), (*nodes, END), strict=True):
        builder.add_edge(before, after)
    return builder.compile(checkpointer=saver)


class Meeting:
    """Nodes that wait for each other, so that runs surely overlap.

    Args:
        parties: How many runs meet.
    """

    def __init__(self, parties: int) -> None:
        self.barrier = asyncio.Barrier(parties)
        self.most = self.running = 0

    def graph(self, saver: BaseCheckpointSaver[Any], *, meets: bool = True) -> Any:
        """Return a chat whose node waits until as many runs are in it."""

        async def answer(state: Chat) -> dict[str, Any]:
            self.running += 1
            self.most = max(self.most, self.running)
            if meets:
                await self.barrier.wait()
            else:
                await asyncio.sleep(0)
            self.running -= 1
            return {"messages": [AIMessage(f"re: {state['messages'][-1].text}")]}

        return _answering(answer, saver)


class Overlapping(SessionCheckpointSaver):
    """A saver whose first runs all read the thread before any of them stores."""

    barrier: asyncio.Barrier | None = None

    @classmethod
    def of(cls, manager: SessionManager, parties: int) -> Overlapping:
        """Return a saver for this many runs at once."""
        saver = cls(manager)
        saver.barrier = asyncio.Barrier(parties)
        return saver

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read, and wait for the other runs that read."""
        found = await super().aget_tuple(config)
        if self.barrier is not None and "__pregel_runtime" in config.get("configurable", {}):
            await self.barrier.wait()
            self.barrier = None
        return found


def steps(saver: BaseCheckpointSaver[Any], *names: str, run: Callable[[str], None] = lambda _: None) -> Any:
    """Return a graph of nodes in a row, each noting its name; `run` is called with it."""

    def node(name: str) -> Callable[[Log], dict[str, list[str]]]:
        def noted(state: Log) -> dict[str, list[str]]:
            run(name)
            return {"entries": [name]}

        return noted

    return in_a_row(Log, saver, **{name: node(name) for name in names})


def say(text: str) -> dict[str, list[HumanMessage]]:
    """Return the input that says something."""
    return {"messages": [HumanMessage(text)]}
