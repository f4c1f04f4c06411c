"""Graphs written as LangGraph's documentation writes them, on InMemorySaver and on ours: they tell the same story."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, TypedDict, cast

import pytest
from langgraph.channels.delta import DeltaChannel  # pyright: ignore[reportMissingTypeStubs]
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task  # pyright: ignore[reportMissingTypeStubs]
from langgraph.graph import START, StateGraph  # pyright: ignore[reportMissingTypeStubs]
from langgraph.types import Command, Send, StateUpdate, interrupt

from langswarm_sessions import SessionManager
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver
from tests.checkpoints.graphs import in_a_row, thread

Saver = BaseCheckpointSaver[Any]


class State(TypedDict):
    log: Annotated[list[Any], operator.add]
    number: int


def entering(*said: str) -> dict[str, Any]:
    return {"log": list(said), "number": 0}


def node(write: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    return write


def saying(text: str) -> Any:
    return node(lambda _: {"log": [text]})


def asking(*questions: str) -> Any:
    return node(lambda _: {"log": [interrupt(question) for question in questions]})


def told(graph: Any, **more: Any) -> list[Any]:
    """Return what the history of the thread says, but for ids and times."""
    return [
        (
            state.values,
            state.next,
            state.metadata["source"],
            state.metadata["step"],
            [(job.name, str(job.error), [found.value for found in job.interrupts]) for job in state.tasks],
        )
        for state in graph.get_state_history(thread("t", **more))
    ]


def _four(_: State) -> list[Send]:
    return [Send("work", {"number": at}) for at in range(4)]


def fan_out(saver: Saver) -> Any:
    builder = cast("Any", StateGraph)(State)
    builder.add_node("split", saying("split"))
    builder.add_node("work", node(lambda state: {"log": [f"work {state['number']}"]}))
    builder.add_node("join", saying("join"))
    builder.add_edge(START, "split")
    builder.add_conditional_edges("split", _four, ["work"])
    builder.add_edge("work", "join")
    return builder.compile(checkpointer=saver)


def parallel_tasks(saver: Saver) -> Iterable[Any]:
    for durability in ("async", "sync", "exit"):
        graph = fan_out(saver)
        for _ in range(2):
            yield graph.invoke(entering("in"), thread(durability), durability=durability)
        yield [(state.values, state.next) for state in graph.get_state_history(thread(durability))]


def several_interrupts(saver: Saver) -> Iterable[Any]:
    builder = cast("Any", StateGraph)(State)
    builder.add_node("two", asking("first?", "second?"))
    builder.add_node("one", asking("other?"))
    builder.add_edge(START, "two")
    builder.add_edge(START, "one")
    graph = builder.compile(checkpointer=saver)
    asked = graph.invoke(entering(), thread("t"))["__interrupt__"]
    yield sorted(found.value for found in asked)
    again = graph.invoke(Command(resume={found.id: f"re {found.value}" for found in asked}), thread("t"))
    yield [found.value for found in again["__interrupt__"]]
    yield graph.invoke(Command(resume="re second?"), thread("t"))
    yield told(graph)


def a_failure_and_on(saver: Saver) -> Iterable[Any]:
    failures = [ValueError("down")]

    def fail(_: State) -> dict[str, Any]:
        if failures:
            raise failures.pop()
        return {"log": ["up"]}

    builder = cast("Any", StateGraph)(State)
    builder.add_node("fine", saying("fine"))
    builder.add_node("fail", fail)
    builder.add_edge(START, "fine")
    builder.add_edge(START, "fail")
    graph = builder.compile(checkpointer=saver)
    with pytest.raises(ValueError, match="down"):
        graph.invoke(entering(), thread("t"))
    yield told(graph)
    yield graph.invoke(None, thread("t"))
    yield told(graph)


def graphs_within_graphs(saver: Saver) -> Iterable[Any]:
    inner = in_a_row(State, None, ask=asking("deep?"))
    graph = in_a_row(State, saver, middle=in_a_row(State, None, inner=inner), end=saying("end"))
    yield graph.invoke(entering("in"), thread("t"))["log"]
    state = graph.get_state(thread("t"), subgraphs=True)
    yield state.tasks[0].state.tasks[0].state.next
    yield graph.invoke(Command(resume="yes"), thread("t"))
    yield told(graph)


def a_graph_with_a_memory_of_its_own(saver: Saver) -> Iterable[Any]:
    builder = cast("Any", StateGraph)(State)
    builder.add_node("count", node(lambda state: {"log": [len(state["log"])]}))
    builder.add_edge(START, "count")
    inner = builder.compile(checkpointer=True)
    graph = in_a_row(State, saver, call=node(lambda _: {"log": [inner.invoke(entering("in"))["log"]]}))
    for _ in range(3):
        yield graph.invoke(entering(), thread("t"))


def going_back(saver: Saver) -> Iterable[Any]:
    graph = in_a_row(State, saver, a=saying("a"), b=saying("b"))
    for text in ("one", "two"):
        graph.invoke(entering(text), thread("t"))
    history = list(graph.get_state_history(thread("t")))
    early = [state for state in history if state.next == ("b",)][-1]
    yield graph.invoke(None, early.config)
    yield graph.invoke(None, graph.update_state(early.config, {"log": ["edited"]}))
    yield graph.invoke(entering("three"), thread("t"))
    graph.update_state(thread("t"), {"log": ["as a"]}, as_node="a")
    yield graph.invoke(None, thread("t"))
    yield graph.get_state(graph.update_state(history[0].config, None, as_node="__copy__")).values
    graph.bulk_update_state(thread("t"), [[StateUpdate({"log": [name]}, name)] for name in ("a", "b")])
    yield told(graph)


def _appended(state: list[str] | None, writes: Sequence[list[str]]) -> list[str]:
    return [*(state or []), *(entry for write in writes for entry in write)]


class Written(TypedDict):
    log: Annotated[list[str], DeltaChannel(_appended, snapshot_frequency=3)]


def going_back_in_channels_kept_as_writes(saver: Saver) -> Iterable[Any]:
    graph = in_a_row(Written, saver, a=node(lambda state: {"log": [f"a{len(state['log'])}"]}), b=saying("b"))
    for text in ("one", "two", "three"):
        graph.invoke({"log": [text]}, thread("t"))
    for state in list(graph.get_state_history(thread("t")))[2:7]:
        yield graph.invoke({"log": ["branch"]}, state.config)
        yield graph.invoke(None, graph.update_state(state.config, {"log": ["edited"]}, as_node="a"))
    yield told(graph)


def going_back_within_graphs(saver: Saver) -> Iterable[Any]:
    inner = in_a_row(State, None, before=saying("before"), ask=asking("well?"))
    graph = in_a_row(State, saver, inner=inner, end=saying("end"))
    graph.invoke(entering("in"), thread("t"))
    yield graph.invoke(Command(resume="first"), thread("t"))
    early = [state for state in graph.get_state_history(thread("t")) if state.next == ("inner",)][-1]
    yield graph.invoke(None, early.config)["log"]
    yield graph.invoke(Command(resume="second"), thread("t"))
    graph.invoke(entering("again"), thread("t"))
    asked = graph.get_state(thread("t"), subgraphs=True).tasks[0].state
    graph.update_state(asked.config, {"log": ["edited"]})
    yield graph.invoke(Command(resume="third"), thread("t"))
    yield told(graph)


def deciding_again(saver: Saver) -> Iterable[Any]:
    graph = in_a_row(State, saver, a=saying("a"), ask=asking("well?"), end=saying("end"))
    graph.invoke(entering("in"), thread("t"))
    early = list(graph.get_state_history(thread("t")))
    yield graph.invoke(Command(resume="first"), thread("t"))["log"]
    for state in early:  # the one that asks, and those before it
        yield graph.invoke(Command(resume="second"), state.config)["log"]
        yield told(graph)


def going_back_to_a_graph_with_a_memory_of_its_own(saver: Saver) -> Iterable[Any]:
    builder = cast("Any", StateGraph)(State)
    builder.add_node("before", saying("before"))
    builder.add_node("ask", asking("well?"))
    builder.add_edge(START, "before")
    builder.add_edge("before", "ask")
    graph = in_a_row(State, saver, a=saying("a"), inner=builder.compile(checkpointer=True), end=saying("end"))
    graph.invoke(entering("in"), thread("t"))
    early = list(graph.get_state_history(thread("t")))
    yield graph.invoke(Command(resume="first"), thread("t"))["log"]
    for state in early:
        yield graph.invoke(None, state.config)["log"]
        yield graph.get_state(thread("t"), subgraphs=True).tasks[0].state.values
        yield graph.invoke(Command(resume="second"), thread("t"))["log"]
        yield graph.invoke(None, graph.update_state(state.config, {"log": ["edited"]}))["log"]
        yield told(graph)


def tasks_and_an_entrypoint(saver: Saver) -> Iterable[Any]:
    ran: list[int] = []

    @task
    def increase(number: int) -> int:
        ran.append(number)
        return number + 1

    def work(number: int, *, previous: Any = None) -> Any:
        found = increase(number).result()
        return entrypoint.final(value=(found, interrupt("well?"), previous), save=found)

    flow = cast("Any", entrypoint(checkpointer=saver))(work)
    for number in range(2):
        flow.invoke(number, thread("t"))
        yield flow.invoke(Command(resume="yes"), thread("t"))
    yield ran


def a_stream_that_was_left(saver: Saver) -> Iterable[Any]:
    graph = fan_out(saver)
    stream = graph.stream(entering("in"), thread("t"))
    next(stream)
    stream.close()
    yield graph.invoke(None, thread("t"))


@pytest.mark.parametrize(
    "story",
    [
        parallel_tasks,
        several_interrupts,
        a_failure_and_on,
        graphs_within_graphs,
        a_graph_with_a_memory_of_its_own,
        going_back,
        going_back_in_channels_kept_as_writes,
        going_back_within_graphs,
        deciding_again,
        going_back_to_a_graph_with_a_memory_of_its_own,
        tasks_and_an_entrypoint,
        a_stream_that_was_left,
    ],
)
async def test_a_graph_tells_the_same_story(story: Callable[[Saver], Iterable[Any]]) -> None:
    stock = list(story(InMemorySaver()))
    async with SessionManager("memory") as manager:
        assert list(story(SessionCheckpointSaver(manager))) == stock
    assert stock
