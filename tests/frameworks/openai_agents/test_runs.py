"""Real agents of the SDK, run by its Runner with a scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    RunConfig,
    Runner,
    RunState,
    SQLiteSession,
    function_tool,
    input_guardrail,
)

from langswarm_sessions import SessionManager, StorageError, create_session_manager
from langswarm_sessions.messages import Role
from langswarm_sessions_frameworks import AgentsSession
from tests.frameworks.openai_agents.scripted import QUIET, Scripted, agent, calls, says, thinks
from tests.support.recorded import Recorded


@function_tool
def weather(city: str) -> str:
    """Return the weather of a city."""
    return f"sun in {city}"


def kinds(items: list[Any]) -> list[str]:
    return [str(item.get("type") or item.get("role")) for item in items]


ROME = calls("weather", '{"city": "Rome"}', call_id="c1")
OSLO = calls("weather", '{"city": "Oslo"}', call_id="c2")


async def test_an_agent_with_tools_remembers(manager: SessionManager) -> None:
    session = AgentsSession("s", manager=manager)
    model = Scripted([thinks("hm"), ROME, OSLO], [says("Sunny.")], [says("Rome.")])
    first = await Runner.run(agent(model, tools=[weather]), "How is it?", session=session, run_config=QUIET)
    second = await Runner.run(agent(model, tools=[weather]), "Where first?", session=session, run_config=QUIET)
    assert (first.final_output, second.final_output) == ("Sunny.", "Rome.")
    told = ["user", "reasoning", "function_call", "function_call", *["function_call_output"] * 2, "message", "user"]
    assert kinds(model.asked[-1]) == told
    assert kinds(await session.get_items()) == [*told, "message"]


async def test_the_rows_say_who_called_what(manager: SessionManager) -> None:
    session = AgentsSession("s", manager=manager)
    model = Scripted([thinks("hm"), ROME, OSLO], [says("Sunny.")])
    await Runner.run(agent(model, tools=[weather]), "How is it?", session=session, run_config=QUIET)
    opened = await manager.get_session("s")
    rows = await opened.get_messages()
    assert [row.role for row in rows] == [Role.USER, Role.ASSISTANT, Role.TOOL, Role.TOOL, Role.ASSISTANT]
    assert [(call.id, call.name, call.arguments) for call in rows[1].tool_calls] == [
        ("c1", "weather", {"city": "Rome"}),
        ("c2", "weather", {"city": "Oslo"}),
    ]
    assert [row.tool_results[0].content for row in rows[2:4]] == ["sun in Rome", "sun in Oslo"]
    metrics = await opened.get_metrics()
    assert (metrics.total_tokens, metrics.total_messages) == (10, 5)


async def test_a_streamed_run_stores_what_a_plain_one_does(manager: SessionManager) -> None:
    script: list[Any] = [[thinks("hm"), ROME], [says("Sunny.")]]
    plain, streamed = AgentsSession("plain", manager=manager), AgentsSession("streamed", manager=manager)
    await Runner.run(agent(Scripted(*script), tools=[weather]), "How?", session=plain, run_config=QUIET)
    result = Runner.run_streamed(agent(Scripted(*script), tools=[weather]), "How?", session=streamed, run_config=QUIET)
    async for _ in result.stream_events():
        pass
    assert result.final_output == "Sunny."
    assert await streamed.get_items() == await plain.get_items()


async def test_a_handoff_goes_on_in_the_same_session(manager: SessionManager) -> None:
    session = AgentsSession("s", manager=manager)
    expert: Agent[Any] = Agent(name="expert", model=Scripted([says("Gladly.")]))
    model = Scripted([calls("transfer_to_expert", call_id="h1")])
    result = await Runner.run(agent(model, handoffs=[expert]), "Help!", session=session, run_config=QUIET)
    assert (result.last_agent.name, result.final_output) == ("expert", "Gladly.")
    assert kinds(await session.get_items()) == ["user", "function_call", "function_call_output", "message"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_it_stores_what_the_sdks_own_session_stores(manager: SessionManager, streamed: bool) -> None:
    stored: list[list[Any]] = []
    own = SQLiteSession("s")
    for session in (own, AgentsSession("s", manager=manager)):
        model = Scripted([thinks("hm"), ROME], [says("a")], [says("b")], [OSLO], [says("c")])
        for question in ("one", "two", "three"):
            config = {"session": session, "run_config": QUIET}
            if streamed:
                result = Runner.run_streamed(agent(model, tools=[weather]), question, **config)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
                async for _ in result.stream_events():
                    pass
            else:
                await Runner.run(agent(model, tools=[weather]), question, **config)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        stored.append(await session.get_items())
    own.close()
    assert stored[0] == stored[1]


async def test_what_was_said_before_a_failure_is_stored_and_the_session_is_free(manager: SessionManager) -> None:
    session = AgentsSession("s", manager=manager)
    with pytest.raises(ConnectionError):
        await Runner.run(agent(Scripted(ConnectionError())), "Hello?", session=session, run_config=QUIET)
    endless = Scripted([ROME])
    with pytest.raises(MaxTurnsExceeded):
        await Runner.run(agent(endless, tools=[weather]), "Go!", session=session, run_config=QUIET, max_turns=1)
    assert kinds(await session.get_items()) == ["user", "user", "function_call", "function_call_output"]
    result = await Runner.run(agent(Scripted([says("Here.")])), "Still there?", session=session, run_config=QUIET)
    assert result.final_output == "Here."
    assert (await (await manager.get_session("s")).get_metrics()).total_tokens == 10  # of both that were answered


async def test_an_answer_that_is_stored_is_not_lost_with_the_end_of_its_run(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(manager._services.storage, "finish_turn", fail)
    session = AgentsSession("s", manager=manager)
    assert (await Runner.run(agent(Scripted([says("Here.")])), "Hi", session=session, run_config=QUIET)).final_output
    assert kinds(await session.get_items()) == ["user", "message"]
    assert "The end of a run could not be stored (StorageError)" in caplog.text


async def test_a_tripped_guardrail_leaves_the_session_free(manager: SessionManager) -> None:
    @input_guardrail
    async def never(*_: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)

    session = AgentsSession("s", manager=manager)
    guarded = agent(Scripted([says("?")]), input_guardrails=[never])
    with pytest.raises(InputGuardrailTripwireTriggered):
        await Runner.run(guarded, "Bad.", session=session, run_config=QUIET)
    assert (await Runner.run(agent(Scripted([says("ok")])), "Good.", session=session, run_config=QUIET)).final_output


async def test_a_limit_and_a_callback_of_the_sdk_work(manager: SessionManager) -> None:
    session = AgentsSession("s", manager=manager)
    for number in range(3):
        await Runner.run(agent(Scripted([says(f"a{number}")])), f"u{number}", session=session, run_config=QUIET)

    def newest(history: list[Any], new: list[Any]) -> list[Any]:
        return [*history[-2:], *new]

    model = Scripted()
    config = RunConfig(tracing_disabled=True, session_input_callback=newest)
    await Runner.run(agent(model), "u3", session=session, run_config=config)
    assert kinds(model.asked[0]) == ["user", "message", "user"]
    assert len(await session.get_items()) == 8


async def test_a_run_waits_for_approval_and_goes_on_in_another_process(tmp_path: Path) -> None:
    @function_tool(needs_approval=True)
    def book(city: str) -> str:
        return f"booked {city}"

    config = {"db_path": str(tmp_path / "chat.db")}
    asked = agent(Scripted([calls("book", '{"city": "Rome"}', call_id="c1")]), tools=[book])
    async with create_session_manager(storage="sqlite", storage_config=config) as manager:
        session = AgentsSession("s", manager=manager)
        result = await Runner.run(asked, "Book it.", session=session, run_config=QUIET)
        assert len(result.interruptions) == 1
        saved = result.to_state().to_string()
    going_on = agent(Scripted([says("Done.")]), tools=[book])
    async with create_session_manager(storage="sqlite", storage_config=config) as manager:
        session = AgentsSession("s", manager=manager)
        state: RunState[Any] = await RunState.from_string(going_on, saved)
        state.approve(state.get_interruptions()[0])
        result = await Runner.run(going_on, state, session=session, run_config=QUIET)
        assert result.final_output == "Done."
        items = await session.get_items()
    assert kinds(items) == ["user", "function_call", "function_call_output", "message"]


@pytest.fixture
def default_loop() -> Iterator[None]:
    """The loop that `Runner.run_sync` uses, closed behind it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def test_run_sync_works(default_loop: None) -> None:
    manager = create_session_manager(storage="memory", blocking=True)
    session = AgentsSession("s", manager=manager)
    for number in range(2):
        model = Scripted([says(f"a{number}")])
        assert Runner.run_sync(agent(model), "hi", session=session, run_config=QUIET).final_output == f"a{number}"
    assert [message.content for message in manager.get_session("s").get_messages()] == ["hi", "a0", "hi", "a1"]
    manager.close()


async def test_how_a_run_ends_is_told_of_its_turn() -> None:
    @function_tool(needs_approval=True)
    def book(city: str) -> str:
        return f"booked {city}"

    recorded = Recorded()
    async with create_session_manager(storage="memory", telemetry=recorded.telemetry()) as manager:
        session = AgentsSession("s", manager=manager)

        async def run(model: Scripted) -> None:
            await Runner.run(agent(model, tools=[book]), "Go!", session=session, run_config=QUIET)

        await run(Scripted([calls("book", '{"city": "Rome"}', call_id="c1")]))
        await session.clear_session()
        await run(Scripted([says("Done.")]))
        with pytest.raises(ConnectionError):
            await asyncio.create_task(run(Scripted(ConnectionError())))
        await run(Scripted([says("Here.")]))
    turns = [span for span in recorded.spans if span.name == "invoke_agent session"]
    assert [(span.attributes or {}).get("error.type") for span in turns] == [None, None, "ConnectionError", None]
    assert [event.name for event in turns[0].events] == ["langswarm.session.turn_paused"]
