"""Tools with parts of a user's own: a storage of six methods, a LangChain chat model."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage

from langswarm_sessions import AuthenticationError, QuotaExceededError, StorageError
from tests.session.kit import OpenManager, until
from tests.storage.lists import Lists
from tests.support.chat_model import JudgedChat, api_error
from tests.tool_calls.kit import BOTH, Tools, called, roles, shown


async def test_a_storage_of_six_methods_keeps_the_exchange(open_manager: OpenManager) -> None:
    storage = Lists()
    session = await open_manager(storage).create_session("user", "mock", "m", session_id="s")
    session.provider_session.set_responses([BOTH, called("place"), "done"])
    reply = await session.send_message("go", tools=Tools().all, run_tools=True, idempotency_key="key")
    assert reply.content == "done"
    reopened = await open_manager(storage).get_session("s")
    assert roles(await reopened.get_messages()) == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "tool",
        "assistant",
    ]


async def test_a_send_broken_off_is_gone_on_with_over_it(open_manager: OpenManager) -> None:
    storage = Lists()
    session = await open_manager(storage).create_session("user", "mock", "m", session_id="s")
    tools = Tools(held=True)
    session.provider_session.set_responses([BOTH])
    send = asyncio.ensure_future(session.send_message("go", tools=tools.all, run_tools=True))

    async def stored() -> bool:
        return len(await session.get_messages()) == 3 and tools.started.is_set()

    await until(stored)
    send.cancel()
    with pytest.raises(asyncio.CancelledError):
        await send
    reopened = await open_manager(storage).get_session("s")
    again = Tools()
    assert (await reopened.resume_tools(again.all)).content == "Mock response to: 3, in s of user"
    assert again.runs == ["add"]


async def test_a_langchain_chat_model_is_given_its_results(open_manager: OpenManager) -> None:
    chat = JudgedChat()
    asks = AIMessage(content="Let me see.", tool_calls=[_call("a1", "add", a=1, b=2), _call("a2", "place")])
    chat.party.say(asks, AIMessage(content="", tool_calls=[_call("a3", "place")]), "done")
    manager = open_manager("memory", providers={"mychat": chat})
    session = await manager.create_session("user", "mychat", "judged-1", session_id="s")
    tools = Tools()
    stream = session.send_message_stream("go", tools=tools.all, run_tools=True)
    assert "".join([chunk async for chunk in stream]) == "Let me see.done"
    assert [call.tool_names for call in chat.party.calls] == [["add", "place"]] * 3
    results = [message.content for message in chat.party.last.messages if isinstance(message, ToolMessage)]
    assert results == ["3", "in s of user", "in s of user"]


class _Down:
    """A provider of a user's own that cannot answer."""

    def __init__(self) -> None:
        self.asked = 0

    async def send_message(self, content: str, history: list[Any]) -> str:
        self.asked += 1
        raise QuotaExceededError("Nothing is left.")

    async def get_provider_metadata(self) -> dict[str, Any]:
        return {}

    async def update_provider_config(self, config: dict[str, Any]) -> None: ...

    async def cleanup_provider_resources(self) -> None: ...


async def test_a_fallback_goes_on_to_the_end_of_the_send(open_manager: OpenManager) -> None:
    chat, down = JudgedChat(), _Down()
    manager = open_manager("memory", providers={"down": down, "mychat": chat}, fallback="mychat/judged-1")
    session = await manager.create_session("user", "down", "m", session_id="s")
    tools = Tools()
    chat.party.say(AIMessage(content="", tool_calls=[_call("a1", "place")]), "done")
    assert (await session.send_message("go", tools=tools.all, run_tools=True)).content == "done"
    assert down.asked == 1, "who could not answer is not asked again within the send"
    answers = await session.get_messages(role="assistant")
    assert [answer.provider_metadata["fallback_from"] for answer in answers] == ["down", "down"]

    def breaks() -> str:
        """Let the fallback fail as well."""
        chat.party.fail(api_error(401))
        return "broken"

    chat.party.say(AIMessage(content="", tool_calls=[_call("b1", "breaks")]))
    with pytest.raises(AuthenticationError):
        await session.send_message("again", tools=[breaks], run_tools=True)
    assert len(chat.party.calls) == 4, "a fallback has no fallback"


async def test_what_an_earlier_round_said_is_no_part_of_the_next(open_manager: OpenManager) -> None:
    chat = JudgedChat()
    manager = open_manager("memory", providers={"mychat": chat})
    session = await manager.create_session("user", "mychat", "judged-1", session_id="s")

    def fails_once() -> str:
        """Let the model fail before it says anything."""
        chat.party.fail(api_error(503))
        return "ready"

    asks = AIMessage(content="Let me see. ", tool_calls=[_call("a1", "fails_once")])
    chat.party.say(asks, "done at last")
    stream = session.send_message_stream("go", tools=[fails_once], run_tools=True)
    assert "".join([chunk async for chunk in stream]) == "Let me see. done at last", "a round is tried again by itself"
    chat.party.say(AIMessage(content="And again. ", tool_calls=[_call("b1", "wait")]), "one two three four")
    left = session.send_message_stream("go", tools=[wait], run_tools=True)
    heard = [await anext(left) for _ in range(4)]
    await left.aclose()
    assert "".join(heard).startswith("And again. ")
    last = (await session.get_messages())[-1]
    assert last.status == "interrupted"
    assert "one two three four".startswith(last.content.strip())


def wait() -> str:
    """Do nothing."""
    return "waited"


def _call(call_id: str, name: str, **arguments: Any) -> Any:
    return {"id": call_id, "name": name, "args": arguments, "type": "tool_call"}


async def test_a_storage_that_fails_between_ends_the_send(open_manager: OpenManager) -> None:
    storage = Lists()
    session = await open_manager(storage).create_session("user", "mock", "m", session_id="s")

    def breaks() -> str:
        """Break the storage."""
        storage.broken = True
        return "broken"

    session.provider_session.set_responses([called("breaks"), "done"])
    with pytest.raises(StorageError):
        await session.send_message("go", tools=[breaks], run_tools=True)
    storage.broken = False
    assert shown(await session.get_messages()) == ["go", ["c1"]]
    assert (await session.send_message("next")).content == "done"
