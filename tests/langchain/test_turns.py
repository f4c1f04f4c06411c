"""Turns of a SessionRunnable: what a wrapped Runnable is given, what is stored of its answer, and how turns end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableGenerator, RunnableLambda, RunnableParallel, RunnablePassthrough

from langswarm_sessions import (
    ConfigurationError,
    InvalidInputError,
    RedactionMiddleware,
    SessionContext,
    SessionManager,
    SessionMessage,
    SessionMiddleware,
    create_session_manager,
)
from langswarm_sessions_langchain import SessionRunnable
from langswarm_sessions_langchain.runnable.outputs import last_chunk
from tests.langchain.chains import Scripted, on, stored, summed, told


def texts(messages: list[BaseMessage]) -> list[tuple[str, str]]:
    return [(message.type, str(message.text)) for message in messages]


# ---------------------------------------------------------------- what a wrapped Runnable is given


async def test_instructions_are_this_turns_and_stored_when_they_change(manager: SessionManager) -> None:
    model = Scripted()
    chain = SessionRunnable(model, manager=manager)
    await chain.ainvoke([SystemMessage("be brief"), HumanMessage("one")], on("s"))
    await chain.ainvoke([SystemMessage("be brief"), HumanMessage("two")], on("s"))
    await chain.ainvoke([SystemMessage("be"), SystemMessage("long"), HumanMessage("three")], on("s"))
    await chain.ainvoke("four", on("s"))
    assert texts(model.asked[1]) == [("system", "be brief"), ("human", "one"), ("ai", "answer 1"), ("human", "two")]
    assert [message.text for message in model.asked[2] if message.type == "system"] == ["be", "long"]
    assert [message.text for message in model.asked[3] if message.type == "system"] == ["be\n\nlong"]
    kept = [content for role, content, _ in await told(manager, "s") if role == "system"]
    assert kept == ["be brief", "be\n\nlong"]


async def test_instructions_reach_the_sessions_own_provider(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "mock-model", session_id="s")
    prompt = ChatPromptTemplate.from_messages([("system", "speak {language}"), ("human", "{question}")])
    chain = prompt | SessionRunnable(manager=manager) | StrOutputParser()
    await chain.ainvoke({"language": "French", "question": "hi"}, on("s"))
    await chain.ainvoke({"language": "French", "question": "more"}, on("s"))
    seen = [(request.instructions, [message.content for message in request.messages]) for request in _requests(session)]
    assert seen == [("speak French", ["hi"]), ("speak French", ["more"])]


def _requests(session: Any) -> list[Any]:
    return list(session.provider_session.requests)


async def test_a_system_message_further_on_stays_where_it_is(manager: SessionManager) -> None:
    model = Scripted()
    await SessionRunnable(model, manager=manager).ainvoke([HumanMessage("a"), SystemMessage("b")], on("s"))
    assert texts(model.asked[0]) == [("human", "a"), ("system", "b")]


async def test_the_whole_input_is_new_and_kept_in_order(manager: SessionManager) -> None:
    model = Scripted()
    examples: list[BaseMessage] = [HumanMessage("2+2"), AIMessage("4"), HumanMessage("3+3")]
    await SessionRunnable(model, manager=manager).ainvoke(examples, on("s"))
    assert texts(model.asked[0]) == [("human", "2+2"), ("ai", "4"), ("human", "3+3")]
    assert [role for role, _, _ in await told(manager, "s")] == ["user", "assistant", "user", "assistant"]


async def test_the_keys_mean_what_they_mean_to_langchain(manager: SessionManager) -> None:
    given: list[Any] = []

    def note(value: Any) -> str:
        given.append(value)
        return "ok"

    bound = RunnableLambda(note)
    await SessionRunnable(bound, manager=manager).ainvoke("a", on("1"))
    replacing = SessionRunnable(bound, manager=manager, input_messages_key="q")
    await replacing.ainvoke({"q": "a", "tone": "dry"}, on("2"))
    beside = SessionRunnable(bound, manager=manager, input_messages_key="q", history_messages_key="past")
    await beside.ainvoke({"q": "a", "tone": "dry"}, on("3"))
    await beside.ainvoke({"q": [SystemMessage("rules"), HumanMessage("b", id="mine")], "tone": "dry"}, on("3"))
    await beside.ainvoke({"q": HumanMessage("c"), "tone": "dry"}, on("3"))
    assert texts(given[0]) == [("human", "a")]
    assert given[1].keys() == {"q", "tone"}
    assert texts(given[1]["q"]) == [("human", "a")]
    assert given[2] == {"q": "a", "tone": "dry", "past": []}
    assert texts(given[3]["q"]) == [("system", "rules"), ("human", "b")]
    assert texts(given[3]["past"]) == [("human", "a"), ("ai", "ok")]
    assert texts([given[4]["q"]]) == [("human", "c")]
    assert texts(given[4]["past"]) == [
        ("system", "rules"),
        ("human", "a"),
        ("ai", "ok"),
        ("human", "b"),
        ("ai", "ok"),
    ]
    with pytest.raises(InvalidInputError, match="history_messages_key='past' needs a dict"):
        await beside.ainvoke("a", on("3"))


async def test_every_message_given_has_an_id_and_artifacts_stay_live(manager: SessionManager) -> None:
    model, artifact = Scripted(), object()
    call: Any = {"name": "see", "args": {}, "id": "c"}
    turn: list[BaseMessage] = [
        HumanMessage("look"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("cat", tool_call_id="c", artifact=artifact),
    ]
    await SessionRunnable(model, manager=manager).ainvoke(turn, on("s"))
    assert all(message.id for message in model.asked[0])
    given = model.asked[0][2]
    assert isinstance(given, ToolMessage)
    assert given.artifact is artifact


async def test_a_dangling_call_is_answered_in_what_is_given(manager: SessionManager) -> None:
    call: Any = {"name": "see", "args": {}, "id": "c"}
    model = Scripted(script=[AIMessage("", tool_calls=[call]), "fine"])
    chain = SessionRunnable(model, manager=manager)
    await chain.ainvoke("look", on("s"))
    await chain.ainvoke("never mind", on("s"))
    assert [message.type for message in model.asked[1]] == ["human", "ai", "tool", "human"]
    assert [role for role, _, _ in await told(manager, "s")] == ["user", "assistant", "user", "assistant"]


async def test_arguments_are_passed_on(manager: SessionManager) -> None:
    model = Scripted()
    await SessionRunnable(model, manager=manager).bind(stop=["."], mood="dry").ainvoke("hi", on("s"))
    assert model.kwargs[0]["mood"] == "dry"


async def test_a_remove_message_is_refused(manager: SessionManager) -> None:
    with pytest.raises(InvalidInputError, match="RemoveMessage has no meaning here"):
        await SessionRunnable(Scripted(), manager=manager).ainvoke([HumanMessage("a"), RemoveMessage("b")], on("s"))


# ---------------------------------------------------------------- what is made of its answer


ANSWERS: list[tuple[Any, dict[str, str]]] = [
    ("yes", {}),
    (AIMessage("yes"), {}),
    (AIMessageChunk(content="yes"), {}),
    ([AIMessage("yes")], {}),
    ({"output": "yes"}, {}),
    ({"answer": "yes"}, {}),
    ({"output": "yes", "sources": []}, {}),
    ({"answer": AIMessage("yes"), "sources": []}, {"output_messages_key": "answer"}),
    ({"answer": [AIMessage("yes")], "sources": []}, {"output_messages_key": "answer"}),
]


@pytest.mark.parametrize(("answer", "keys"), ANSWERS)
async def test_every_form_of_answer(manager: SessionManager, answer: Any, keys: dict[str, str]) -> None:
    chain = SessionRunnable(RunnableLambda(lambda _: answer), manager=manager, **keys)
    whole = await chain.ainvoke("really?", on("s"))
    assert (type(whole), whole.text) == (AIMessage, "yes")
    chunks = [chunk async for chunk in chain.astream("really?", on("s"))]
    assert summed(chunks).text == "yes"
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
    assert [content for _, content, _ in await told(manager, "s")] == ["really?", "yes"] * 2


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (3, ConfigurationError, "the Runnable returned int; it must return"),
        ([1], ConfigurationError, "the Runnable returned list; it must return"),
        ([], ConfigurationError, "returned no new message"),
        ({"a": 1, "b": 2}, InvalidInputError, "output_messages_key: the dict has no entry 'output'"),
    ],
)
async def test_an_answer_that_is_none(manager: SessionManager, answer: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        await SessionRunnable(RunnableLambda(lambda _: answer), manager=manager).ainvoke("hi", on("s"))
    assert await told(manager, "s") == [("user", "hi", "failed")]


async def test_what_an_agent_did_on_the_way_is_kept(manager: SessionManager) -> None:
    def agent(messages: list[BaseMessage]) -> dict[str, Any]:
        call: Any = {"name": "see", "args": {"x": 1}, "id": f"call-{len(messages)}"}
        usage: Any = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        return {
            "messages": [
                *messages,
                AIMessage("", tool_calls=[call], usage_metadata=usage),
                ToolMessage("a cat", tool_call_id=call["id"], artifact={"raw": 1}),
                AIMessage("I see a cat", usage_metadata=usage),
            ]
        }

    chain = SessionRunnable(RunnableLambda(agent), manager=manager)
    assert (await chain.ainvoke("look", on("s"))).text == "I see a cat"
    kept = await stored(manager, "s")
    assert [str(message.role) for message in kept] == ["user", "assistant", "tool", "assistant"]
    assert kept[2].tool_results[0].content == "a cat"
    assert len({message.turn_id for message in kept}) == 1
    session = await manager.get_session("s")
    assert (await session.get_metrics()).total_tokens == 4
    assert (await chain.ainvoke("again", on("s"))).text == "I see a cat"
    assert len(await stored(manager, "s")) == 8


async def test_an_agent_that_ends_with_a_tool_result_answers_with_it(manager: SessionManager) -> None:
    call: Any = {"name": "see", "args": {}, "id": "c"}
    said = [AIMessage("", tool_calls=[call]), ToolMessage("a cat", tool_call_id="c")]
    answer = await SessionRunnable(RunnableLambda(lambda _: said), manager=manager).ainvoke("look", on("s"))
    assert (type(answer), answer.text) == (AIMessage, "a cat")
    assert [str(message.role) for message in await stored(manager, "s")] == ["user", "assistant", "tool", "assistant"]


async def test_live_objects_of_an_answer_are_given_out(manager: SessionManager) -> None:
    parsed = object()
    answer = AIMessage("yes", additional_kwargs={"parsed": parsed})
    got = await SessionRunnable(RunnableLambda(lambda _: answer), manager=manager).ainvoke("hi", on("s"))
    assert got.additional_kwargs["parsed"] is parsed
    assert "session_id" not in answer.response_metadata


async def test_the_models_own_chunks_are_passed_through(manager: SessionManager) -> None:
    async def chunks(inputs: AsyncIterator[Any]) -> AsyncIterator[AIMessageChunk]:
        async for _ in inputs:
            yield AIMessageChunk(content="", additional_kwargs={"reasoning_content": "hm"}, id="resp-1")
            yield AIMessageChunk(content="ye", id="resp-1")
            yield AIMessageChunk(content="s", id="resp-1", response_metadata={"model_name": "m"})
            calls: Any = [{"name": "see", "args": '{"x": 1}', "id": "c", "index": 0}]
            yield AIMessageChunk(content="", id="resp-1", tool_call_chunks=calls, chunk_position="last")

    chain = SessionRunnable(RunnableGenerator(chunks), manager=manager)
    got = [chunk async for chunk in chain.astream("hi", on("s"))]
    assert [getattr(chunk, "chunk_position", None) for chunk in got] == [None, None, None, None, "last"]
    total = summed(got)
    assert isinstance(total, AIMessage)
    assert (total.text, total.id, total.additional_kwargs) == ("yes", "resp-1", {"reasoning_content": "hm"})
    assert [call["args"] for call in total.tool_calls] == [{"x": 1}]
    assert total.response_metadata["model_name"] == "m"
    kept = (await stored(manager, "s"))[-1]
    assert (kept.content, kept.provider_message_id, len(kept.tool_calls)) == ("yes", "resp-1", 1)


async def test_what_is_redacted_is_nowhere(tmp_path: Any) -> None:
    path = tmp_path / "chat.db"
    manager = create_session_manager(
        storage="sqlite", storage_config={"db_path": str(path)}, middleware=[RedactionMiddleware([r"canary\d"])]
    )
    model = Scripted(script=["you said canary2 twice"])
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("h"), MessagesPlaceholder("q")])
    bound = RunnablePassthrough.assign(q=lambda given: convert_to_messages([given["q"]])) | prompt | model
    chain = SessionRunnable(bound, manager=manager, input_messages_key="q", history_messages_key="h")
    whole = await chain.ainvoke({"q": "I say canary1"}, on("s"))
    streamed = summed([chunk async for chunk in chain.astream({"q": HumanMessage("I say canary1")}, on("s"))])
    assert whole.text == "you said [redacted] twice"
    assert streamed.text.strip() == "you said [redacted] twice"
    shown = [*model.asked, whole, streamed, *[vars(message) for message in await stored(manager, "s")]]
    await manager.close()
    assert "canary" not in repr(shown)
    assert all(b"canary" not in file.read_bytes() for file in tmp_path.iterdir())


class Shouting(SessionMiddleware):
    """Needs whole messages: streams are held back for it."""

    async def process_message(
        self, session_id: str, message: SessionMessage, context: SessionContext
    ) -> SessionMessage | None:
        message.content = message.content.upper()
        return message


async def test_what_middleware_makes_of_messages_is_given_and_shown() -> None:
    model = Scripted(script=["one two"])
    async with create_session_manager(storage="memory", middleware=[Shouting()]) as manager:
        chain = SessionRunnable(model, manager=manager)
        whole = await chain.ainvoke("hi", on("s"))
        chunks = [chunk async for chunk in chain.astream("hi", on("s"))]
    assert whole.text == "ONE TWO"
    assert [chunk.text for chunk in chunks] == ["ONE TWO ", ""]
    assert [message.text for asked in model.asked for message in asked] == ["HI", "HI", "ONE TWO", "HI"]


async def test_a_stream_of_dicts(manager: SessionManager) -> None:
    both = RunnableParallel(
        answer=Scripted(script=["one two"]) | StrOutputParser(), sources=RunnableLambda(lambda _: [1])
    )
    chain = SessionRunnable(both, manager=manager, output_messages_key="answer")
    pieces = [chunk.text async for chunk in chain.astream("hi", on("s"))]
    assert pieces == ["one ", "two ", ""]
    states = RunnableGenerator(_states)
    chain = SessionRunnable(states, manager=manager)
    assert [chunk.text async for chunk in chain.astream("hi", on("t"))] == ["done", ""]


async def _states(inputs: AsyncIterator[Any]) -> AsyncIterator[dict[str, Any]]:
    async for given in inputs:
        yield {"messages": given}
        yield {"messages": [*given, AIMessage("done")]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("one two", []),
        ("one two", ["one ", "two"]),
        ("one two", ["one "]),
        (["one", {"type": "image", "url": "u"}], ["o", "ne"]),
        ([{"type": "image", "url": "u"}], []),
    ],
)
def test_the_last_chunk_brings_what_is_missing(content: Any, said: list[str]) -> None:
    answer = AIMessage(content, id="a", response_metadata={"model_name": "m"})
    streamed = [AIMessageChunk(content=text) for text in said]
    assert summed([*streamed, last_chunk(answer, streamed)]) == answer
