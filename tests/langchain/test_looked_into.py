"""Looking for the chat models in a Runnable costs no answer, whatever the program's own objects do when looked at."""

from __future__ import annotations

from collections.abc import Callable, ValuesView
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableLambda
from typing_extensions import override

from langswarm_sessions import SessionManager
from langswarm_sessions_langchain import SessionRunnable
from langswarm_sessions_langchain.runnable.billed import billed_call
from langswarm_sessions_langchain.runnable.inside import chat_models_in
from tests.langchain.chains import Scripted, on, told

acted: list[str] = []


class Settings:
    """Reads what it does not have from a file of the program's."""

    def __init__(self) -> None:
        self.model = Scripted(script=["a"])

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class Proxy:
    """Stands in for something that is not there yet."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise RuntimeError("not configured")


class Remote(dict[str, Any]):
    """Fetches its values."""

    @override
    def values(self) -> ValuesView[Any]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        raise ConnectionError


settings, proxy, remote = Settings(), Proxy(), Remote(model=Scripted(script=["a"]))


def _act(*_: object) -> BaseMessage:
    acted.append("booked a flight")
    return AIMessage("booked")


def _with_settings(messages: list[BaseMessage]) -> BaseMessage:
    return _act(messages, settings)


def _with_proxy(messages: list[BaseMessage]) -> BaseMessage:
    return _act(messages, proxy)


def _with_remote(messages: list[BaseMessage]) -> BaseMessage:
    return _act(messages, remote)


@pytest.mark.parametrize("act", [_with_settings, _with_proxy, _with_remote])
async def test_no_answer_is_lost_over_what_a_program_holds(
    manager: SessionManager, act: Callable[[list[BaseMessage]], BaseMessage]
) -> None:
    acted.clear()
    chain = SessionRunnable(RunnableLambda(act), manager=manager)
    assert (await chain.ainvoke("book", on("s"))).text == "booked"
    assert acted == ["booked a flight"]
    assert await told(manager, "s") == [("user", "book", "completed"), ("assistant", "booked", "completed")]


def test_what_can_be_seen_without_asking_is_seen() -> None:
    assert chat_models_in(RunnableLambda(_with_settings)) == (settings.model,)
    assert chat_models_in(RunnableLambda(_with_remote)) == (remote["model"],)


def test_a_model_that_is_exchanged_is_seen() -> None:
    class Asking:
        def __init__(self) -> None:
            self.model = Scripted(script=["a"])

        def ask(self, messages: list[BaseMessage]) -> BaseMessage:
            return self.model.invoke(messages)

    asking = Asking()

    class Own(RunnableLambda[Any, Any]):
        __hash__ = object.__hash__  # type: ignore[assignment]

    bound: Runnable[Any, Any] = Own(asking.ask)
    assert chat_models_in(bound) == (asking.model,)
    asking.model = Scripted(script=["b"])
    assert chat_models_in(bound)[0] is asking.model


def test_a_model_that_does_not_tell_its_name_costs_no_answer() -> None:
    class Nameless(Scripted):
        @property
        def model_name(self) -> str:
            raise NotImplementedError

    answer = AIMessage("hi", response_metadata={"model_name": "gpt-x"})
    call = billed_call(answer, [Nameless(script=["a"])], model="mock-model")
    assert (call.model, call.terms) == ("mock-model", {"untold_tokens": "all"})
