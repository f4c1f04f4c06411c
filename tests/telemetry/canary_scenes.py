"""What may happen to a session full of canaries: each scene plays a part of its life, or one thing that goes wrong."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel

from langswarm_sessions import (
    ContentRefusedError,
    ImportFormatError,
    InvalidRequestError,
    MiddlewareError,
    ProviderUnavailableError,
    SessionMessage,
    StorageError,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.messages import Role
from langswarm_sessions.records import Amendment
from langswarm_sessions_langchain import SessionChatModel, SessionRunnable
from tests.telemetry.canary_stage import ANSWER, CANARY, PROMPT, RULES, Scene, Stage, say

__all__ = ["SCENES"]

SCENES: dict[str, Scene] = {}


def scene(play: Scene) -> Scene:
    SCENES[play.__name__] = play
    return play


@scene
async def a_send(stage: Stage) -> None:
    session = await stage.session()

    def at_the_provider(_: object) -> str:
        stage.tap.look()
        return ANSWER

    session.provider_session.set_responses([at_the_provider])
    await say(session, instructions=RULES)
    await session.send_system_message(RULES)
    await say(session, idempotency_key=f"{CANARY} key")
    await say(session, idempotency_key=f"{CANARY} key")
    await session.add_message("user", PROMPT)


@scene
async def a_stream(stage: Stage) -> None:
    session = await stage.session()
    assert [chunk async for chunk in session.send_message_stream(PROMPT)]


@scene
async def a_stream_broken_off(stage: Stage) -> None:
    session = await stage.session()
    stream = session.send_message_stream(PROMPT)
    async for _ in stream:
        break
    await stream.aclose()


@scene
async def a_cancelled_send(stage: Stage) -> None:
    session, asked = await stage.session(), asyncio.Event()

    async def held_back() -> AsyncIterator[str]:
        yield ANSWER
        asked.set()
        await asyncio.Event().wait()

    session.provider_session.set_responses([held_back()])
    task = asyncio.create_task(say(session))
    await asked.wait()
    task.cancel(PROMPT)
    with suppress(asyncio.CancelledError):
        await task


@scene
async def a_provider_that_quotes_the_prompt(stage: Stage) -> None:
    session = await stage.session()
    for error in (
        InvalidRequestError(f"bad: {PROMPT}"),
        ContentRefusedError(f"refused: {PROMPT}"),
        ValueError(PROMPT),
        ProviderUnavailableError(f"down: {PROMPT}"),
    ):
        times = 2 if isinstance(error, ProviderUnavailableError) else 1  # it is tried again
        session.provider_session.fail_next(error, times=times)
        with pytest.raises(type(error)):
            await say(session)
        session.provider_session.fail_next(error, times=times)
        with pytest.raises(type(error)):
            async for _ in session.send_message_stream(PROMPT):
                pass


@scene
async def a_retry(stage: Stage) -> None:
    session = await stage.session()
    session.provider_session.fail_next(ProviderUnavailableError(f"down: {PROMPT}"))
    await say(session)


@scene
async def a_refusal(stage: Stage) -> None:
    session = await stage.session()
    session.provider_session.fail_next("refused")
    with suppress(ContentRefusedError):
        await say(session)


@scene
async def a_middleware_that_quotes(stage: Stage) -> None:
    session = await stage.session()
    stage.tap.middleware_fails = True
    with pytest.raises(MiddlewareError):
        await say(session)


@scene
async def a_hook_that_quotes(stage: Stage) -> None:
    session = await stage.session()
    stage.tap.hook_fails = True
    await say(session)
    session.provider_session.fail_next(InvalidRequestError(PROMPT))
    with pytest.raises(InvalidRequestError):
        await say(session)
    await session.archive()


async def look_up(word: str) -> str:
    """Look a word up."""
    if word.endswith("fails"):
        raise LookupError(f"{CANARY} {word}")
    return f"{CANARY} result of {word}"


@scene
async def tools(stage: Stage) -> None:
    session = await stage.session()
    calls = [
        ToolCall(id="c1", name="look_up", arguments={"word": CANARY, "wrong": CANARY}),
        ToolCall(id="c2", name="look_up", arguments={"word": CANARY}),
        ToolCall(id="c3", name="look_up", arguments={"word": f"{CANARY} fails"}),
        ToolCall(id="c4", name=f"{CANARY}_made_up", raw_arguments=f"{{{CANARY}"),
    ]
    session.provider_session.set_responses([calls, ANSWER])
    await say(session, tools=[look_up], run_tools=True)


@scene
async def tool_results(stage: Stage) -> None:
    session = await stage.session()
    session.provider_session.set_responses([[ToolCall(id="c1", name="ask", arguments={CANARY: CANARY})], ANSWER])
    definition = {"name": "ask", "description": f"{CANARY} description", "parameters": {"type": "object"}}
    await say(session, tools=[definition])
    await session.send_tool_results([ToolResult(tool_call_id="c1", content=f"{CANARY} result")])


@scene
async def a_storage_that_quotes(stage: Stage) -> None:
    session = await stage.session()
    storage = stage.manager._services.storage
    finish, begin = storage.finish_turn, storage.begin_turn

    async def fails(_: object) -> Any:
        raise StorageError(f"INSERT {PROMPT}")

    for name, working in (("finish_turn", finish), ("begin_turn", begin)):
        setattr(storage, name, fails)
        with pytest.raises(StorageError):
            await say(session)
        setattr(storage, name, working)
        await session.refresh()


@scene
async def a_summariser_that_quotes(stage: Stage) -> None:
    session = await stage.session(strategy="client", max_messages=4)
    for _ in range(5):
        await say(session)


@scene
async def a_rebuild(stage: Stage) -> None:
    session = await stage.session(strategy="native")
    await say(session)
    session.provider_session.forget()
    await say(session)


@scene
async def a_handoff(stage: Stage) -> None:
    session = await stage.session()
    await say(session)
    await session.handoff("mock", "other-model")
    await say(session)


@scene
async def a_life(stage: Stage) -> None:
    session = await stage.session()
    await say(session)
    await session.update_config({"name": f"{CANARY} other"})
    await session.update_context({"more": CANARY})
    data = await session.export_conversation()
    await say(await stage.manager.import_conversation(data, session_id="copy", user_id=f"{CANARY} user"))
    data["messages"][0]["timestamp"] = CANARY
    with pytest.raises(ImportFormatError):
        await stage.manager.import_conversation(data, session_id="spoiled")
    await session.clear_messages()
    await session.archive()
    await session.restore()
    await stage.manager.search_sessions(text=CANARY)
    await session.delete()


@scene
async def an_import(stage: Stage) -> None:
    kept = [
        ("s-1", {"type": "human", "data": {"content": PROMPT}}),
        ("s-2", {"type": CANARY, "data": {CANARY: PROMPT}}),
    ]
    with tempfile.TemporaryDirectory() as folder:
        where = f"{folder}/history.db"
        with closing(sqlite3.connect(where)) as old, old:
            old.execute("CREATE TABLE message_store (id INTEGER PRIMARY KEY, session_id TEXT, message TEXT)")
            rows = [(session_id, json.dumps(message)) for session_id, message in kept]
            old.executemany("INSERT INTO message_store (session_id, message) VALUES (?, ?)", rows)
        user = f"{CANARY} user"
        report = await stage.manager.import_from(where, user_id=user, provider="mock", model="m")
        assert report.messages_stored == 1
    await say(await stage.manager.get_session("s-1"))


class Bird(BaseModel):
    """A bird."""

    name: str


@scene
async def a_structured_answer(stage: Stage) -> None:
    session = await stage.session()
    session.provider_session.set_responses([json.dumps({"name": CANARY})])
    await say(session, response_format=Bird)


@scene
async def a_chat_model(stage: Stage) -> None:
    model = SessionChatModel(
        manager=stage.manager, provider="mock", model="m", session_id="s-1", user_id=f"{CANARY} user"
    )
    assert (await model.ainvoke([HumanMessage(PROMPT, id="m-1")])).text
    assert [chunk async for chunk in model.astream(PROMPT)]


@scene
async def a_wrapped_chain(stage: Stage) -> None:
    def answer(_: object) -> str:
        stage.tap.look()
        return ANSWER

    def fail(_: object) -> str:
        raise ValueError(PROMPT)

    for bound in (RunnableLambda(answer), RunnableLambda(fail)):
        chain = SessionRunnable(bound, manager=stage.manager, user_id=f"{CANARY} user")
        with suppress(Exception):
            await chain.ainvoke(PROMPT, {"configurable": {"session_id": "s-1"}})


@scene
async def a_run_of_others(stage: Stage) -> None:
    session = await stage.session()
    with suppress(LookupError):
        async with session.hold_turn() as turn:
            said = SessionMessage(role=Role.USER, content=PROMPT), SessionMessage(role=Role.ASSISTANT, content=ANSWER)
            await session.amend(Amendment(append=said, held=turn.lease))
            raise LookupError(PROMPT)
