"""A send that was broken off between a call and its result: gone on with, without running a finished tool again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langswarm_sessions import InvalidInputError, Session, SessionManager, StorageError, ToolCall
from tests.session.kit import OpenManager, rows_of, until
from tests.tool_calls.kit import BOTH, JSON, Tools, called, roles, sent_results, shown


async def broken_off(session: Session, tools: Tools, key: str | None = None) -> None:
    """Cancel a send while one of two tools still runs and the other's result is stored."""
    session.provider_session.set_responses([BOTH, "done"])
    send = asyncio.ensure_future(session.send_message("go", tools=tools.all, run_tools=True, idempotency_key=key))

    async def stored() -> bool:
        return len(await session.get_messages()) == 3 and tools.started.is_set()

    await until(stored)
    send.cancel()
    with pytest.raises(asyncio.CancelledError):
        await send
    assert tools.cancelled.is_set()
    assert shown(await session.get_messages()) == ["go", ["c1", "c2"], ["in s of user"]]


async def test_the_same_key_again_runs_what_is_left(session: Session) -> None:
    await broken_off(session, Tools(held=True), "key")
    tools = Tools()
    reply = await session.send_message("go", tools=tools.all, run_tools=True, idempotency_key="key")
    assert reply.content == "done"
    assert tools.runs == ["add"]
    assert sent_results(session) == [("c1", "3", False), ("c2", "in s of user", False)]
    assert roles(await session.get_messages()) == ["user", "assistant", "tool", "tool", "assistant"]


async def test_a_finished_send_is_only_told_again(session: Session, manager: SessionManager) -> None:
    tools = Tools()
    session.provider_session.set_responses([BOTH, called("place"), "done"])
    first = await session.send_message("go", tools=tools.all, run_tools=True, idempotency_key="key")
    asked, fence = len(session.provider_session.requests), await rows_of(manager, "SELECT lease_fence FROM sessions")
    again = await session.send_message("go", tools=tools.all, run_tools=True, idempotency_key="key")
    assert again.message_id == first.message_id
    assert len(session.provider_session.requests) == asked
    assert len(tools.runs) == 3
    assert await rows_of(manager, "SELECT lease_fence FROM sessions") == fence, "nothing was held for it"


async def test_without_a_key_resume_tools_goes_on(session: Session) -> None:
    await broken_off(session, Tools(held=True))
    tools = Tools()
    assert (await session.resume_tools(tools.all)).content == "done"
    assert tools.runs == ["add"]
    assert (await session.send_message("next")).content == "Mock response to: next"
    with pytest.raises(InvalidInputError, match="nothing to resume"):
        await session.resume_tools(tools.all)


async def test_an_answer_broken_off_after_its_tools_is_asked_for_again(session: Session) -> None:
    from tests.session.kit import Gate

    for key, resume in (("key", None), (None, session.resume_tools)):
        gate, tools = Gate("half an ", "answer", open_pieces=1), Tools()
        session.provider_session.set_responses([BOTH, gate])
        stream = session.send_message_stream("go", tools=tools.all, run_tools=True, idempotency_key=key)
        assert await anext(stream) == "half an "
        await stream.aclose()
        assert (await session.get_messages())[-1].status == "interrupted"
        session.provider_session.set_responses(["whole"])
        if resume is None:
            reply = await session.send_message("go", tools=tools.all, run_tools=True, idempotency_key=key)
        else:
            reply = await resume(tools.all)
        assert reply.content == "whole"
        assert sorted(tools.runs) == ["add", "place"]
        assert "half an" not in str(shown(session.provider_session.requests[-1].messages))
        assert sent_results(session)[-2:] == [("c1", "3", False), ("c2", "in s of user", False)]
        assert (await session.send_message("next")).content == "Mock response to: next"


async def test_a_conversation_that_went_on_is_left_alone(session: Session) -> None:
    await broken_off(session, Tools(held=True), "key")
    await session.send_message("never mind")
    tools = Tools()
    recorded = await session.send_message("go", tools=tools.all, run_tools=True, idempotency_key="key")
    assert [call.id for call in recorded.tool_calls] == ["c1", "c2"]
    assert tools.runs == []
    assert roles(await session.get_messages()) == ["user", "assistant", "tool", "user", "assistant"]


async def test_resuming_what_a_message_came_after_is_refused(session: Session) -> None:
    await broken_off(session, Tools(held=True))
    await session.add_message("user", "something else")
    with pytest.raises(InvalidInputError, match="gone on"):
        await session.resume_tools(Tools().all)


async def test_a_cleared_exchange_is_left_alone(session: Session) -> None:
    await broken_off(session, Tools(held=True), "key")
    await session.clear_messages()
    tools = Tools()
    recorded = await session.send_message("go", tools=tools.all, run_tools=True, idempotency_key="key")
    assert recorded.tool_calls
    assert tools.runs == []


async def test_results_sent_by_hand_count(session: Session) -> None:
    session.provider_session.set_responses([[*BOTH, ToolCall(id="c3", name="stars")], "done"])
    tools = Tools()
    await session.send_message("go", tools=[*tools.all, JSON], run_tools=True)
    asked = await session.resume_tools([*tools.all, JSON])
    assert [call.id for call in asked.tool_calls] == ["c1", "c2", "c3"], "nobody here can answer the third"
    assert sorted(tools.runs) == ["add", "place"]
    assert (await session.send_tool_results([{"tool_call_id": "c3", "content": "many"}])).content == "done"


async def test_another_manager_goes_on(open_manager: OpenManager, way: dict[str, Any]) -> None:
    session = await open_manager().create_session("user", "mock", "m", session_id="s", **way)
    await broken_off(session, Tools(held=True), "key")
    reopened = await open_manager().get_session("s")
    tools = Tools()
    reply = await reopened.send_message("go", tools=tools.all, run_tools=True, idempotency_key="key")
    assert reply.content == "Mock response to: 3, in s of user"
    assert tools.runs == ["add"]


async def test_a_key_used_without_tools_first_is_gone_on_with(session: Session) -> None:
    session.provider_session.set_responses([BOTH, "done"])
    tools = Tools()
    asked = await session.send_message("go", tools=tools.all, idempotency_key="key")
    assert asked.tool_calls
    reply = await session.send_message("go", tools=tools.all, run_tools=True, idempotency_key="key")
    assert reply.content == "done"


async def test_an_answer_whose_confirmation_was_lost_is_gone_on_with(
    session: Session, manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage: Any = manager._services.storage
    finish: Any = storage.finish_turn
    lost: list[Any] = []

    async def unconfirmed(end: Any) -> Any:
        finished = await finish(end)
        if not lost:
            lost.append(end)
            raise StorageError("The connection was lost after the commit.")
        return finished

    for run_tools in (True, False):
        lost.clear()
        with monkeypatch.context() as patch:
            patch.setattr(storage, "finish_turn", unconfirmed)
            session.provider_session.set_responses([BOTH, "done"] if run_tools else ["done"])
            assert (await session.send_message("go", tools=Tools().all, run_tools=run_tools)).content == "done"
    went = ["user", "assistant", "tool", "tool", "assistant", "user", "assistant"]
    assert roles(await session.get_messages()) == went
    turns = await rows_of(manager, "SELECT state, error_type FROM turns")
    assert turns == [{"state": "completed", "error_type": None}] * 3
    assert len(session.provider_session.requests) == 3


async def test_an_unconfirmed_answer_is_not_made_a_failure_where_nothing_can_be_asked(
    session: Session, manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage: Any = manager._services.storage
    finish: Any = storage.finish_turn
    ends: list[str] = []

    async def away(*_: Any) -> Any:
        raise StorageError("The storage is away.")

    async def unconfirmed(end: Any) -> Any:
        ends.append(end.state)
        finished = await finish(end)
        if len(ends) == 1:
            raise StorageError("The connection was lost after the commit.")
        return finished

    session.provider_session.set_responses([BOTH, "done"])
    with monkeypatch.context() as patch:
        patch.setattr(storage, "finish_turn", unconfirmed)
        patch.setattr(storage, "load_turn", away)
        with pytest.raises(StorageError, match="after the commit"):
            await session.send_message("go", tools=Tools().all, run_tools=True, idempotency_key="key")
    assert ends == ["completed", "failed"]
    assert await rows_of(manager, "SELECT state FROM turns") == [{"state": "completed"}]
    reply = await session.send_message("go", tools=Tools().all, run_tools=True, idempotency_key="key")
    assert reply.content == "done"
    assert len(session.provider_session.requests) == 2, "the answer with the calls is not asked for again"
