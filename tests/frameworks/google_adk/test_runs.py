"""Real runners and agents of ADK, whose sessions are kept here."""

from __future__ import annotations

import asyncio

import pytest
from google.adk.errors import StaleSessionError
from google.adk.sessions import Session
from google.adk.sessions.base_session_service import GetSessionConfig
from google.genai import types

from langswarm_sessions import SessionManager, create_session_manager
from langswarm_sessions_frameworks.google_adk import AdkSessionService
from tests.frameworks.google_adk.scripted import STREAMED, call, model_of, run, runner_of, words


async def opened(service: AdkSessionService, session_id: str = "s1", user_id: str = "ada") -> Session:
    session = await service.get_session(app_name="trips", user_id=user_id, session_id=session_id)
    assert session is not None
    return session


async def test_a_run_with_tools_is_stored_event_by_event(service: AdkSessionService, manager: SessionManager) -> None:
    runner = runner_of(service, call("Oslo"), "Sunny.")
    await service.create_session(app_name="trips", user_id="ada", session_id="s1", state={"mood": "fine"})
    events = await run(runner, "How is Oslo?")
    assert words(events[-1].content) == "Sunny."

    session = await opened(service)
    assert [(event.author, words(event.content)) for event in session.events] == [
        ("user", "How is Oslo?"),
        ("guide", "weather({'city': 'Oslo'})"),
        ("guide", "={'weather': 'sunny in Oslo'}"),
        ("guide", "Sunny."),
    ]
    assert session.events[1:] == events
    assert session.state == {"mood": "fine", "last_city": "Oslo", "user:home": "Oslo", "app:asked": 1}

    rows = await (await manager.get_session("s1")).get_messages()
    assert [row.role for row in rows] == ["user", "assistant", "tool", "assistant"]
    assert rows[1].tool_calls[0].arguments == {"city": "Oslo"}
    assert rows[2].tool_results[0].tool_call_id == rows[1].tool_calls[0].id
    assert rows[3].provider_metadata["usage"] == {"input_tokens": 5, "output_tokens": 2}
    assert rows[3].metadata == {"name": "guide"}


async def test_tools_that_ran_side_by_side(service: AdkSessionService, manager: SessionManager) -> None:
    runner = runner_of(service, [call("Oslo"), call("Rome")], "Sunny in both.", auto_create_session=True)
    events = await run(runner, "How are Oslo and Rome?")
    session = await opened(service)
    assert session.events[1:] == events
    assert len(session.events[2].get_function_responses()) == 2

    rows = await (await manager.get_session("s1")).get_messages()
    assert [row.role for row in rows] == ["user", "assistant", "tool", "tool", "assistant"]
    for count in range(5):
        config = GetSessionConfig(num_recent_events=count)
        some = await service.get_session(app_name="trips", user_id="ada", session_id="s1", config=config)
        assert some is not None
        assert some.events == session.events[4 - count :]
    by_hand = Session(id="s1", app_name="trips", user_id="ada", events=session.events[:3])
    with pytest.raises(StaleSessionError):
        await service.append_event(by_hand, events[-1].model_copy(update={"id": "new"}))


async def test_another_process_goes_on(service: AdkSessionService, db_path: str) -> None:
    runner = runner_of(service, call("Oslo"), "Sunny.", auto_create_session=True)
    await run(runner, "How is Oslo?")

    async with create_session_manager(storage="sqlite", storage_config={"db_path": db_path}) as other:
        later = runner_of(AdkSessionService(other), call("Rome"), "There, too.")
        await run(later, "And Rome?")
        assert model_of(later).told[-1] == [
            ("user", "How is Oslo?"),
            ("model", "weather({'city': 'Oslo'})"),
            ("user", "={'weather': 'sunny in Oslo'}"),
            ("model", "Sunny."),
            ("user", "And Rome?"),
            ("model", "weather({'city': 'Rome'})"),
            ("user", "={'weather': 'sunny in Rome'}"),
        ]
    assert (await opened(service)).state == {"last_city": "Rome", "user:home": "Rome", "app:asked": 2}


async def test_a_stream_is_stored_as_its_whole_answer(service: AdkSessionService, manager: SessionManager) -> None:
    runner = runner_of(service, "It is sunny.", auto_create_session=True)
    events = await run(runner, "How is Oslo?", config=STREAMED)
    assert [event.partial for event in events] == [True, True, True, None]
    rows = await (await manager.get_session("s1")).get_messages()
    assert [row.content for row in rows] == ["How is Oslo?", "It is sunny."]


async def test_what_was_done_before_a_failure_is_there(service: AdkSessionService) -> None:
    runner = runner_of(service, call("Oslo"), ConnectionError("gone"), "Sunny.", auto_create_session=True)
    with pytest.raises(ConnectionError):
        await run(runner, "How is Oslo?")
    session = await opened(service)
    assert [words(event.content) for event in session.events] == [
        "How is Oslo?",
        "weather({'city': 'Oslo'})",
        "={'weather': 'sunny in Oslo'}",
        "",  # ADK tells of the failure, too
    ]
    assert session.events[-1].error_message == "gone"
    await run(runner, "Go on")
    assert [text for _, text in model_of(runner).told[-1]][-2:] == ["={'weather': 'sunny in Oslo'}", "Go on"]


async def test_sessions_of_many_users_at_once(service: AdkSessionService) -> None:
    async def talk(number: int) -> None:
        runner = runner_of(service, call(f"City{number}"), f"Sunny {number}.", auto_create_session=True)
        await run(runner, f"Question {number}", user_id=f"user{number}", session_id="same")

    await asyncio.gather(*(talk(number) for number in range(10)))
    for number in range(10):
        session = await opened(service, "same", f"user{number}")
        assert words(session.events[0].content) == f"Question {number}"
        assert session.state["user:home"] == f"City{number}"
        assert session.state["app:asked"] >= 1
        assert len(session.events) == 4


async def test_of_two_runs_at_once_one_is_told_that_it_is_late(service: AdkSessionService) -> None:
    await service.create_session(app_name="trips", user_id="ada", session_id="s1")
    runs = [run(runner_of(service, call("Oslo"), f"Answer {number}."), f"Question {number}") for number in range(2)]
    outcomes = await asyncio.gather(*runs, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(StaleSessionError) == 1
    events = (await opened(service)).events
    assert len({event.invocation_id for event in events if event.author != "user"}) == 1


async def test_a_rewind_takes_back_what_came_since(service: AdkSessionService, manager: SessionManager) -> None:
    runner = runner_of(service, "Hello.", call("Oslo"), "Sunny.", "As you like.", auto_create_session=True)
    await run(runner, "Hi")
    events = await run(runner, "How is Oslo?")
    assert (await opened(service)).state["last_city"] == "Oslo"

    await runner.rewind_async(user_id="ada", session_id="s1", rewind_before_invocation_id=events[0].invocation_id)
    assert (await opened(service)).state.get("last_city") is None
    await run(runner, "Never mind")
    assert model_of(runner).told[-1] == [("user", "Hi"), ("model", "Hello."), ("user", "Never mind")]
    told = [row.content for row in await (await manager.get_session("s1")).get_messages() if row.content]
    assert told == ["Hi", "Hello.", "Never mind", "As you like."]


async def test_a_tool_that_takes_long_is_answered_in_another_run(service: AdkSessionService) -> None:
    runner = runner_of(service, call("Oslo"), "Sunny.", "It turned.", auto_create_session=True)
    first = await run(runner, "How is Oslo?")
    made = first[0].get_function_calls()[0]
    late = types.FunctionResponse(id=made.id, name=made.name, response={"weather": "rain"})
    answered = types.Content(role="user", parts=[types.Part(function_response=late)])
    async for _ in runner.run_async(user_id="ada", session_id="s1", new_message=answered):
        pass
    assert words((await opened(service)).events[-1].content) == "It turned."
