"""Real agents of Agent Framework, whose history is a session."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agent_framework import AgentSession, Content, Message, tool

from langswarm_sessions import Role, SessionManager, SessionMessage, create_session_manager
from langswarm_sessions.errors import InvalidInputError, SessionNotFoundError
from langswarm_sessions.records import Page
from langswarm_sessions_frameworks.agent_framework import SessionHistoryProvider
from langswarm_sessions_frameworks.conversation import Conversation
from tests.frameworks.agent_framework.scripted import ScriptedClient, agent_of, calls


async def rows(manager: SessionManager, session_id: str) -> list[tuple[str, str]]:
    session = await manager.get_session(session_id)
    return [(message.role.value, message.content) for message in await session.get_messages()]


async def test_tools_and_answers_are_stored_and_loaded_again(manager: SessionManager) -> None:
    client = ScriptedClient([calls("Oslo", "Rome"), "Sunny in both.", "You are welcome."])
    agent = agent_of(client, SessionHistoryProvider(manager))
    session = agent.create_session(session_id="trip")

    answer = await agent.run("How is it in Oslo and Rome?", session=session)
    assert answer.text == "Sunny in both."
    await agent.run("Thanks", session=session)

    assert client.told[2] == [
        ("user", "How is it in Oslo and Rome?"),
        ("assistant", "weather(call_Oslo) weather(call_Rome)"),
        ("tool", "call_Oslo=sunny in Oslo call_Rome=sunny in Rome"),
        ("assistant", "Sunny in both."),
        ("user", "Thanks"),
    ]
    stored = await (await manager.get_session("trip")).get_messages()
    roles = ["user", "assistant", "tool", "tool", "assistant", "user", "assistant"]
    assert [message.role for message in stored] == roles
    assert [call.arguments for call in stored[1].tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert [message.tool_results[0].content for message in stored[2:4]] == ["sunny in Oslo", "sunny in Rome"]


async def test_another_process_goes_on_with_the_conversation(manager: SessionManager, db_path: str) -> None:
    client = ScriptedClient([calls("Oslo"), "Sunny."])
    await agent_of(client, SessionHistoryProvider(manager)).run("Oslo?", session=AgentSession(session_id="trip"))

    async with create_session_manager(storage="sqlite", storage_config={"db_path": db_path}) as other:
        later = ScriptedClient(["Still sunny."])
        await agent_of(later, SessionHistoryProvider(other)).run("And now?", session=AgentSession(session_id="trip"))
    assert later.told == [
        [
            ("user", "Oslo?"),
            ("assistant", "weather(call_Oslo)"),
            ("tool", "call_Oslo=sunny in Oslo"),
            ("assistant", "Sunny."),
            ("user", "And now?"),
        ]
    ]


async def test_a_stream_is_stored_as_the_whole_answer(manager: SessionManager) -> None:
    client = ScriptedClient([calls("Oslo"), "It is sunny"])
    agent = agent_of(client, SessionHistoryProvider(manager))
    stream = agent.run("Oslo?", session=agent.create_session(session_id="trip"), stream=True)
    heard = [update.text async for update in stream if update.text]
    assert heard == ["It", " is", " sunny"]
    assert await rows(manager, "trip") == [
        ("user", "Oslo?"),
        ("assistant", ""),
        ("tool", ""),
        ("assistant", "It is sunny"),
    ]


async def test_each_model_call_is_stored_as_it_ends_where_the_agent_asks_for_it(manager: SessionManager) -> None:
    client = ScriptedClient([calls("Oslo"), ConnectionError("gone"), "Sunny."])
    agent = agent_of(client, SessionHistoryProvider(manager), require_per_service_call_history_persistence=True)
    session = agent.create_session(session_id="trip")

    with pytest.raises(ConnectionError):
        await agent.run("Oslo?", session=session)
    assert await rows(manager, "trip") == [("user", "Oslo?"), ("assistant", "")]

    await agent.run("Try again", session=session)
    assert client.told[2] == [
        ("user", "Oslo?"),
        ("assistant", "weather(call_Oslo)"),
        ("tool", "call_Oslo=The tool call was interrupted; there is no result."),
        ("user", "Try again"),
    ]
    assert await rows(manager, "trip") == [
        ("user", "Oslo?"),
        ("assistant", ""),
        ("user", "Try again"),
        ("assistant", "Sunny."),
    ]


async def test_a_call_whose_result_the_next_input_brings_is_left_alone(manager: SessionManager) -> None:
    client = ScriptedClient(["It rains."])
    provider = SessionHistoryProvider(manager)
    agent = agent_of(client, provider)
    session = agent.create_session(session_id="trip")
    await provider.save_messages("trip", [Message("user", ["Oslo?"]), calls("Oslo")])
    result = Message("tool", [Content.from_function_result("call_Oslo", result="rainy")])
    await agent.run([result], session=session)
    assert client.told == [[("user", "Oslo?"), ("assistant", "weather(call_Oslo)"), ("tool", "call_Oslo=rainy")]]


async def test_a_run_that_failed_leaves_the_history_as_it_was(manager: SessionManager) -> None:
    client = ScriptedClient(["Hello.", ConnectionError("gone")])
    agent = agent_of(client, SessionHistoryProvider(manager))
    session = agent.create_session(session_id="trip")
    await agent.run("Hi", session=session)
    with pytest.raises(ConnectionError):
        await agent.run("Oslo?", session=session)
    assert await rows(manager, "trip") == [("user", "Hi"), ("assistant", "Hello.")]


async def test_runs_at_the_same_time_do_not_interleave(manager: SessionManager) -> None:
    async def run(number: int) -> None:
        agent = agent_of(ScriptedClient([f"answer {number}"]), SessionHistoryProvider(manager))
        await agent.run(f"question {number}", session=AgentSession(session_id="shared"))

    await asyncio.gather(*(run(number) for number in range(8)))
    said = [content for _, content in await rows(manager, "shared")]
    assert sorted(said[::2]) == [f"question {number}" for number in range(8)]
    assert [text.replace("question", "answer") for text in said[::2]] == said[1::2]


async def test_the_same_exchange_twice_is_stored_twice(manager: SessionManager) -> None:
    agent = agent_of(ScriptedClient(["Hello.", "Hello."]), SessionHistoryProvider(manager))
    session = agent.create_session(session_id="trip")
    await agent.run("Hi", session=session)
    await agent.run("Hi", session=session)
    assert await rows(manager, "trip") == [("user", "Hi"), ("assistant", "Hello.")] * 2


async def test_an_input_that_repeats_the_conversation_is_neither_sent_nor_stored_twice(manager: SessionManager) -> None:
    client = ScriptedClient(["Hello.", "Sunny."])
    agent = agent_of(client, SessionHistoryProvider(manager))
    session = agent.create_session(session_id="trip")
    await agent.run("Hi", session=session)
    whole = [Message("user", ["Hi"]), Message("assistant", ["Hello."]), Message("user", ["Oslo?"])]
    await agent.run(whole, session=session)
    assert client.told[1] == [("user", "Hi"), ("assistant", "Hello."), ("user", "Oslo?")]
    assert await rows(manager, "trip") == [
        ("user", "Hi"),
        ("assistant", "Hello."),
        ("user", "Oslo?"),
        ("assistant", "Sunny."),
    ]


async def test_one_provider_keeps_the_users_apart(manager: SessionManager) -> None:
    provider = SessionHistoryProvider(manager)
    agent = agent_of(ScriptedClient(["Hello Ada.", "never said"]), provider)
    await agent.run("Hi", session=provider.create_session("hers", user_id="ada"))
    assert (await manager.get_session("hers")).user_id == "ada"

    with pytest.raises(SessionNotFoundError):
        await agent.run("What did she say?", session=provider.create_session("hers", user_id="eve"))
    assert await rows(manager, "hers") == [("user", "Hi"), ("assistant", "Hello Ada.")]

    kept = AgentSession.from_dict(provider.create_session("hers", user_id="eve").to_dict())
    with pytest.raises(SessionNotFoundError):
        await provider.get_messages("hers", state=kept.state[provider.source_id])


async def test_a_provider_of_one_user_opens_nobody_elses_conversations(manager: SessionManager) -> None:
    await SessionHistoryProvider(manager, user_id="bob").save_messages("his", [Message("user", ["a secret"])])
    hers = SessionHistoryProvider(manager, user_id="ada")
    for state in (None, {}, {"user_id": "bob"}):
        with pytest.raises(SessionNotFoundError):
            await hers.get_messages("his", state=state)
        with pytest.raises(SessionNotFoundError):
            await hers.save_messages("his", [Message("user", ["hi"])], state=state)
    with pytest.raises(InvalidInputError, match="user_id"):
        hers.create_session("his", user_id="bob")
    with pytest.raises(InvalidInputError, match="user_id"):
        await hers.loss_report("his", user_id="bob")
    assert await rows(manager, "his") == [("user", "a secret")]


class TestServiceThatKeepsTheConversation:
    async def test_it_is_sent_the_new_input_alone(self, manager: SessionManager) -> None:
        client = ScriptedClient(["Hello.", "Sunny."], keeps="conv_1")
        agent = agent_of(client, SessionHistoryProvider(manager))
        session = agent.create_session(session_id="trip")
        await agent.run("Hi", session=session)
        assert session.service_session_id == "conv_1"
        await agent.run("Oslo?", session=session)
        assert client.told == [[("user", "Hi")], [("user", "Oslo?")]]
        assert [content for _, content in await rows(manager, "trip")] == ["Hi", "Hello.", "Oslo?", "Sunny."]

    async def test_it_hears_what_others_said_since(self, manager: SessionManager) -> None:
        client = ScriptedClient(["Hello.", "Noted.", "Sunny."], keeps="conv_1")
        agent = agent_of(client, SessionHistoryProvider(manager))
        session = agent.create_session(session_id="trip")
        await agent.run("Hi", session=session)
        await (await manager.get_session("trip")).add_message(Role.USER, "I live in Oslo.")
        await agent.run("Where do I live?", session=AgentSession.from_dict(session.to_dict()))
        assert client.told[1] == [("user", "I live in Oslo."), ("user", "Where do I live?")]

    async def test_of_a_long_conversation_only_what_it_has_not_heard_is_read(
        self, manager: SessionManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = ScriptedClient(["Hello.", "Noted."], keeps="conv_1")
        agent = agent_of(client, SessionHistoryProvider(manager))
        session = agent.create_session(session_id="trip")
        await manager.create_session("user", "framework", "agent-framework", session_id="trip")
        await manager.append_messages("trip", [SessionMessage(role=Role.USER, content="old") for _ in range(300)])
        await agent.run("Hi", session=session)
        news = [SessionMessage(role=Role.USER, content=str(number)) for number in range(70)]
        await manager.append_messages("trip", news)
        read: list[int] = []
        messages = Conversation.messages

        async def counted(self: Conversation, limit: int | None = None, **more: Any) -> Page[SessionMessage]:
            page = await messages(self, limit, **more)
            read.append(len(page))
            return page

        monkeypatch.setattr(Conversation, "messages", counted)
        await agent.run("Well?", session=session)
        assert client.told[1] == [*(("user", str(number)) for number in range(70)), ("user", "Well?")]
        assert sum(read) <= 150

    async def test_it_hears_what_others_said_while_it_answered(self, manager: SessionManager) -> None:
        @tool(approval_mode="never_require")
        async def weather(city: str) -> str:
            """Say how the weather is, while somebody else speaks."""
            await (await manager.get_session("trip")).add_message(Role.USER, "Bring boots.")
            return f"rain in {city}"

        client = ScriptedClient(["Hello.", calls("Oslo"), "It rains.", "Boots."], keeps="conv_1")
        agent = agent_of(client, SessionHistoryProvider(manager), tools=[weather])
        session = agent.create_session(session_id="trip")
        await agent.run("Hi", session=session)
        await agent.run("Oslo?", session=session)
        await agent.run("What shall I bring?", session=session)
        assert client.told[-1] == [("user", "Bring boots."), ("user", "What shall I bring?")]

    async def test_a_run_that_failed_tells_it_again(self, manager: SessionManager) -> None:
        client = ScriptedClient(["Hello.", ConnectionError("gone"), "Oslo.", "Bye."], keeps="conv_1")
        agent = agent_of(client, SessionHistoryProvider(manager))
        session = agent.create_session(session_id="trip")
        await agent.run("Hi", session=session)
        await (await manager.get_session("trip")).add_message(Role.USER, "I live in Oslo.")
        with pytest.raises(ConnectionError):
            await agent.run("Where do I live?", session=session)
        await agent.run("Where do I live?", session=session)
        await agent.run("Bye", session=session)
        assert client.told[2] == [("user", "I live in Oslo."), ("user", "Where do I live?")]
        assert client.told[3] == [("user", "Bye")]

    async def test_a_conversation_given_with_the_run_is_the_services_too(self, manager: SessionManager) -> None:
        client = ScriptedClient(["Hello.", "Sunny."], keeps="conv_1")
        provider = SessionHistoryProvider(manager)
        await agent_of(client, provider).run("Hi", session=AgentSession(session_id="trip"))
        later = AgentSession(session_id="trip")
        await agent_of(client, provider).run("Oslo?", session=later, options={"conversation_id": "conv_1"})
        assert client.told[1] == [("user", "Oslo?")]

    async def test_once_it_is_gone_the_whole_conversation_is_sent(self, manager: SessionManager) -> None:
        client = ScriptedClient(["Hello.", "Sunny."], keeps="conv_1")
        agent = agent_of(client, SessionHistoryProvider(manager))
        session = agent.create_session(session_id="trip")
        await agent.run("Hi", session=session)
        session.service_session_id = None
        await agent.run("Oslo?", session=session)
        assert client.told[1] == [("user", "Hi"), ("assistant", "Hello."), ("user", "Oslo?")]


async def test_an_approval_is_waited_for_from_process_to_process(manager: SessionManager, db_path: str) -> None:
    @tool(approval_mode="always_require")
    def weather(city: str) -> str:
        """Say how the weather is."""
        return f"sunny in {city}"

    client = ScriptedClient([calls("Oslo")])
    session = AgentSession(session_id="trip")
    agent = agent_of(client, SessionHistoryProvider(manager), tools=[weather])
    (request,) = (await agent.run("Oslo?", session=session)).user_input_requests

    async with create_session_manager(storage="sqlite", storage_config={"db_path": db_path}) as other:
        later = ScriptedClient(["Sunny."])
        agent = agent_of(later, SessionHistoryProvider(other), tools=[weather])
        approved = Message("user", [request.to_function_approval_response(approved=True)])
        answer = await agent.run(approved, session=AgentSession.from_dict(session.to_dict()))
    assert answer.text == "Sunny."
    assert later.told[0] == [
        ("user", "Oslo?"),
        ("assistant", "weather(call_Oslo)"),
        ("tool", "call_Oslo=sunny in Oslo"),
    ]
