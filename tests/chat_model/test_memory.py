"""What a SessionChatModel sends and stores of the messages it is given: what its session does not hold."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, FewShotChatMessagePromptTemplate
from langchain_core.runnables import RunnableLambda

from langswarm_sessions import (
    ConfigurationError,
    InvalidInputError,
    Page,
    RateLimitError,
    RetryPolicy,
    Role,
    SessionBusyError,
    SessionManager,
    SessionMessage,
    SessionNotFoundError,
    ToolCall,
    create_session_manager,
)
from langswarm_sessions.records import MessageFilter
from langswarm_sessions_langchain import SessionChatModel, SessionRunnable
from tests.chat_model.brain import ThinkingServer
from tests.langchain.chains import on, summed, told


@pytest.fixture
def model(manager: SessionManager) -> SessionChatModel:
    return SessionChatModel(manager=manager, provider="mock", model="mock-model")


def same(text: Any) -> Any:
    return text


def reply(text: str) -> tuple[str, str, str]:
    return ("assistant", f"Mock response to: {text}", "completed")


def said(text: str) -> tuple[str, str, str]:
    return ("user", text, "completed")


# ---------------------------------------------------------------- which session


async def test_a_call_without_a_session_takes_one_of_its_own(model: SessionChatModel, manager: SessionManager) -> None:
    answers = [await model.ainvoke("hi"), model.invoke("hi")]
    ids = [answer.response_metadata["session_id"] for answer in answers]
    assert len(set(ids)) == 2
    for session_id in ids:
        assert await told(manager, session_id) == [said("hi"), reply("hi")]
    await model.ainvoke("more", on(ids[0]))
    assert len(await told(manager, ids[0])) == 4


@pytest.mark.parametrize(
    ("own", "configurable", "kwargs", "taken"),
    [
        ("own", {}, {}, "own"),
        ("own", {"session_id": "config"}, {}, "config"),
        ("own", {"session_id": "config"}, {"session_id": "call"}, "call"),
        ("own", {"thread_id": "thread"}, {}, "own"),
        (None, {"thread_id": "thread"}, {}, "thread"),
        (None, {"thread_id": "thread", "session_id": "config"}, {}, "config"),
    ],
)
async def test_who_names_the_session(
    manager: SessionManager, own: str | None, configurable: Any, kwargs: Any, taken: str
) -> None:
    model = SessionChatModel(manager=manager, provider="mock", model="mock-model", session_id=own)
    config: Any = {"configurable": configurable}
    chain = RunnableLambda(same) | model.bind(**kwargs)
    answers = [
        await model.ainvoke("1", config, **kwargs),
        model.invoke("2", config, **kwargs),
        summed([chunk async for chunk in model.astream("3", config, **kwargs)]),
        summed(list(model.stream("4", config, **kwargs))),
        model.batch(["5"], config, **kwargs)[0],
        await chain.ainvoke("6", config),
        summed([chunk async for chunk in chain.astream("7", config)]),
    ]
    assert {answer.response_metadata["session_id"] for answer in answers} == {taken}
    assert [text for role, text, _ in await told(manager, taken) if role == "user"] == list("1234567")


@pytest.mark.parametrize("wrong", ["", " ", None, 3])
async def test_an_empty_session_id_is_refused(model: SessionChatModel, wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match="session_id"):
        await model.ainvoke("hi", on(wrong))


async def test_another_users_session_is_not_there(model: SessionChatModel) -> None:
    await model.ainvoke("hi", on("s", user_id="alice"))
    with pytest.raises(SessionNotFoundError):
        await model.ainvoke("hi", on("s", user_id="bob"))
    with pytest.raises(SessionNotFoundError):
        await model.ainvoke("hi", on("s"), user_id="bob")


async def test_a_session_needs_a_provider(manager: SessionManager) -> None:
    nameless = SessionChatModel(manager=manager)
    configs: list[Any] = [{}, on("new")]
    for config in configs:
        with pytest.raises(ConfigurationError, match="provider and model"):
            await nameless.ainvoke("hi", config)
    await SessionChatModel(manager=manager, provider="mock", model="m").ainvoke("hi", on("s"))
    assert (await nameless.ainvoke("on", on("s"))).text == "Mock response to: on"
    with pytest.raises(ConfigurationError, match="provider='openai'"):
        await SessionChatModel(manager=manager, provider="openai", model="m").ainvoke("hi", on("s"))


async def test_a_session_cannot_wait_for_itself(model: SessionChatModel, manager: SessionManager) -> None:
    around = SessionRunnable(RunnableLambda(same) | model, manager=manager)
    for call in (around.ainvoke("hi", on("s")), asyncio.to_thread(around.invoke, "hi", on("t"))):
        with pytest.raises(SessionBusyError, match="session_id of its own"):
            await call


# ---------------------------------------------------------------- what is new


async def test_a_whole_conversation_may_be_given_each_time(model: SessionChatModel, manager: SessionManager) -> None:
    history: list[BaseMessage] = []
    for text in ("one", "two", "three"):
        history.append(HumanMessage(text))
        history.append(await model.ainvoke(history, on("s")))
    expected = [entry for text in ("one", "two", "three") for entry in (said(text), reply(text))]
    assert await told(manager, "s") == expected


async def test_the_wire_carries_only_what_is_new(thinking: ThinkingServer) -> None:
    manager = create_session_manager(storage="memory", providers={"openai": thinking.credential})
    model = SessionChatModel(manager=manager, provider="openai", model="gpt-6-astra", session_id="s")
    history: list[BaseMessage] = [SystemMessage("Be brief.")]
    for text in ("albatross", "bee"):
        history.append(HumanMessage(text))
        history.append(summed([chunk async for chunk in model.astream(history)]))
    bodies: list[Any] = [request.body for request in thinking.creates]
    assert [[item["content"] for item in body["input"]] for body in bodies] == [["albatross"], ["bee"]]
    assert [body["instructions"] for body in bodies] == ["Be brief."] * 2
    assert bodies[1]["previous_response_id"] == thinking.creates[0].response_id
    await manager.close()


async def test_a_conversation_begun_elsewhere_is_taken_over(model: SessionChatModel, manager: SessionManager) -> None:
    before = [
        HumanMessage("What time is it?"),
        AIMessage("", tool_calls=[{"name": "clock", "args": {}, "id": "c1"}]),
        ToolMessage("noon", tool_call_id="c1"),
        AIMessage("It is noon."),
    ]
    await model.ainvoke([*before, HumanMessage("thanks")], on("s"))
    since = [HumanMessage("thanks"), AIMessage("Mock response to: thanks"), HumanMessage("bye")]
    await model.ainvoke([*before, *since], on("s"))
    assert [(role, text) for role, text, _ in await told(manager, "s")] == [
        ("user", "What time is it?"),
        ("assistant", ""),
        ("tool", ""),
        ("assistant", "It is noon."),
        ("user", "thanks"),
        ("assistant", "Mock response to: thanks"),
        ("user", "bye"),
        ("assistant", "Mock response to: bye"),
    ]


async def test_the_same_words_again_are_new(model: SessionChatModel, manager: SessionManager) -> None:
    first = await model.ainvoke("yes", on("s"))
    await model.ainvoke("yes", on("s"))
    await model.ainvoke([HumanMessage("yes"), first, HumanMessage("yes")], on("s"))
    assert await told(manager, "s") == [said("yes"), reply("yes")] * 3


async def test_examples_of_a_prompt_are_stored_once(model: SessionChatModel, manager: SessionManager) -> None:
    example = ChatPromptTemplate.from_messages([("human", "{q}"), ("ai", "{a}")])
    shots = FewShotChatMessagePromptTemplate(examples=[{"q": "2+2", "a": "4"}], example_prompt=example)
    prompt = ChatPromptTemplate.from_messages([("system", "Count."), shots, ("human", "{q}")])
    chain = prompt | model | StrOutputParser()
    for question in ("1+1", "3+3"):
        await chain.ainvoke({"q": question}, on("s"))
    assert [text for role, text, _ in await told(manager, "s") if role != "system"] == [
        "2+2",
        "4",
        "1+1",
        "Mock response to: 1+1",
        "3+3",
        "Mock response to: 3+3",
    ]


async def test_a_history_its_caller_cut_or_summed_up(model: SessionChatModel, manager: SessionManager) -> None:
    history: list[BaseMessage] = []
    for text in ("one", "two", "three"):
        history += [HumanMessage(text), await model.ainvoke([*history, HumanMessage(text)], on("s"))]
    await model.ainvoke([*history[-2:], HumanMessage("four")], on("s"))
    summary = HumanMessage("So far: numbers.", id="summary")
    answer = await model.ainvoke([summary, *history[-2:], HumanMessage("five")], on("s"))
    await model.ainvoke([summary, *history[-2:], HumanMessage("five"), answer, HumanMessage("six")], on("s"))
    assert [text for role, text, _ in await told(manager, "s") if role == "user"] == [
        "one",
        "two",
        "three",
        "four",
        "So far: numbers.",
        "five",
        "six",
    ]


async def test_a_long_conversation_is_found_again_however_far_back(
    model: SessionChatModel, manager: SessionManager
) -> None:
    answer = await model.ainvoke("first", on("s"))
    session = await manager.get_session("s")
    for number in range(60):
        await session.add_message("user", f"note {number}")
    await model.ainvoke([HumanMessage("first"), answer, HumanMessage("second")], on("s"))
    texts = [text for role, text, _ in await told(manager, "s") if role == "user"]
    assert (texts.count("first"), texts[-1]) == (1, "second")


async def test_examples_are_found_again_without_reading_all_of_a_conversation(
    model: SessionChatModel, manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = [HumanMessage("2+2"), AIMessage("4")]
    await model.ainvoke([*examples, HumanMessage("1+1")], on("s"))
    await manager.append_messages("s", [SessionMessage(role=Role.USER, content=f"note {at}") for at in range(300)])
    storage = manager._services.storage
    read, listed = 0, storage.list_messages

    async def counting(session_id: str, wanted: MessageFilter) -> Page[SessionMessage]:
        nonlocal read
        page = await listed(session_id, wanted)
        read += len(page)
        return page

    monkeypatch.setattr(storage, "list_messages", counting)
    await model.ainvoke([*examples, HumanMessage("3+3")], on("s"))
    assert 0 < read < 100
    texts = [text for role, text, _ in await told(manager, "s") if role == "user"]
    assert (texts.count("2+2"), texts[-1]) == (1, "3+3")
    await (await manager.get_session("s")).clear_messages()
    for question in ("4+4", "5+5"):
        await model.ainvoke([*examples, HumanMessage(question)], on("s"))
    assert [text for role, text, _ in await told(manager, "s") if role == "user"] == ["2+2", "4+4", "5+5"]


async def test_tool_results_alone_or_with_what_came_before(model: SessionChatModel, manager: SessionManager) -> None:
    for session_id in ("alone", "whole"):
        session = await manager.create_session("user", "mock", "mock-model", session_id=session_id)
        calls = [ToolCall(id="c1", name="a"), ToolCall(id="c2", name="b")]
        session.provider_session.set_responses([calls, "done"])
        asked = await model.ainvoke("do it", on(session_id))
        assert [call["id"] for call in asked.tool_calls] == ["c1", "c2"]
        results = [ToolMessage("1", tool_call_id="c1"), ToolMessage("2", tool_call_id="c2")]
        given = results if session_id == "alone" else [HumanMessage("do it"), asked, *results]
        assert (await model.ainvoke(given, on(session_id))).text == "done"
        assert [role for role, *_ in await told(manager, session_id)] == [
            "user",
            "assistant",
            "tool",
            "tool",
            "assistant",
        ]


async def test_nothing_new_is_refused(model: SessionChatModel) -> None:
    answer = await model.ainvoke("hi", on("s"))
    for given in ([HumanMessage("hi"), answer], [SystemMessage("rules")], []):
        with pytest.raises(InvalidInputError):
            await model.ainvoke(given, on("s"))
    with pytest.raises(InvalidInputError, match="RemoveMessage"):
        await model.ainvoke([RemoveMessage("x")], on("s"))


# ---------------------------------------------------------------- messages with ids


async def test_a_message_with_an_id_is_answered_once(model: SessionChatModel, manager: SessionManager) -> None:
    given = [HumanMessage("hi", id="m1")]
    first = await model.ainvoke(given, on("s"))
    again = [await model.ainvoke(given, on("s")), summed([chunk async for chunk in model.astream(given, on("s"))])]
    assert [answer.response_metadata["turn_id"] for answer in again] == [first.response_metadata["turn_id"]] * 2
    assert await told(manager, "s") == [said("hi"), reply("hi")]
    edited = await model.ainvoke([HumanMessage("hello", id="m1")], on("s"))
    assert edited.text == "Mock response to: hello"
    other = await model.ainvoke([HumanMessage("hi", id="m2")], on("s"))
    assert other.response_metadata["turn_id"] != first.response_metadata["turn_id"]


async def test_a_whole_conversation_with_ids_is_answered_once(model: SessionChatModel, manager: SessionManager) -> None:
    given = [HumanMessage("a", id="1"), AIMessage("b", id="2"), HumanMessage("c", id="3"), HumanMessage("d", id="4")]
    first = await model.ainvoke(given, on("s"))
    again = await model.ainvoke(given, on("s"))
    assert first.response_metadata["turn_id"] == again.response_metadata["turn_id"]
    assert [text for _, text, _ in await told(manager, "s")] == ["a", "b", "c", "d", "Mock response to: d"]


async def test_a_turn_that_was_broken_off_is_resumed(model: SessionChatModel, manager: SessionManager) -> None:
    given = [HumanMessage("hi there", id="m1")]
    async for _ in model.astream(given, on("s")):
        break
    assert [status for *_, status in await told(manager, "s")] == ["interrupted"] * 2
    assert (await model.ainvoke(given, on("s"))).text == "Mock response to: hi there"
    assert await told(manager, "s") == [said("hi there"), ("assistant", "Mock ", "failed"), reply("hi there")]


async def test_a_turn_that_failed_is_resumed() -> None:
    impatient = create_session_manager(storage="memory", retry=RetryPolicy(max_attempts=1))
    model = SessionChatModel(manager=impatient, provider="mock", model="mock-model")
    session = await impatient.create_session("user", "mock", "mock-model", session_id="s")
    for given in ("hi", [HumanMessage("hi", id="m1")]):
        session.provider_session.fail_next("rate_limit", times=1)
        with pytest.raises(RateLimitError):
            await model.ainvoke(given, on("s"))
        session.provider_session.fail_next("rate_limit", times=1)
        retrying = model.with_retry(retry_if_exception_type=(RateLimitError,), wait_exponential_jitter=False)
        assert (await retrying.ainvoke(given, on("s"))).text == "Mock response to: hi"
    assert await told(impatient, "s") == [said("hi"), reply("hi")] * 2
    await impatient.close()


async def test_what_a_failed_turn_was_asked_is_asked_again_with_the_next(manager: SessionManager) -> None:
    impatient = create_session_manager(storage="memory", retry=RetryPolicy(max_attempts=1))
    model = SessionChatModel(manager=impatient, provider="mock", model="mock-model")
    session = await impatient.create_session("user", "mock", "mock-model", session_id="s")
    session.provider_session.fail_next("rate_limit", times=1)
    first = HumanMessage("one", id="m1")
    with pytest.raises(RateLimitError):
        await model.ainvoke([first], on("s"))
    await model.ainvoke([first, HumanMessage("two", id="m2")], on("s"))
    completed = [text for role, text, status in await told(impatient, "s") if (role, status) == ("user", "completed")]
    assert completed == ["one", "two"]
    await impatient.close()


async def test_fifty_users_at_once_keep_their_own_words(model: SessionChatModel, manager: SessionManager) -> None:
    async def talk(user: str) -> None:
        for number in range(2):
            answer = await model.ainvoke(f"{user} {number}", on(user, user_id=user))
            assert answer.text == f"Mock response to: {user} {number}"

    users = [f"user-{number}" for number in range(50)]
    await asyncio.gather(*map(talk, users))
    for user in users:
        expected = [entry for number in range(2) for entry in (said(f"{user} {number}"), reply(f"{user} {number}"))]
        assert await told(manager, user) == expected


async def test_chunks_sum_up_to_the_answer(model: SessionChatModel) -> None:
    whole = await model.ainvoke("hi there", on("a"))
    chunks = [chunk async for chunk in model.astream("hi there", on("b"))]
    assert len([chunk for chunk in chunks if chunk.text]) > 1
    assert [chunk.chunk_position for chunk in chunks][-2:] == [None, "last"]
    total = message_chunk_to_message(summed(chunks))
    same: dict[str, Any] = {"id": None, "response_metadata": {}}
    assert total.model_copy(update=same) == whole.model_copy(update=same)
    assert total.response_metadata.keys() == whole.response_metadata.keys()
