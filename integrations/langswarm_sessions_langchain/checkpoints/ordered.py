"""A graph whose runs have their thread to themselves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import Runnable, RunnableConfig, ensure_config
from langchain_core.runnables.config import merge_configs
from langchain_core.runnables.utils import ConfigurableFieldSpec
from pydantic import BaseModel

from langswarm_sessions.checks import check_wait
from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions_langchain.checkpoints.addresses import place_of
from langswarm_sessions_langchain.checkpoints.turn import ThreadTurn

if TYPE_CHECKING:
    from langswarm_sessions_langchain.checkpoints.saver import SessionCheckpointSaver

__all__ = ["OrderedGraph"]


class OrderedGraph(Runnable[Any, Any]):
    """A compiled graph each of whose runs waits for its thread; made by `SessionCheckpointSaver.ordered`.

    `invoke`, `stream`, `batch`, `update_state`, `bulk_update_state`, their async twins and `astream_events` run in the
    thread's turn; all else, such as `get_state`, is the graph's own.
    """

    def __init__(self, graph: Runnable[Any, Any], saver: SessionCheckpointSaver, wait: float | None) -> None:
        self._graph = graph
        self._saver = saver
        self._seconds = wait

    @classmethod
    def of(cls, graph: object, *, saver: SessionCheckpointSaver, wait: float | None) -> OrderedGraph:
        """Wrap a graph.

        Raises:
            InvalidInputError: It is none.
        """
        runnable = cast("Runnable[Any, Any]", graph)
        if not isinstance(runnable, Runnable) or not hasattr(runnable, "get_state"):
            raise InvalidInputError(
                "ordered takes a compiled graph or agent: builder.compile(checkpointer=saver), or "
                "create_agent(..., checkpointer=saver)."
            )
        seconds = None if wait is None else check_wait(wait, field="wait")
        return cls(runnable, saver, seconds)

    def __getattr__(self, name: str) -> Any:
        """Return what the graph has beyond a Runnable."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._graph, name)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run the graph in the thread's turn."""
        with self._turn(config):
            return self._graph.invoke(input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run the graph in the thread's turn."""
        async with self._turn(config):
            return await self._graph.ainvoke(input, config, **kwargs)

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Generator[Any]:
        """Stream a run; the turn lasts until the stream is read to its end or closed."""
        with self._turn(config), closing(cast("Generator[Any]", self._graph.stream(input, config, **kwargs))) as chunks:
            yield from chunks

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncGenerator[Any]:
        """Stream a run; the turn lasts until the stream is read to its end or closed."""
        chunks = cast("AsyncGenerator[Any]", self._graph.astream(input, config, **kwargs))
        async with self._turn(config), aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    async def astream_events(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        self, input: Any, config: RunnableConfig | None = None, *, version: str = "v2", **kwargs: Any
    ) -> AsyncGenerator[Any]:
        """Stream the events of a run; the turn lasts until the stream is read to its end or closed."""
        if version == "v3":
            raise InvalidInputError(
                "Version v3 of events is read from the graph itself: hold the thread with async with saver.turn(...)."
            )
        events = cast("Any", self._graph).astream_events(input, config, version=version, **kwargs)
        async with self._turn(config), aclosing(cast("AsyncGenerator[Any]", events)) as found:
            async for event in found:
                yield event

    def stream_events(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Generator[Any]:
        """Refuse: blocking events are of version v3.

        Raises:
            InvalidInputError: Always.
        """
        raise InvalidInputError(
            "Version v3 of events is read from the graph itself: hold the thread with with saver.turn(...)."
        )

    def bulk_update_state(self, config: RunnableConfig, supersteps: Any) -> RunnableConfig:
        """Apply several updates in the thread's turn."""
        with self._turn(config):
            return cast("RunnableConfig", cast("Any", self._graph).bulk_update_state(config, supersteps))

    async def abulk_update_state(self, config: RunnableConfig, supersteps: Any) -> RunnableConfig:
        """Apply several updates in the thread's turn."""
        async with self._turn(config):
            return cast("RunnableConfig", await cast("Any", self._graph).abulk_update_state(config, supersteps))

    def update_state(self, config: RunnableConfig, values: Any, *args: Any, **kwargs: Any) -> RunnableConfig:
        """Update the state in the thread's turn."""
        with self._turn(config):
            return cast("RunnableConfig", cast("Any", self._graph).update_state(config, values, *args, **kwargs))

    async def aupdate_state(self, config: RunnableConfig, values: Any, *args: Any, **kwargs: Any) -> RunnableConfig:
        """Update the state in the thread's turn."""
        async with self._turn(config):
            return cast("RunnableConfig", await cast("Any", self._graph).aupdate_state(config, values, *args, **kwargs))

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """What the graph can be configured with."""
        return self._graph.config_specs

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """Return the graph's name."""
        return self._graph.get_name(suffix, name=name)

    def get_graph(self, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Return the drawing of the graph."""
        return self._graph.get_graph(config, **kwargs)

    def get_input_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        """Return the schema of the graph's input."""
        return cast("type[BaseModel]", self._graph.get_input_schema(config))

    def get_output_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        """Return the schema of the graph's output."""
        return cast("type[BaseModel]", self._graph.get_output_schema(config))

    def _turn(self, config: RunnableConfig | None) -> ThreadTurn:
        bound = cast("RunnableConfig | None", getattr(self._graph, "config", None))
        address = place_of(merge_configs(bound, ensure_config(config)), user_id=self._saver.user_id).address
        return self._saver.turn(address.thread_id, user_id=address.user_id, wait=self._seconds)
