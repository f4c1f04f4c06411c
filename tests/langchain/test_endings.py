"""Turns of a SessionRunnable that fail, are left or are cancelled, and the thread of a blocking caller."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.exceptions import ContextOverflowError as LangChainContextOverflow
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import Runnable, RunnableConfig, RunnableGenerator, RunnableLambda

from langswarm_sessions import (
    ContextOverflowError,
    ProviderTimeoutError,
    RateLimitError,
    RetryPolicy,
    SessionManager,
    create_session_manager,
)
from langswarm_sessions.events import EventStream, EventType
from langswarm_sessions_langchain import SessionRunnable
from tests.langchain.chains import Scripted, on, stored, summed, told


def texts(messages: list[BaseMessage]) -> list[tuple[str, str]]:
    return [(message.type, str(message.text)) for message in messages]


# ---------------------------------------------------------------- failures


async def test_errors_of_the_sessions_provider_are_ours(manager: SessionManager) -> None:
    patient = create_session_manager(storage="memory", retry=RetryPolicy(max_attempts=1))
    session = await patient.create_session("user", "mock", "mock-model", session_id="s")
    session.provider_session.fail_next("rate_limit", times=1)
    chain = SessionRunnable(manager=patient)
    with pytest.raises(RateLimitError) as caught:
        await chain.ainvoke("hi", on("s"))
    assert caught.value.session_id == "s"
    session.provider_session.fail_next("rate_limit", times=1)
    retrying = chain.with_retry(retry_if_exception_type=(RateLimitError,), wait_exponential_jitter=False)
    assert (await retrying.ainvoke("hi", on("s"))).text == "Mock response to: hi"
    assert await told(patient, "s") == [
        ("user", "hi", "completed"),
        ("assistant", "Mock response to: hi", "completed"),
    ]
    await patient.close()


async def test_errors_of_a_wrapped_runnable_stay_what_they_are(manager: SessionManager) -> None:
    model = Scripted(script=[LangChainContextOverflow("too long")])

    def act(messages: list[BaseMessage]) -> BaseMessage:
        return model.invoke(messages)

    acting = RunnableLambda(act)
    with pytest.raises(LangChainContextOverflow):
        await SessionRunnable(acting, manager=manager).ainvoke("hi", on("s"))
    assert len(model.asked) == 1


@pytest.mark.parametrize("streams", [False, True])
async def test_a_wrapped_runnable_is_not_run_again_for_a_refusal_in_the_midst_of_it(
    manager: SessionManager, streams: bool
) -> None:
    acted: list[str] = []

    def act(messages: list[BaseMessage]) -> BaseMessage:
        acted.append("booked a flight")
        raise RateLimitError("Slow down.", provider="mock")

    chain = SessionRunnable(RunnableLambda(act), manager=manager)
    with pytest.raises(RateLimitError):
        await (anext(chain.astream("hi", on("s"))) if streams else chain.ainvoke("hi", on("s")))
    assert acted == ["booked a flight"]


async def test_a_wrapped_runnable_is_not_run_again_for_an_overflow_in_another_session(manager: SessionManager) -> None:
    acted: list[str] = []

    def act(messages: list[BaseMessage]) -> BaseMessage:
        acted.append("booked a flight")
        if len(acted) < 4:
            return AIMessage("booked")
        raise ContextOverflowError("Too long.", provider="mock")

    chain = SessionRunnable(RunnableLambda(act), manager=manager)
    for number in range(3):
        await chain.ainvoke(f"flight {number}", on("s"))
    with pytest.raises(ContextOverflowError):
        await chain.ainvoke("flight 3", on("s"))
    assert len(acted) == 4


async def test_a_plain_models_overflow_is_tried_with_less(manager: SessionManager) -> None:
    model = Scripted(script=["a", "b", LangChainContextOverflow("too long"), "c"])
    chain = SessionRunnable(model | StrOutputParser(), manager=manager)
    for question in ("one " * 50, "two " * 50, "three"):
        answer = await chain.ainvoke(question, on("s"))
    assert answer.text == "c"
    assert len(model.asked[3]) < len(model.asked[2])
    hopeless = SessionRunnable(Scripted(script=[LangChainContextOverflow("too long")]), manager=manager)
    with pytest.raises(ContextOverflowError) as caught:
        await hopeless.ainvoke("hi", on("other"))
    assert isinstance(caught.value.__cause__, LangChainContextOverflow)


async def test_a_timeout(manager: SessionManager) -> None:
    async def never(_: Any) -> str:
        await asyncio.Event().wait()
        return ""

    with pytest.raises(ProviderTimeoutError):
        await SessionRunnable(RunnableLambda(never), manager=manager).ainvoke("hi", on("s"), timeout=0.5)
    assert await told(manager, "s") == [("user", "hi", "failed")]


async def test_an_idempotency_key_names_the_turn(manager: SessionManager) -> None:
    model = Scripted()
    chain = SessionRunnable(model, manager=manager)
    first = await chain.ainvoke("hi", on("s"), idempotency_key="k")
    again = await chain.ainvoke("hi", on("s"), idempotency_key="k")
    streamed = summed([chunk async for chunk in chain.astream("hi", on("s"), idempotency_key="k")])
    assert first.text == again.text == streamed.text == "answer 1"
    assert len(model.asked) == 1


# ---------------------------------------------------------------- streams that are left


def words(inputs: Iterator[Any]) -> Iterator[str]:
    for _ in inputs:
        yield from ("one ", "two ", "three")


async def interruption(events: EventStream) -> None:
    async with asyncio.timeout(5):
        async for event in events:
            if event.type == EventType.TURN_INTERRUPTED:
                return


LEFT = [("user", "hi", "interrupted"), ("assistant", "one ", "interrupted")]


def test_a_blocking_stream_that_is_left(manager: SessionManager) -> None:
    closed = threading.Event()

    def closing(inputs: Iterator[Any]) -> Iterator[str]:
        try:
            yield from words(inputs)
        finally:
            closed.set()

    for bound in (Scripted(script=["one two"]), RunnableGenerator(closing)):
        session_id = bound.get_name()
        for chunk in SessionRunnable(bound, manager=manager).stream("hi", on(session_id)):
            assert chunk.text == "one "
            break
        assert manager.bridge.call(told, manager, session_id) == LEFT
    assert closed.is_set()


async def test_a_stream_that_is_left_behind_a_parser(manager: SessionManager) -> None:
    events = manager.session_events()
    chain = SessionRunnable(Scripted(script=["one two"]), manager=manager) | StrOutputParser()
    async for piece in chain.astream("hi", on("s")):
        assert piece == "one "
        break
    await interruption(events)  # LangChain closes the steps of a chain a moment later
    assert await told(manager, "s") == LEFT


async def test_a_stream_that_is_dropped_is_stored(manager: SessionManager) -> None:
    events = manager.session_events()
    stream: Any = SessionRunnable(Scripted(script=["one two"]), manager=manager).astream("hi", on("s"))
    await anext(stream)
    del stream
    gc.collect()
    await interruption(events)
    assert await told(manager, "s") == LEFT


async def test_the_session_goes_on_after_a_stream_was_left(manager: SessionManager) -> None:
    model = Scripted(script=["one two", "three"])
    chain = SessionRunnable(model, manager=manager)
    async for _ in chain.astream("hi", on("s")):
        break
    assert (await chain.ainvoke("go on", on("s"))).text == "three"
    assert texts(model.asked[1]) == [("human", "hi"), ("ai", "one "), ("human", "go on")]


# ---------------------------------------------------------------- the thread of a blocking caller


def test_a_blocking_call_runs_the_runnable_in_the_callers_thread(manager: SessionManager) -> None:
    ran: list[int] = []

    def note(inputs: Iterator[Any]) -> Iterator[str]:
        for piece in words(inputs):
            ran.append(threading.get_ident())
            yield piece

    chain = SessionRunnable(RunnableGenerator(note), manager=manager)
    assert chain.invoke("hi", on("s")).text == "one two three"
    assert [chunk.text for chunk in chain.stream("hi", on("s"))] == ["one ", "two ", "three", ""]
    assert set(ran) == {threading.get_ident()}


class Eager(Runnable[Any, str]):
    """Begins its stream when it is called, not when its first chunk is asked for."""

    def __init__(self) -> None:
        self.began_in: list[int] = []

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> str:
        return "one two"

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[str]:
        self.began_in.append(threading.get_ident())
        return iter(["one ", "two"])


def test_a_blocking_stream_begins_in_the_callers_thread(manager: SessionManager) -> None:
    eager = Eager()
    chain = SessionRunnable(eager, manager=manager)
    assert [chunk.text for chunk in chain.stream("hi", on("s"))] == ["one ", "two", ""]
    assert eager.began_in == [threading.get_ident()]


def test_an_interrupt_of_a_blocking_call_interrupts_the_turn(manager: SessionManager) -> None:
    def interrupted(_: Any) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SessionRunnable(RunnableLambda(interrupted), manager=manager).invoke("hi", on("s"))
    assert manager.bridge.call(told, manager, "s") == [("user", "hi", "interrupted")]


def test_a_stop_iteration_of_a_blocking_runnable_is_an_error(manager: SessionManager) -> None:
    def stop(_: Any) -> str:
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        SessionRunnable(RunnableLambda(stop), manager=manager).invoke("hi", on("s"))
    assert manager.bridge.call(told, manager, "s") == [("user", "hi", "failed")]


def test_blocking_runnables_within_each_other(manager: SessionManager) -> None:
    inner = SessionRunnable(Scripted(), manager=manager)
    outer = SessionRunnable(RunnableLambda(lambda _: inner.invoke("inside", on("inner"))), manager=manager)
    answers = outer.batch(["a"] * 12, [on(f"outer-{at}") for at in range(12)])
    assert len({answer.text for answer in answers}) == 12
    assert len(manager.bridge.call(stored, manager, "inner")) == 24
