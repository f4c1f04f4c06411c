"""A send that runs its tools: one send for the caller, stored turn by turn, whoever remembers the conversation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langswarm_sessions import (
    AuthenticationError,
    InvalidInputError,
    ProviderTimeoutError,
    Session,
    SessionBusyError,
    SessionManager,
    ToolCall,
    ToolContext,
)
from langswarm_sessions.interfaces import SessionMiddleware
from tests.session.kit import OpenManager, rows_of
from tests.tool_calls.kit import ADD, BOTH, JSON, Tools, called, roles, sent_results, shown


async def test_tools_are_run_until_the_model_is_done(session: Session, manager: SessionManager) -> None:
    tools = Tools()
    session.provider_session.set_responses([BOTH, [ToolCall(id="c1", name="add", arguments={"a": 3, "b": 4})], "done"])
    reply = await session.send_message("go", tools=tools.all, tool_choice="required", run_tools=True)
    assert (reply.content, reply.tool_calls) == ("done", [])
    assert sorted(tools.runs) == ["add", "add", "place"]
    stored = await session.get_messages()
    assert roles(stored) == ["user", "assistant", "tool", "tool", "assistant", "tool", "assistant"]
    assert {message.status.value for message in stored} == {"completed"}
    assert sent_results(session, -2)[-2:] == [("c1", "3", False), ("c2", "in s of user", False)], "in the calls' order"
    assert sent_results(session)[-1] == ("c1", "7", False)
    states = await rows_of(manager, "SELECT state, turn_index FROM turns ORDER BY turn_index")
    assert [(row["state"], row["turn_index"]) for row in states] == [
        ("completed", 1),
        ("completed", 2),
        ("completed", 3),
    ]
    choices = [request.options.tool_choice for request in session.provider_session.requests]
    assert choices == ["required", "auto", "auto"], "else the model could never stop"
    assert (await session.send_message("next")).content == "Mock response to: next"


async def test_what_the_provider_holds_is_not_sent_again(manager: SessionManager, way: dict[str, Any]) -> None:
    session = await manager.create_session("user", "mock", "m", session_id="s", **way)
    session.provider_session.set_responses([BOTH, called("place"), "done"])
    await session.send_message("go", tools=Tools().all, run_tools=True)
    numbers = [len(request.messages) for request in session.provider_session.requests]
    assert numbers == ([1, 4, 6] if way.get("strategy") == "client" else [1, 2, 1])


async def test_a_narrow_window_never_cuts_the_exchange(manager: SessionManager, way: dict[str, Any]) -> None:
    config = {"max_messages": 2, "max_tokens_window": 1}
    session = await manager.create_session("user", "mock", "m", session_id="s", session_config=config, **way)
    await session.send_message("before")
    session.provider_session.set_responses([BOTH, called("place", "place"), called("place"), "done"])
    await session.send_message("the question", tools=Tools().all, run_tools=True)
    if way.get("strategy") == "client":
        last = shown(session.provider_session.requests[-1].messages)
        assert last[0] == "the question"
        assert len(last) == 1 + 3 + 3 + 2
        assert "before" not in last


@pytest.mark.parametrize("native", ["node", "log"])
async def test_a_lost_thread_is_rebuilt_in_any_round(manager: SessionManager, native: str) -> None:
    session = await manager.create_session("user", "mock", "m", session_id="s", provider_config={"native": native})
    await session.send_message("before")

    async def forgets() -> str:
        """Lose what the provider keeps."""
        session.provider_session.forget()
        return "gone"

    session.provider_session.set_responses([[*BOTH, ToolCall(id="c3", name="forgets")], called("place"), "done"])
    reply = await session.send_message("go", tools=[*Tools().all, forgets], run_tools=True)
    assert reply.content == "done"
    rebuilt = shown(session.provider_session.requests[-2].messages)
    assert rebuilt[:4] == ["before", "Mock response to: before", "go", ["c1", "c2", "c3"]]
    assert rebuilt[4:] == [["3"], ["in s of user"], ["gone"]]
    assert (await session.get_metrics()).rebuilds == 1


@pytest.mark.parametrize("native", ["node", "log"])
async def test_a_thread_lost_in_a_later_round_is_rebuilt_with_the_whole_exchange(
    manager: SessionManager, native: str
) -> None:
    session = await manager.create_session(
        "user", "mock", "m", session_id="s", provider_config={"native": native}, session_config={"max_messages": 2}
    )
    await session.send_message("before")

    async def forgets() -> str:
        """Lose what the provider keeps."""
        session.provider_session.forget()
        return "gone"

    session.provider_session.set_responses([called("place"), [*BOTH, ToolCall(id="c3", name="forgets")], "done"])
    await session.send_message("go", tools=[*Tools().all, forgets], run_tools=True)
    rebuilt = shown(session.provider_session.requests[-1].messages)
    assert rebuilt == ["go", ["c1"], ["in s of user"], ["c1", "c2", "c3"], ["3"], ["in s of user"], ["gone"]]


async def test_without_run_tools_calls_are_the_callers(session: Session) -> None:
    tools = Tools()
    session.provider_session.set_responses([BOTH, "done"])
    asked = await session.send_message("go", tools=tools.all)
    assert asked.tool_calls == BOTH
    assert tools.runs == []
    offered = session.provider_session.requests[-1].options.tools
    assert [told["name"] for told in offered] == ["add", "place"]
    reply = await session.send_tool_results([{"tool_call_id": call.id, "content": "x"} for call in asked.tool_calls])
    assert reply.content == "done"


async def test_calls_of_json_definitions_are_left_open(session: Session) -> None:
    tools = Tools()
    session.provider_session.set_responses([[*BOTH, ToolCall(id="c3", name="stars")], "done"])
    asked = await session.send_message("go", tools=[*tools.all, JSON], run_tools=True)
    assert [call.id for call in asked.tool_calls] == ["c1", "c2", "c3"]
    stored = await session.get_messages()
    assert roles(stored) == ["user", "assistant", "tool", "tool"]
    assert sorted(tools.runs) == ["add", "place"]
    reply = await session.send_tool_results([{"tool_call_id": "c3", "content": "many"}])
    assert reply.content == "done"
    assert sent_results(session) == [("c1", "3", False), ("c2", "in s of user", False), ("c3", "many", False)]


async def test_only_json_definitions_called_ends_the_send(session: Session) -> None:
    session.provider_session.set_responses([called("stars")])
    asked = await session.send_message("go", tools=[JSON], run_tools=True)
    assert [call.name for call in asked.tool_calls] == ["stars"]
    assert roles(await session.get_messages()) == ["user", "assistant"]


async def test_rounds_end_with_the_open_calls(session: Session) -> None:
    tools = Tools()
    session.provider_session.set_responses([called("place"), called("place"), called("place"), "done"])
    reply = await session.send_message("go", tools=tools.all, run_tools=True, max_tool_rounds=2)
    assert [call.name for call in reply.tool_calls] == ["place"]
    assert tools.runs == ["place", "place"]
    assert (await session.resume_tools(tools.all)).content == "done"
    assert tools.runs == ["place"] * 3


async def test_wrong_calls_are_told_to_the_model(session: Session) -> None:
    async def fails() -> str:
        """Fail."""
        raise LookupError("no such city")

    calls = [
        ToolCall(id="c1", name="nope"),
        ToolCall(id="c2", name="fails"),
        ToolCall(id="c3", name="fails", arguments={"x": 1}),
    ]
    session.provider_session.set_responses([calls, "sorry"])
    reply = await session.send_message("go", tools=[fails], run_tools=True)
    assert reply.content == "sorry"
    assert sent_results(session) == [
        ("c1", "There is no tool with this name. The tools are: fails.", True),
        ("c2", "LookupError: no such city", True),
        ("c3", "The arguments do not fit the tool. x: Extra inputs are not permitted", True),
    ]


async def test_calls_under_one_id_are_told_apart(session: Session) -> None:
    def add(a: int) -> int:
        """Add one."""
        return a + 1

    calls = [ToolCall(id=name, name="add", arguments={"a": at}) for at, name in enumerate(["c", "c", "c_2", "c"])]
    session.provider_session.set_responses([calls, "done", "next"])
    assert (await session.send_message("go", tools=[add], run_tools=True)).content == "done"
    assert sent_results(session) == [("c", "1", False), ("c_3", "2", False), ("c_2", "3", False), ("c_4", "4", False)]
    [asked] = [message for message in await session.get_messages() if message.tool_calls]
    assert [(call.id, call.arguments) for call in asked.tool_calls] == [
        ("c", {"a": 0}),
        ("c_3", {"a": 1}),
        ("c_2", {"a": 2}),
        ("c_4", {"a": 3}),
    ]
    assert (await session.send_message("and now?")).content == "next"


async def test_a_tool_reads_and_changes_its_session_but_cannot_send(session: Session) -> None:
    async def note(value: str, context: ToolContext) -> str:
        """Note."""
        await context.session.update_context({"noted": value})
        with pytest.raises(SessionBusyError, match="waits for the tool"):
            await context.session.send_message("from within")
        with pytest.raises(SessionBusyError, match="waits for the tool"):
            await context.session.handoff("mock", "other")
        return f"{context.get('before')} {len(await context.session.get_messages())} {context.turn_id}"

    await session.update_context({"before": "this"})
    session.provider_session.set_responses([[ToolCall(id="c1", name="note", arguments={"value": "x"})], "done"])
    await session.send_message("go", tools=[note], run_tools=True)
    asked = (await session.get_messages())[1]
    assert sent_results(session) == [("c1", f"this 2 {asked.turn_id}", False)]
    assert (await session.get_context()).get("noted") == "x"


async def test_a_tool_is_refused_a_stream_of_its_session_that_was_made_before(session: Session) -> None:
    stream = session.send_message_stream("made before")

    async def look() -> str:
        """Look."""
        with pytest.raises(SessionBusyError, match="waits for the tool"):
            await anext(stream)
        return "refused"

    session.provider_session.set_responses([called("look"), "done"])
    assert (await session.send_message("go", tools=[look], run_tools=True)).content == "done"
    assert sent_results(session)[-1][1] == "refused"


async def test_a_session_cleared_while_its_tools_run_is_left_empty(session: Session, manager: SessionManager) -> None:
    other = await manager.get_session("s")

    async def forgets(context: ToolContext) -> str:
        """Clear."""
        await (context.session if by_tool else other).clear_messages()
        return "cleared"

    for by_tool in (True, False):
        session.provider_session.set_responses([called("forgets"), "never said"])
        reply = await session.send_message("go", tools=[forgets], run_tools=True)
        assert [call.name for call in reply.tool_calls] == ["forgets"]
        assert [message for message in await session.get_messages() if by_tool or not message.tool_results] == []
        session.provider_session.set_responses(["afterwards"])
        assert (await session.send_message("next")).content == "afterwards"
        assert shown(session.provider_session.requests[-1].messages) == ["next"]
        await session.clear_messages()
    assert len(session.provider_session.requests) == 4


async def test_what_a_tool_started_may_send_once_the_tool_has_ended(session: Session) -> None:
    later: list[asyncio.Task[Any]] = []

    async def starts(context: ToolContext) -> str:
        """Start something."""

        async def send() -> None:
            await done.wait()
            await context.session.send_message("afterwards")

        later.append(asyncio.ensure_future(send()))
        return "started"

    done = asyncio.Event()
    session.provider_session.set_responses([called("starts"), "done"])
    await session.send_message("go", tools=[starts], run_tools=True)
    done.set()
    await later[0]
    assert shown(await session.get_messages())[-1] == "Mock response to: afterwards"


async def test_a_failure_in_a_later_round_keeps_what_is_stored(session: Session) -> None:
    tools = Tools()

    def breaks() -> str:
        """Break the provider."""
        session.provider_session.fail_next("auth")
        return "broken"

    session.provider_session.set_responses([[ADD, *called("breaks", prefix="b")], "done"])
    with pytest.raises(AuthenticationError):
        await session.send_message("go", tools=[*tools.all, breaks], run_tools=True)
    assert roles(await session.get_messages()) == ["user", "assistant", "tool", "tool"]
    assert (await session.resume_tools([*tools.all, breaks])).content == "done"
    assert tools.runs == ["add"]


async def test_the_time_of_a_send_holds_for_its_tools(session: Session) -> None:
    tools = Tools(held=True)
    session.provider_session.set_responses([BOTH])
    with pytest.raises(ProviderTimeoutError, match="tools were still running"):
        await session.send_message("go", tools=tools.all, run_tools=True, timeout=2)
    assert tools.cancelled.is_set()
    assert shown(await session.get_messages()) == ["go", ["c1", "c2"], ["in s of user"]], "what was finished is stored"


async def test_a_slow_tool_is_told_of_and_the_send_goes_on(session: Session) -> None:
    tools = Tools(held=True)
    session.provider_session.set_responses([BOTH, "done"])
    reply = await session.send_message("go", tools=tools.all, run_tools=True, tool_timeout=1)
    assert reply.content == "done"
    assert [(call, is_error) for call, _, is_error in sent_results(session)] == [("c1", True), ("c2", False)]


async def test_middleware_sees_results_and_may_take_calls_away(open_manager: OpenManager) -> None:
    class Guard(SessionMiddleware):
        async def process_message(self, session_id: str, message: Any, context: Any) -> Any:
            message.tool_calls = [call for call in message.tool_calls if call.name != "add"]
            message.align()
            message.metadata["seen"] = True
            return message

    manager = open_manager("memory", middleware=[Guard()])
    session = await manager.create_session("user", "mock", "m", session_id="s")
    tools = Tools()
    session.provider_session.set_responses([BOTH, "done"])
    assert (await session.send_message("go", tools=tools.all, run_tools=True)).content == "done"
    assert tools.runs == ["place"]
    assert all(message.metadata.get("seen") for message in await session.get_messages(role="tool"))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"run_tools": 1}, "run_tools must be True or False"),
        ({"run_tools": True, "tool_timeout": 0}, "tool_timeout must be a positive number"),
        ({"run_tools": True, "max_tool_rounds": 0}, "max_tool_rounds must be a whole number"),
        ({"tools": [5]}, r"tools\[0\]"),
    ],
)
async def test_wrong_arguments_are_refused_before_anything_is_stored(
    session: Session, options: Any, problem: str
) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        await session.send_message("hi", **options)
    assert await session.get_messages() == []


def test_blocking_sessions_run_tools(own_folder: Any) -> None:
    from langswarm_sessions import create_session_manager

    def double(number: int) -> int:
        """Double a number."""
        return number * 2

    with create_session_manager(storage="memory", blocking=True) as manager:
        session = manager.create_session("user", "mock", "m")
        calls = [ToolCall(id="c1", name="double", arguments={"number": 4})]
        session.provider_session.set_responses([calls, "eight", calls, calls, "again"])
        assert session.send_message("go", tools=[double], run_tools=True).content == "eight"
        assert session.send_message("go", tools=[double], run_tools=True, max_tool_rounds=1).tool_calls
        assert session.resume_tools([double]).content == "again"
