"""One call: arguments, results, failures, time."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException, tool
from pydantic import BaseModel, SecretStr

from langswarm_sessions import ToolCall, ToolContext
from langswarm_sessions.tools import ToolOutcome, ToolRunning, run_call, toolbox_of
from langswarm_sessions.tools.results import LARGEST_RESULT

variable: ContextVar[str] = ContextVar("variable", default="unset")


class Wish(BaseModel):
    text: str


@dataclass
class Answer:
    at: datetime
    wish: Wish


async def outcome(function: Any, timeout: float | None = None, /, **arguments: Any) -> ToolOutcome:
    box = toolbox_of([function])
    [name] = box.runnable
    return await run_call(
        ToolCall(id="c", name=name, arguments=arguments), ToolRunning(toolbox=box, timeout=timeout), at
    )


async def said(function: Any, timeout: float | None = None, /, **arguments: Any) -> str:
    found = await outcome(function, timeout, **arguments)
    assert found.result.tool_call_id == "c"
    assert found.result.is_error is (found.error_type is not None)
    return found.result.content


def at(call: ToolCall) -> ToolContext:
    session: Any = None
    context = {"plan": "gold"}
    return ToolContext(
        session=session, session_id="s", user_id="u", turn_id="t", tool_call_id=call.id, user_context=context
    )


async def test_arguments_come_as_the_annotations_say() -> None:
    def show(wish: Wish, days: int = 2, /, *, flag: bool = False) -> str:
        return f"{type(wish).__name__} {wish.text} {days + 1} {flag}"

    assert await said(show, wish={"text": "rain"}) == "Wish rain 3 False"
    assert await said(show, wish={"text": "rain"}, days="5", flag="true") == "Wish rain 6 True"


async def test_the_context_is_given_to_who_asks() -> None:
    async def plan(context: ToolContext | None = None) -> str:
        assert context is not None
        return f"{context.get('plan')} {context.get('x', 'none')} {context.session_id} {context.tool_call_id}"

    assert await said(plan) == "gold none s c"
    assert "gold" not in repr(at(ToolCall(id="c", name="x")))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, "null"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (Answer(datetime(2026, 1, 2, tzinfo=UTC), Wish(text="x")), '{"at":"2026-01-02T00:00:00Z","wish":{"text":"x"}}'),
        ("half \ud83d and \x00", "half ? and \ufffd"),
        (SecretStr("canary"), '"**********"'),
    ],
)
async def test_results_are_text_or_json(value: Any, text: str) -> None:
    def give() -> Any:
        return value

    assert await said(give) == text


async def test_what_cannot_be_shown_is_said_to_be_so() -> None:
    def too_long() -> str:
        return "x" * (LARGEST_RESULT + 1)

    def opaque() -> object:
        return threading.Lock()

    assert "at most 200000 can be shown" in await said(too_long)
    assert "returned lock, which is neither text nor JSON" in await said(opaque)


async def test_wrong_arguments_are_told_without_repeating_them() -> None:
    def pay(amount: int, to: str) -> str:
        raise AssertionError("must not run")

    told = await said(pay, amount="canary", other=1)
    assert "amount: Input should be a valid integer" in told
    assert "to: Field required" in told
    assert "other: Extra inputs are not permitted" in told
    assert "canary" not in told
    running = ToolRunning(toolbox=toolbox_of([pay]))
    garbled = await run_call(ToolCall(id="c", name="pay", raw_arguments="{amount"), running, at)
    assert garbled.error_type == "InvalidArguments"
    unknown = await run_call(ToolCall(id="c", name="pya"), running, at)
    assert unknown.result.content == "There is no tool with this name. The tools are: pay."


async def test_a_tool_that_raises_is_told_of() -> None:
    async def fails() -> str:
        raise LookupError("no such city")

    def stops() -> str:
        raise StopIteration

    async def gives_up() -> str:
        raise asyncio.CancelledError

    async def times_out() -> str:
        raise TimeoutError("the site is slow")

    assert await said(fails) == "LookupError: no such city"
    assert (await outcome(fails)).error_type == "LookupError"
    assert (await said(stops)).startswith("RuntimeError")
    assert (await outcome(gives_up)).error_type == "cancelled"
    assert await said(times_out, 5) == "TimeoutError: the site is slow"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
async def test_a_plain_tool_that_ends_the_program_only_fails(kind: type[BaseException]) -> None:
    def quits() -> str:
        raise kind(2)

    assert await said(quits) == f"RuntimeError: {kind.__name__}"
    assert await said(tool(quits, description="Quit.")) == f"RuntimeError: {kind.__name__}"


async def test_an_async_tool_that_ends_the_program_only_fails() -> None:
    async def quits() -> str:
        sys.exit(2)

    assert await said(quits) == "SystemExit: 2"


async def test_an_exception_whose_text_cannot_be_read_is_told_by_its_name() -> None:
    class Bad(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def fails() -> str:
        raise Bad

    assert await said(fails) == "Bad: (its text cannot be read)"
    assert (await outcome(fails)).error_type == "tests.Bad"


async def test_a_tool_that_takes_too_long_is_cut() -> None:
    ended = asyncio.Event()

    async def waits() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return "never"

    assert "did not finish within 0.01 s" in await said(waits, 0.01)
    assert ended.is_set()


async def test_a_thread_that_takes_too_long_is_left_alone() -> None:
    go_on, done = threading.Event(), threading.Event()

    def blocks() -> str:
        go_on.wait(20)
        done.set()
        return "too late"

    assert "did not finish" in await said(blocks, 0.01)
    assert not done.is_set()
    go_on.set()
    assert await asyncio.to_thread(done.wait, 20)


async def test_plain_functions_run_beside_the_loop_and_see_the_context_variables() -> None:
    variable.set("set")

    def looks() -> str:
        return f"{variable.get()} {threading.current_thread().name} {threading.current_thread().daemon}"

    assert await said(looks) == "set tool looks True"

    def hands_on() -> Any:
        async def later() -> str:
            return "awaited"

        return later()

    assert await said(hands_on) == "awaited"


async def test_cancelling_goes_through_to_the_tool() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def waits() -> str:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return ""

    task = asyncio.ensure_future(outcome(waits))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_langchain_tools_are_invoked_on_the_call() -> None:
    seen: list[Any] = []

    @tool
    async def multiply(a: int, b: int, config: Any = None) -> int:
        """Multiply."""
        seen.append(config)
        return a * b

    @tool(response_format="content_and_artifact")
    def looks(what: str) -> tuple[str, object]:
        """Look."""
        time.sleep(0)
        return f"saw {what}", object()

    def explain(error: ToolException) -> str:
        return f"sorry: {error}"

    @tool
    def fails(what: str) -> str:
        """Fail."""
        raise ToolException(what)

    fails.handle_tool_error = explain
    assert await said(multiply, a=2, b="3") == "6"
    assert await said(looks, what="it") == "saw it"
    assert await said(fails, what="it") == "sorry: it"
    wrong = await said(multiply, a="canary")
    assert "b: Field required" in wrong
    assert "canary" not in wrong


async def test_langchain_tools_without_a_coroutine_run_in_threads_of_their_own() -> None:
    variable.set("set")

    def where() -> str:
        return f"{variable.get()} {threading.current_thread().name} {threading.current_thread().daemon}"

    @tool
    def plain() -> str:
        """Tell where."""
        return where()

    class Class(BaseTool):
        name: str = "class"
        description: str = "Tell where."

        def _run(self) -> str:
            return where()

    class AsyncClass(Class):
        async def _arun(self) -> str:
            return where()

    @tool
    async def coroutine() -> str:
        """Tell where."""
        return where()

    assert await said(plain) == "set tool plain True"
    assert await said(Class()) == "set tool class True"
    assert await said(AsyncClass()) == "set MainThread False"
    assert await said(coroutine) == "set MainThread False"


async def test_langchain_tools_are_told_the_session() -> None:
    @tool
    def where(config: RunnableConfig) -> str:
        """Tell where."""
        own, told = config.get("configurable", {}), config.get("metadata", {})
        return f"{own['session_id']} {own['user_id']} {told['session_id']} {own['tool_context'].get('plan')}"

    assert await said(where) == "s u s gold"
