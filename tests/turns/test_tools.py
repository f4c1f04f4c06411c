"""Tool calls and results: parallel, wrong, dangling, after a restart."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langswarm_sessions import AuthenticationError, InvalidInputError, Session, SessionManager, ToolCall, ToolResult
from langswarm_sessions.window import INTERRUPTED_RESULT
from tests.session.kit import Gate, OpenManager

CLOCK: dict[str, Any] = {"name": "clock", "description": "Tells the time.", "parameters": {"type": "object"}}
STARS: dict[str, Any] = {"type": "function", "function": {"name": "stars", "parameters": {"type": "object"}}}
CALLS = [
    ToolCall(id="c1", name="clock", arguments={"zone": "UTC"}),
    ToolCall(id="c2", name="clock", arguments={"zone": "CET"}),
]


@pytest.fixture(params=["native", "client"])
async def session(request: pytest.FixtureRequest, manager: SessionManager) -> Session:
    return await manager.create_session("user", "mock", "m", session_id="s", strategy=str(request.param))


async def asks(session: Session) -> None:
    session.provider_session.set_responses([CALLS])
    await session.send_message("what time?", tools=[CLOCK, STARS], tool_choice="auto")


async def test_parallel_calls_go_round(session: Session) -> None:
    session.provider_session.set_responses([CALLS, "noon and one"])
    asked = await session.send_message("what time?", tools=[CLOCK])
    assert asked.tool_calls == CALLS
    assert asked.provider_metadata["finish_reason"] == "tool_calls"
    reply = await session.send_tool_results(
        [{"tool_call_id": "c2", "content": "13:00"}, ToolResult(tool_call_id="c1", content="12:00")],
        metadata={"by": "me"},
    )
    assert reply.content == "noon and one"
    stored = await session.get_messages()
    assert [message.role.value for message in stored] == ["user", "assistant", "tool", "tool", "assistant"]
    assert stored[1].tool_calls == CALLS
    assert [message.tool_results[0].tool_call_id for message in stored[2:4]] == ["c2", "c1"]
    assert all(message.metadata == {"by": "me"} for message in stored[2:4])
    assert (await session.send_message("thanks")).content == "Mock response to: thanks"


async def test_the_options_of_the_calling_turn_are_reused(session: Session) -> None:
    await asks(session)
    await session.send_tool_results([_result("c1"), _result("c2")])
    first, second = session.provider_session.requests[-2:]
    assert [dict(tool) for tool in second.options.tools] == [CLOCK, STARS]
    assert second.options == first.options
    assert second.options.tool_choice == "auto"


async def test_the_options_are_reused_after_a_restart(open_manager: OpenManager) -> None:
    session = await open_manager().create_session("user", "mock", "m", session_id="s")
    await asks(session)
    reopened = await open_manager().get_session("s")
    reply = await reopened.send_tool_results([_result("c1"), _result("c2")])
    assert [dict(tool) for tool in reopened.provider_session.requests[-1].options.tools] == [CLOCK, STARS]
    assert reply.content == "Mock response to: 12:00, 12:00"


async def test_options_given_with_results_win(session: Session) -> None:
    await asks(session)
    await session.send_tool_results([_result("c1"), _result("c2")], tools=[STARS])
    assert [dict(tool) for tool in session.provider_session.requests[-1].options.tools] == [STARS]


@pytest.mark.parametrize(
    ("results", "problem"),
    [
        ([], "results must be a list"),
        ("c1", "results must be a list"),
        ([{"content": "12"}], r"results\[0\] needs the 'tool_call_id'"),
        ([{"tool_call_id": "c1", "content": "1"}, {"tool_call_id": "zz", "content": "1"}], r"results\[1\].*c1, c2"),
        ([{"tool_call_id": "c1", "content": "1"}, {"tool_call_id": "c1", "content": "1"}], r"results\[1\].*twice"),
        ([5], r"results\[0\] must be a ToolResult"),
    ],
)
async def test_wrong_results_are_refused_before_anything_is_stored(
    session: Session, results: Any, problem: str
) -> None:
    await asks(session)
    with pytest.raises(InvalidInputError, match=problem):
        await session.send_tool_results(results)
    assert len(await session.get_messages()) == 2
    assert len(session.provider_session.requests) == 1


async def test_results_without_calls_are_refused(session: Session) -> None:
    with pytest.raises(InvalidInputError, match="asks for no tool"):
        await session.send_tool_results([_result("c1")])
    await session.send_message("hi")
    with pytest.raises(InvalidInputError, match="asks for no tool"):
        await session.send_tool_results([_result("c1")])


async def test_a_dangling_call_is_repaired_in_what_is_sent_only(session: Session) -> None:
    await asks(session)
    await session.send_message("never mind")
    sent = session.provider_session.requests[-1].messages
    results = [result for message in sent for result in message.tool_results]
    assert [(result.tool_call_id, result.content, result.is_error) for result in results] == [
        ("c1", INTERRUPTED_RESULT, True),
        ("c2", INTERRUPTED_RESULT, True),
    ]
    assert [message.role.value for message in await session.get_messages()] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]


async def test_one_of_two_results_leaves_the_other_repaired(session: Session) -> None:
    await asks(session)
    reply = await session.send_tool_results([_result("c2")])
    assert reply.content.startswith("Mock response to: ")
    assert len([message for message in await session.get_messages() if message.role == "tool"]) == 1
    assert (await session.send_message("on")).content == "Mock response to: on"


async def test_results_can_be_sent_again_after_a_failure(session: Session) -> None:
    await asks(session)
    session.provider_session.fail_next("auth")
    with pytest.raises(AuthenticationError):
        await session.send_tool_results([_result("c1"), _result("c2")])
    reply = await session.send_tool_results([_result("c1"), _result("c2")])
    assert reply.content == "Mock response to: 12:00, 12:00"
    assert (await session.send_message("on")).content == "Mock response to: on"


async def test_results_can_be_sent_again_after_an_interruption(session: Session) -> None:
    await asks(session)
    gate = Gate("half an ", "answer", open_pieces=1)
    session.provider_session.set_responses([gate])
    call = asyncio.ensure_future(session.send_tool_results([_result("c1"), _result("c2")]))
    await gate.asked.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    reply = await session.send_tool_results([_result("c1"), _result("c2")])
    assert reply.content == "Mock response to: 12:00, 12:00"
    assert (await session.send_message("on")).content == "Mock response to: on"


async def test_results_of_tools_that_return_data_are_json(session: Session) -> None:
    await asks(session)
    await session.send_tool_results(
        [{"tool_call_id": "c1", "content": {"hour": 12}}, {"tool_call_id": "c2", "output": [1, 2], "is_error": True}]
    )
    results = [message.tool_results[0] for message in await session.get_messages(role="tool")]
    assert [(result.content, result.is_error) for result in results] == [('{"hour": 12}', False), ("[1, 2]", True)]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"tools": "clock"}, "tools must be a list"),
        ({"tools": [{"parameters": None}]}, r"tools\[0\] needs a 'name'"),
        ({"tools": [CLOCK, 5]}, r"tools\[1\]"),
        ({"tools": [{"name": "x", "parameters": {"a": object()}}]}, r"tools\[0\]"),
        ({"tool_choice": 5}, "tool_choice"),
    ],
)
async def test_wrong_tools_are_refused_by_place(session: Session, options: Any, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        await session.send_message("hi", **options)
    assert await session.get_messages() == []


def _result(call_id: str) -> dict[str, Any]:
    return {"tool_call_id": call_id, "content": "12:00"}
