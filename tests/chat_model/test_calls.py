"""What a call of a SessionChatModel may ask for: tools, objects, settings; and what it is as a Runnable."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, trim_messages
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from langswarm_sessions import (
    ConfigurationError,
    InvalidInputError,
    ProviderSession,
    ProviderSessionFactory,
    SessionManager,
    create_session_manager,
    set_session_manager,
)
from langswarm_sessions_langchain import SessionChatModel
from tests.chat_model.brain import ThinkingServer
from tests.langchain.chains import Runs, agent_of, on, summed, told

MODEL = "gpt-6-astra"


@pytest.fixture
async def openai(thinking: ThinkingServer) -> AsyncIterator[SessionManager]:
    made = create_session_manager(storage="memory", providers={"openai": thinking.credential})
    yield made
    made.bridge.close()
    await made.close()


def model_on(manager: SessionManager, **arguments: Any) -> SessionChatModel:
    given: dict[str, Any] = {"provider": "openai", "model": MODEL, "session_id": "s", **arguments}
    return SessionChatModel(manager=manager, **given)


def body(server: ThinkingServer, at: int = -1) -> dict[str, Any]:
    return dict(server.creates[at].body or {})


# ---------------------------------------------------------------- settings


async def test_settings_of_the_model_hold_for_every_session_it_creates(
    openai: SessionManager, thinking: ThinkingServer
) -> None:
    model = model_on(openai, temperature=0.5, max_tokens=20, provider_config={"top_p": 0.9}, timeout=30)
    await model.ainvoke("hi")
    assert {name: body(thinking)[name] for name in ("temperature", "max_output_tokens", "top_p")} == {
        "temperature": 0.5,
        "max_output_tokens": 20,
        "top_p": 0.9,
    }
    record = (await openai.get_session("s")).record
    assert record.provider_config == {"temperature": 0.5, "max_tokens": 20, "top_p": 0.9, "timeout": 30.0}


@pytest.mark.parametrize("strategy", ["hybrid", "client"])
async def test_settings_of_a_call_hold_for_that_call(
    openai: SessionManager, thinking: ThinkingServer, strategy: str
) -> None:
    await openai.create_session("user", "openai", MODEL, session_id="s", strategy=strategy)
    model = model_on(openai)
    await model.ainvoke("one")
    answer = await model.ainvoke("two", temperature=0.25, model="gpt-6.1-terra")
    await model.bind(temperature=0.75).ainvoke("three")
    await model.ainvoke("four")
    asked = [(sent.get("temperature"), sent["model"]) for sent in (body(thinking, at) for at in range(4))]
    assert asked == [(None, MODEL), (0.25, "gpt-6.1-terra"), (0.75, MODEL), (None, MODEL)]
    assert answer.response_metadata["model_name"] == "gpt-6.1-terra"
    assert thinking.model_views[-1].user_texts == ["one", "two", "three", "four"]
    kept = ["previous_response_id" in body(thinking, at) for at in range(4)]
    assert kept == ([False, True, True, True] if strategy == "hybrid" else [False] * 4)
    record = (await openai.get_session("s")).record
    assert (record.provider_config, record.model) == ({}, MODEL)


async def test_another_model_may_go_on_with_a_session(openai: SessionManager, thinking: ThinkingServer) -> None:
    await model_on(openai).ainvoke("one")
    await model_on(openai, model="gpt-6.1-terra", temperature=0.1).ainvoke("two")
    assert (body(thinking)["model"], body(thinking)["temperature"]) == ("gpt-6.1-terra", 0.1)


async def test_what_no_call_takes(openai: SessionManager) -> None:
    model = model_on(openai)
    with pytest.raises(InvalidInputError, match="unknown argument 'temprature'"):
        await model.ainvoke("hi", temprature=1)
    with pytest.raises(ConfigurationError, match="temperature"):
        await model.ainvoke("hi", temperature="hot")
    with pytest.raises(InvalidInputError, match="timeout"):
        await model.ainvoke("hi", timeout=-1)


async def test_a_provider_of_ones_own_takes_no_settings(manager: SessionManager) -> None:
    class Own(ProviderSession):
        def __init__(self, *_: Any) -> None: ...

        async def send_message(self, content: str, role: Any = "user", metadata: Any = None) -> str:
            return f"own {content}"

        async def get_provider_metadata(self) -> dict[str, Any]:
            return {}

        async def update_provider_config(self, config: dict[str, Any]) -> None: ...

        async def cleanup_provider_resources(self) -> None: ...

    ProviderSessionFactory.register_provider("own-of-chat-model", Own)
    model = model_on(manager, provider="own-of-chat-model")
    assert (await model.ainvoke("hi")).text == "own hi"
    with pytest.raises(ConfigurationError, match="temperature: a provider of your own"):
        await model.ainvoke("hi", temperature=1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"sesion_id": "s"}, "unknown argument 'sesion_id'"),
        ({"api_key": "canary"}, "belong to the manager"),
        ({"max_retries": 2}, "RetryPolicy"),
        ({"provider_config": {"api_key": "canary"}}, "'api_key' belongs to the manager"),
        ({"cache": True}, "no turn of the session"),
        ({"cache": InMemoryCache()}, "no turn of the session"),
        ({"manager": "here"}, "manager must be a SessionManager"),
        ({"session_id": " "}, "session_id"),
        ({"provider": 3}, "provider"),
    ],
)
def test_arguments_that_are_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises((ConfigurationError, InvalidInputError), match=says) as caught:
        SessionChatModel(**arguments)
    assert "canary" not in str(caught.value)


async def test_no_answer_comes_from_a_cache(manager: SessionManager) -> None:
    set_llm_cache(InMemoryCache())
    try:
        model = model_on(manager, provider="mock", model="m")
        await model.ainvoke("hi")
        await model.ainvoke("hi")
    finally:
        set_llm_cache(None)
    assert len(await told(manager, "s")) == 4


# ---------------------------------------------------------------- tools and objects


def clock(zone: str) -> str:
    """Tell the time in a time zone."""
    return f"noon in {zone}"


async def test_tools_are_bound_in_every_form(openai: SessionManager, thinking: ThinkingServer) -> None:
    class Search(BaseModel):
        """Look something up."""

        query: str

    anthropic: dict[str, Any] = {
        "name": "fetch",
        "description": "Get it.",
        "input_schema": {"type": "object", "properties": {}},
    }
    definition = {"type": "function", "function": {"name": "plain", "parameters": {"type": "object"}}}
    tools: list[Any] = [clock, Search, anthropic, definition, {"type": "web_search"}]
    bound = model_on(openai).bind_tools(tools, tool_choice="clock", strict=None, parallel_tool_calls=False)
    answer = await bound.ainvoke("What time is it in 'UTC'?")
    sent = body(thinking)
    named = [tool.get("name", tool["type"]) for tool in sent["tools"]]
    assert named == ["clock", "Search", "fetch", "plain", "web_search"]
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ({"type": "function", "name": "clock"}, False)
    assert [(call["name"], call["args"]) for call in answer.tool_calls] == [("clock", {"zone": "UTC"})]
    streamed = summed([chunk async for chunk in bound.astream("What time is it in 'CET'?")])
    assert [call["args"] for call in streamed.tool_calls] == [{"zone": "CET"}]  # type: ignore[attr-defined]


class City(BaseModel):
    """A city."""

    name: str
    people: int


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_objects(openai: SessionManager, thinking: ThinkingServer, method: Any) -> None:
    asking = model_on(openai).with_structured_output(City, method=method)
    assert await asking.ainvoke("'Rome' has 3 million") == City(name="Rome", people=3)
    raw = model_on(openai).with_structured_output(City.model_json_schema(), method=method, include_raw=True)
    found = await raw.ainvoke("'Oslo' has 1 million")
    assert (found["parsed"], found["parsing_error"]) == ({"name": "Oslo", "people": 1}, None)
    thinking.script("no JSON", "no JSON")
    broken = await raw.ainvoke("'Nowhere'")
    assert broken["parsed"] is None


async def test_a_method_nobody_knows(openai: SessionManager) -> None:
    with pytest.raises(InvalidInputError, match="method must be one of"):
        model_on(openai).with_structured_output(City, method="guess")  # type: ignore[arg-type]


# ---------------------------------------------------------------- agents


@pytest.mark.parametrize("checkpointer", [None, InMemorySaver])
async def test_an_agent_sends_what_is_new_and_stores_it_once(
    openai: SessionManager, thinking: ThinkingServer, checkpointer: Any
) -> None:
    model = SessionChatModel(manager=openai, provider="openai", model=MODEL)
    agent: Any = agent_of(model, [clock], checkpointer=checkpointer() if checkpointer else None)
    for text in ("Use the tool for 'UTC'.", "thanks"):
        state = await agent.ainvoke({"messages": [HumanMessage(text)]}, on("s", thread_id="s"))
    assert state["messages"][-1].text == "Hello there, you said: thanks"
    assert [(role, text) for role, text, _ in await told(openai, "s")] == [
        ("user", "Use the tool for 'UTC'."),
        ("assistant", ""),
        ("tool", ""),
        ("assistant", "Hello there, you said: Use the tool for 'UTC'."),
        ("user", "thanks"),
        ("assistant", "Hello there, you said: thanks"),
    ]
    assert [[item["type"] for item in body(thinking, at)["input"]] for at in range(3)] == [
        ["message"],
        ["function_call_output"],
        ["message"],
    ]


async def test_an_agent_streams_tokens_and_answers_with_an_object(openai: SessionManager) -> None:
    model = SessionChatModel(manager=openai, provider="openai", model=MODEL)
    agent: Any = agent_of(model, [], response_format=ProviderStrategy(City))
    state = await agent.ainvoke({"messages": [HumanMessage("'Rome' has 3 million")]}, on("s"))
    assert state["structured_response"] == City(name="Rome", people=3)
    plain: Any = agent_of(model, [])
    pieces = [
        chunk.text
        async for chunk, _ in plain.astream({"messages": [HumanMessage("hi there")]}, on("t"), stream_mode="messages")
    ]
    assert len([piece for piece in pieces if piece]) > 2


# ---------------------------------------------------------------- a Runnable, and more


async def test_usage_and_traces(openai: SessionManager) -> None:
    runs, usage = Runs(), UsageMetadataCallbackHandler()
    model = model_on(openai)
    answer = await model.ainvoke("hi", {"callbacks": [runs, usage], "run_name": "asked"})
    assert answer.usage_metadata is not None
    assert usage.usage_metadata[MODEL]["total_tokens"] == answer.usage_metadata["total_tokens"] > 0
    assert answer.response_metadata["session_id"] == "s"
    params = model._get_ls_params(stop=["x"])
    assert (params["ls_provider"], params["ls_model_name"], params["ls_stop"]) == ("openai", MODEL, ["x"])
    assert [spec.id for spec in model.config_specs] == ["session_id", "user_id"]


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
async def test_events_of_every_version(openai: SessionManager) -> None:
    model = model_on(openai, session_id=None)
    seen = [event["event"] async for event in model.astream_events("hi", on("v2"), version="v2")]
    assert (seen[0], seen[-1]) == ("on_chat_model_start", "on_chat_model_end")
    stream: Any = await model.astream_events("hi", on("v3"), version="v3")
    assert (await stream.output).text == "Hello there, you said: hi"
    assert model.stream_events("hi", on("v3-sync"), version="v3").output.text == "Hello there, you said: hi"
    for session_id in ("v2", "v3", "v3-sync"):
        assert len(await told(openai, session_id)) == 2


async def test_streaming_can_be_switched_off_and_paced(openai: SessionManager, thinking: ThinkingServer) -> None:
    whole = [chunk async for chunk in model_on(openai, disable_streaming=True).astream("hi there")]
    assert len(whole) == 1
    limiter = InMemoryRateLimiter(requests_per_second=1000, check_every_n_seconds=0.001, max_bucket_size=1)
    assert (await model_on(openai, rate_limiter=limiter).ainvoke("hi")).text


async def test_fields_that_can_be_chosen_later(openai: SessionManager, thinking: ThinkingServer) -> None:
    model: Any = model_on(openai).configurable_fields(temperature=ConfigurableField(id="heat"))
    await model.ainvoke("hi", {"configurable": {"heat": 0.3, "session_id": "t"}})
    assert body(thinking)["temperature"] == 0.3
    assert len(await told(openai, "t")) == 2


@pytest.fixture
def process_wide() -> Iterator[SessionManager]:
    made = create_session_manager(storage="memory")
    set_session_manager(made)
    yield made
    set_session_manager(None)
    made.bridge.close()


def test_copies_share_the_manager_and_pickles_find_it(process_wide: SessionManager, manager: SessionManager) -> None:
    model = SessionChatModel(manager=process_wide, provider="mock", model="m", session_id="s", temperature=0.5)
    copies = (copy.copy(model), copy.deepcopy(model), model.model_copy(deep=True))
    assert all(copied.manager is process_wide for copied in copies)
    for one in (model, SessionChatModel(provider="mock", model="m", session_id="s")):
        again = pickle.loads(pickle.dumps(one))
        assert (again.manager, again.session_id, again.temperature) == (None, "s", one.temperature)
        assert again.invoke("hi").response_metadata["session_id"] == "s"
    chain = pickle.loads(pickle.dumps(ChatPromptTemplate.from_template("{q}") | model.bind_tools([{"name": "clock"}])))
    assert chain.invoke({"q": "hi"}).response_metadata["session_id"] == "s"
    with pytest.raises(ConfigurationError, match="set_session_manager"):
        pickle.dumps(SessionChatModel(manager=manager, provider="mock", model="m"))


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    manager = create_session_manager(storage="memory", providers={"openai": "sk-canary"})
    model = model_on(manager)
    shown = [repr(model), str(model), json.dumps(model._identifying_params), json.dumps(dumpd(model))]
    assert not any("canary" in text for text in shown)
    assert model.is_lc_serializable() is False


def test_tokens_are_counted_without_a_tokenizer(manager: SessionManager) -> None:
    model = model_on(manager, provider="mock", model="m")
    long: list[BaseMessage] = [HumanMessage("word " * 100), AIMessage("short"), HumanMessage("last")]
    kept = trim_messages(long, max_tokens=30, token_counter=model, start_on="human")
    assert [message.text for message in kept] == ["last"]
    assert model.get_num_tokens("word " * 100) == pytest.approx(125, abs=5)
    with_tools = model.get_num_tokens_from_messages(kept, tools=[clock])
    assert with_tools > model.get_num_tokens_from_messages(kept)


async def test_a_session_as_a_tool(manager: SessionManager) -> None:
    model = model_on(manager, provider="mock", model="m", session_id=None)
    tool = model.as_tool(name="memory", description="Remembers.")
    assert (tool.name, tool.description) == ("memory", "Remembers.")
    assert await tool.ainvoke("hi", on("s")) == "Mock response to: hi"
    assert tool.invoke("again", on("s")) == "Mock response to: again"
    assert len(await told(manager, "s")) == 4


async def test_a_chain_is_drawn(manager: SessionManager) -> None:
    chain = ChatPromptTemplate.from_template("{q}") | model_on(manager)
    assert "SessionChatModel" in chain.get_graph().draw_mermaid()
