"""Real agents of pydantic-ai, whose conversations are kept in sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import ConversationConflict, ConversationStore, InMemoryConversationStore
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults

from langswarm_sessions import SessionExistsError, SessionManager, SessionMessage, SessionNotFoundError
from langswarm_sessions.messages import ReasoningPart, Role
from langswarm_sessions.records import MessageFilter
from langswarm_sessions_frameworks import SessionConversationStore, SessionMessages


def answering(*replies: Any) -> FunctionModel:
    """Return a model that answers from a script: texts, or names of tools to call."""
    script = list(replies)

    def reply(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        said: Any = script.pop(0) if script else f"answer to {len(messages)}"
        parts: Any = [TextPart(said)] if isinstance(said, str) else said
        return ModelResponse(parts=parts)

    return FunctionModel(reply)


def guide(*replies: Any, **more: Any) -> Agent[None, Any]:
    made: Agent[None, Any] = Agent(answering(*replies), system_prompt="Be kind.", instructions="Be brief.", **more)

    @made.tool_plain
    def weather(city: str) -> str:
        return f"sun in {city}"

    return made


CALLS = [ToolCallPart("weather", {"city": "Rome"}, "c1"), ToolCallPart("weather", {"city": "Oslo"}, "c2")]


async def asked(store: ConversationStore, question: str, agent: Agent[None, Any] | None = None, **more: Any) -> Any:
    conversation = await store.load("trip") or Conversation(conversation_id="trip")
    result = await (agent or guide()).run(question, conversation=conversation, **more)
    await store.save(result)
    return result


@pytest.fixture
def store(durable: SessionManager) -> SessionConversationStore:
    return SessionConversationStore(durable)


async def test_an_agent_with_tools_remembers(durable: SessionManager, store: SessionConversationStore) -> None:
    await asked(store, "How is it?", guide(CALLS, "Sunny."))
    second = await asked(SessionConversationStore(durable), "Thanks.")
    loaded = await store.load("trip")
    assert loaded is not None
    assert loaded.messages == second.all_messages()
    assert loaded.usage == second.usage
    rows = await (await durable.get_session("trip")).get_messages()
    assert [row.role for row in rows] == [
        Role.SYSTEM,
        Role.USER,
        Role.ASSISTANT,
        Role.TOOL,
        Role.TOOL,
        Role.ASSISTANT,
        Role.USER,
        Role.ASSISTANT,
    ]
    assert [row.tool_results[0].content for row in rows[3:5]] == ["sun in Rome", "sun in Oslo"]


async def test_a_streamed_run_is_saved_alike(store: SessionConversationStore) -> None:
    async def words(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        if len(messages) == 1:
            yield {0: DeltaToolCall("weather", '{"city": "Rome"}', tool_call_id="c1")}
        else:
            yield "Sun"
            yield "ny."

    agent: Agent[None, str] = Agent(FunctionModel(stream_function=words))

    @agent.tool_plain
    def weather(city: str) -> str:
        return f"sun in {city}"

    async with agent.run_stream("How?", conversation=Conversation(conversation_id="trip")) as result:
        assert [text async for text in result.stream_text(delta=True, debounce_by=None)] == ["Sun", "ny."]
        said = result.all_messages()
    await store.save(Conversation(conversation_id="trip", messages=said))
    loaded = await store.load("trip")
    assert loaded is not None
    assert loaded.messages == said


async def test_a_save_that_comes_too_late_is_refused_whoever_was_faster(
    durable: SessionManager, store: SessionConversationStore
) -> None:
    await asked(store, "one")
    stale = [await store.load("trip") for _ in range(3)]
    await asked(store, "two")
    late = await guide().run("late", conversation=stale[0])
    with pytest.raises(ConversationConflict):
        await store.save(late)
    seen = await store.load("trip")
    await (await durable.get_session("trip")).add_message("user", "said elsewhere")
    late = await guide().run("late", conversation=seen)
    with pytest.raises(ConversationConflict):
        await store.save(late)
    third = await asked(store, "three")
    assert any(
        isinstance(part, UserPromptPart) and part.content == "said elsewhere"
        for message in third.all_messages()
        for part in message.parts
    )


async def test_other_changes_of_a_session_do_not_disturb(
    durable: SessionManager, store: SessionConversationStore
) -> None:
    await asked(store, "one")
    loaded = await store.load("trip")
    session = await durable.get_session("trip")
    await session.update_context({"mood": "fine"})
    await session.update_config({"name": "A trip", "tags": ["travel"]})
    await store.save(await guide().run("two", conversation=loaded))
    assert (await session.get_context()).get("mood") == "fine"


async def test_a_conversation_paused_for_approval_goes_on_elsewhere(
    durable: SessionManager, store: SessionConversationStore
) -> None:
    def booking(*replies: Any) -> Agent[None, Any]:
        made: Agent[None, Any] = Agent(answering(*replies), output_type=[str, DeferredToolRequests])

        @made.tool_plain(requires_approval=True)
        def book(city: str) -> str:
            return f"booked {city}"

        return made

    await asked(store, "Book it.", booking([ToolCallPart("book", {"city": "Rome"}, "c1")]))
    fresh = SessionConversationStore(durable)
    waiting = await fresh.load("trip")
    assert waiting is not None
    assert waiting.deferred_tool_requests is not None
    assert [call.tool_call_id for call in waiting.deferred_tool_requests.approvals] == ["c1"]
    approved = DeferredToolResults(approvals={"c1": True})
    result = await booking("Done.").run(conversation=waiting, deferred_tool_results=approved)
    await fresh.save(result)
    rows = await (await durable.get_session("trip")).get_messages()
    assert [row.content or row.tool_results[0].content for row in rows if row.role is not Role.ASSISTANT][-1] == (
        "booked Rome"
    )


Step = Callable[[ConversationStore], Awaitable[Any]]


async def branched(store: ConversationStore) -> list[list[Any]]:
    """Branch there and back, fork and window; return what is loaded after each step."""
    seen: list[list[Any]] = []

    async def look(conversation_id: str = "c", **more: Any) -> Conversation:
        loaded = await store.load(conversation_id, **more)
        assert loaded is not None
        seen.append([getattr(part, "content", None) for message in loaded.messages for part in message.parts])
        return loaded

    async def say(conversation: Conversation, *texts: str) -> None:
        for at, text in enumerate(texts):
            part = ModelRequest(parts=[UserPromptPart(text)]) if at % 2 == 0 else ModelResponse(parts=[TextPart(text)])
            conversation.messages.append(part)
        await store.save(conversation)

    await say(Conversation(conversation_id="c"), "u1", "a1", "u2", "a2")
    one = await look()
    left = await store.branch("c", at=2, expected_revision=one.revision)
    await look()
    await say(left, "u3", "a3", "u4", "a4")
    two = await look()
    record = await store.read_record("c")
    assert record is not None
    await store.branch("c", from_entry=record.branches[0], expected_revision=two.revision)
    back = await look()
    await say(back, "u5", "a5")
    await look()
    await look(limit=3)
    window = await look(limit=1)
    await say(window, "u6", "a6")
    await look()
    rewritten = await look()
    rewritten.messages[2:4] = [ModelResponse(parts=[TextPart("summary")])]
    await store.save(rewritten)
    await look()
    await store.fork("c", at=2, new_conversation_id="f")
    await say(await look("f"), "u7", "a7")
    await look("f")
    await look()
    record = await store.read_record("c")
    assert record is not None
    for tip in record.branches:
        forked = await store.fork("c", from_entry=tip, new_conversation_id=f"f-{len(seen)}")
        await look(forked.conversation_id)
    return seen


async def test_branches_forks_and_windows_are_as_in_the_stores_own(store: SessionConversationStore) -> None:
    assert await branched(store) == await branched(InMemoryConversationStore())


async def test_a_branch_that_was_left_is_hidden_and_stored(
    durable: SessionManager, store: SessionConversationStore
) -> None:
    await asked(store, "one")
    second = await asked(store, "two")
    loaded = await store.load("trip")
    assert loaded is not None
    await store.branch("trip", at=2, expected_revision=loaded.revision)
    session = await durable.get_session("trip")
    assert [row.content for row in await session.get_messages()] == ["Be kind.", "one", "answer to 1"]
    stored = await session.list_messages(MessageFilter(with_retracted=True))
    assert [row.content for row in stored][3:] == ["two", second.output]


@pytest.mark.parametrize(("at", "left"), [(0, ["Be brief."]), (2, ["Be brief.", "one", "Mock response to: one", ""])])
async def test_a_branch_leaves_alone_what_stands_before_it_and_is_no_message(
    durable: SessionManager, store: SessionConversationStore, at: int, left: list[str]
) -> None:
    session = await durable.create_session("user", "mock", "mock-model", session_id="trip")
    await session.send_message("one", instructions="Be brief.")
    await durable.append_messages("trip", [SessionMessage(role=Role.ASSISTANT, parts=[ReasoningPart(text="hm")])])
    await session.send_message("two")
    loaded = await store.load("trip")
    assert loaded is not None
    branched = await store.branch("trip", at=at, expected_revision=loaded.revision)
    assert [row.content for row in await session.get_messages()] == left
    assert session.record.instructions == "Be brief."
    branched.messages.append(ModelRequest(parts=[UserPromptPart("three")]))
    await store.save(branched)
    again = await store.load("trip")
    assert again is not None
    assert again.messages == branched.messages


async def test_another_users_conversation_is_not_reported_on(
    durable: SessionManager, store: SessionConversationStore
) -> None:
    await store.save(
        Conversation(conversation_id="hers", messages=[ModelRequest(parts=[UserPromptPart("x")])]), scope="alice"
    )
    assert (await SessionConversationStore(durable, user_id="alice").loss_report("hers")).messages == 1
    for conversation_id in ("hers", "nothing"):
        with pytest.raises(SessionNotFoundError, match="no such conversation"):
            await SessionConversationStore(durable, user_id="bob").loss_report(conversation_id)


async def test_scopes_are_users(durable: SessionManager, store: SessionConversationStore) -> None:
    await store.save(
        Conversation(conversation_id="a", messages=[ModelRequest(parts=[UserPromptPart("x")])]), scope="alice"
    )
    assert (await durable.get_session("a")).user_id == "alice"
    assert await store.load("a", scope="bob") is None
    assert await store.load("a", scope="alice") is not None
    assert await SessionConversationStore(durable, user_id="bob").load("a") is None
    await store.save(Conversation(conversation_id="b"), scope="bob")
    await store.save(Conversation(conversation_id="n"))
    listed = await store.list_conversations()
    assert [record.conversation_id for record in listed] == ["n", "b", "a"]
    assert [record.scope for record in listed] == [None, "bob", "alice"]
    assert [record.conversation_id for record in await store.list_conversations(scope="alice")] == ["a"]
    assert [record.conversation_id for record in await store.list_conversations(limit=1)] == ["n"]
    own = SessionConversationStore(durable, user_id="alice")
    await own.save(Conversation(conversation_id="c"), scope="work")
    assert [record.conversation_id for record in await own.list_conversations(scope="work")] == ["c"]
    assert {record.conversation_id for record in await own.list_conversations()} == {"a", "c"}


async def test_a_deleted_conversation_is_gone_until_it_is_restored(
    durable: SessionManager, store: SessionConversationStore
) -> None:
    await asked(store, "one")
    before = await store.load("trip")
    assert before is not None
    await store.delete("trip", scope="somebody else")
    assert await store.load("trip") is not None
    await store.delete("trip")
    assert (await store.load("trip"), await store.list_conversations()) == (None, [])
    with pytest.raises(ConversationConflict):
        await store.save(before)
    with pytest.raises(SessionExistsError, match="purge"):
        await store.save(Conversation(conversation_id="trip"))
    await durable.restore_session("trip")
    restored = await store.load("trip")
    assert restored is not None
    assert restored.messages == before.messages


async def test_what_is_not_there_is_said(store: SessionConversationStore) -> None:
    assert await store.load("nothing") is None
    with pytest.raises(UserError, match="not in the store"):
        await store.branch("nothing", at=0, expected_revision=None)
    with pytest.raises(LookupError):
        await store.read_entry("nothing")
    await store.save(Conversation(conversation_id="trip"))
    with pytest.raises(ConversationConflict):
        await store.save(Conversation(conversation_id="trip"))


async def test_entries_have_the_ids_that_saving_told(store: SessionConversationStore) -> None:
    saved = await store.save(await guide(CALLS, "ok").run("hi", conversation=Conversation(conversation_id="trip")))
    loaded = await store.load_entries("trip")
    assert loaded is not None
    assert [(entry.id, entry.parent_id) for entry in loaded] == [(entry.id, entry.parent_id) for entry in saved]
    assert (await store.read_entry(saved[1].id)).message == saved[1].message


async def test_a_message_history_is_kept_by_hand(durable: SessionManager) -> None:
    history = SessionMessages("trip", manager=durable)
    agent = Agent(TestModel())
    first = await agent.run("one", message_history=await history.load())
    await history.add(first.new_messages())
    second = await agent.run("two", message_history=await history.load())
    await history.add(second.new_messages_json())
    assert await history.load() == second.all_messages()
    assert (await history.loss_report()).is_lossless
    await history.clear()
    assert await history.load() == []


async def test_of_saves_at_once_one_wins(durable: SessionManager, store: SessionConversationStore) -> None:
    await asked(store, "one")
    loaded = [await store.load("trip") for _ in range(8)]
    results = [await guide().run(f"late {at}", conversation=one) for at, one in enumerate(loaded)]
    ends = await asyncio.gather(
        *(SessionConversationStore(durable).save(result) for result in results), return_exceptions=True
    )
    assert sorted(type(end).__name__ for end in ends) == ["ConversationConflict"] * 7 + ["list"]
    final = await store.load("trip")
    assert final is not None
    assert len(final.messages) == 4
