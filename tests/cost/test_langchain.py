"""Chat models and Runnables of LangChain: priced with what they tell, where their requests really go."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import httpx2
import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_openai import ChatOpenAI
from opentelemetry.sdk.metrics.export import NumberDataPoint

from langswarm_sessions import ModelPrice
from langswarm_sessions.errors import InvalidRequestError
from langswarm_sessions_langchain import SessionChatModel, SessionRunnable
from langswarm_sessions_langchain.messages import usage_of
from langswarm_sessions_langchain.runnable.billed import billed_call
from langswarm_sessions_langchain.runnable.homes import endpoint_of
from langswarm_sessions_langchain.runnable.inside import chat_models_in
from tests.cost.kit import CHAT
from tests.cost.wire import Wire
from tests.session.kit import OpenManager
from tests.support.recorded import Recorded

pytestmark = pytest.mark.usefixtures("price_list")

EACH = Decimal("0.003")
FREE = {"input": 0, "output": 0, "cached_input": 0}
OURS: RunnableConfig = {"configurable": {"session_id": "s"}}


def chat_openai(wire: Wire) -> ChatOpenAI:
    address = None if wire.host is None else f"https://{wire.host}/v1"
    return ChatOpenAI(model=wire.model, api_key=lambda: "k", http_async_client=wire.pool(httpx2), base_url=address)


@pytest.mark.parametrize(("host", "cost"), [(None, EACH), ("127.0.0.1", None), ("llm.example.net", None)])
async def test_a_chat_model_as_a_provider(open_manager: OpenManager, host: str | None, cost: Decimal | None) -> None:
    manager = open_manager(providers={"langchain": chat_openai(Wire("openai-chat", "gpt-t", CHAT, host=host))})
    session = await manager.create_session("u", "langchain", "gpt-t")
    await session.send_message("hi")
    metrics = await session.get_metrics()
    assert (metrics.total_cost, metrics.unpriced_turns) == (cost, 0 if cost else 1)


Wrap = Callable[[BaseChatModel], Runnable[Any, Any]]


def _chain(model: BaseChatModel) -> Runnable[Any, Any]:
    return ChatPromptTemplate.from_messages([("placeholder", "{input}")]) | model


def _parsed(model: BaseChatModel) -> Runnable[Any, Any]:
    return model | StrOutputParser()


def _hidden(model: BaseChatModel) -> Runnable[Any, Any]:
    async def answer(said: Any) -> Any:
        return await model.ainvoke(said)

    return RunnableLambda(answer)


def _agent(model: BaseChatModel) -> Runnable[Any, Any]:
    return cast("Runnable[Any, Any]", create_agent(model))


WRAPPED: list[tuple[Wrap, str | None, Decimal | None]] = [
    (lambda model: model, None, EACH),
    (_hidden, None, EACH),
    (lambda model: model.with_retry(), None, EACH),
    (lambda model: model.with_fallbacks([model]), None, EACH),
    (_agent, None, EACH),
    (lambda model: model, "llm.example.net", None),
    (_hidden, "llm.example.net", None),
    (_agent, "llm.example.net", None),
    (_parsed, None, None),
]


@pytest.mark.parametrize(
    ("wrap", "host", "cost"),
    WRAPPED,
    ids=[
        "model",
        "function",
        "retry",
        "fallbacks",
        "agent",
        "server",
        "server in a function",
        "server of an agent",
        "text",
    ],
)
async def test_a_runnable(
    open_manager: OpenManager,
    wrap: Wrap,
    host: str | None,
    cost: Decimal | None,
) -> None:
    wire = Wire("openai-chat", "gpt-t", CHAT, host=host)
    manager = open_manager()
    bound = wrap(chat_openai(wire))
    keys = {"input_messages_key": "messages", "output_messages_key": "messages"} if "nodes" in dir(bound) else {}
    runnable = SessionRunnable(bound=bound, manager=manager, **keys)
    await runnable.ainvoke({"messages": "hi"} if keys else "hi", OURS)
    assert len(wire.requests) == 1
    metrics = await (await manager.get_session("s")).get_metrics()
    assert (metrics.total_cost, metrics.unpriced_turns) == (cost, 0 if cost else 1)


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError("the tool's database"), InvalidRequestError("another session")]
)
async def test_what_a_runnable_asked_before_it_failed_may_be_billed(
    open_manager: OpenManager, error: Exception
) -> None:
    """Its last request, or a tool of it, was refused: that says nothing of the requests before."""
    wire = Wire("openai-chat", "gpt-t", CHAT)
    model = chat_openai(wire)

    async def answer(said: Any) -> Any:
        await model.ainvoke(said)
        raise error

    manager = open_manager()
    with pytest.raises(type(error)):
        await SessionRunnable(bound=RunnableLambda(answer), manager=manager).ainvoke("hi", OURS)
    assert len(wire.requests) == 1
    metrics = await (await manager.get_session("s")).get_metrics()
    assert (metrics.total_cost, metrics.unpriced_turns) == (None, 1)


async def test_a_table_prices_what_a_runnable_tells(open_manager: OpenManager) -> None:
    """By the provider that LangChain names, or by that of the session; each answer for itself."""
    told = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
    by_us: dict[str, Any] = {"model_name": "house", "model_provider": "in-house"}
    answers = [
        AIMessage("a", usage_metadata=told, response_metadata=by_us),
        AIMessage("b", usage_metadata=told, response_metadata={"model_name": "other"}),
        AIMessage("c", usage_metadata=told, response_metadata={**by_us, "service_tier": "flex"}),
        AIMessage("d", response_metadata=by_us),
    ]
    prices = {"in-house/house": ModelPrice(input=1, output=10), "runnable/other": ModelPrice(input=2, output=20)}
    manager = open_manager(prices=prices)
    runnable = SessionRunnable(bound=FakeMessagesListChatModel(responses=list(answers)), manager=manager)
    totals: list[tuple[Decimal | None, int]] = []
    for _ in answers:
        await runnable.ainvoke("hi", OURS)
        metrics = await (await manager.get_session("s")).get_metrics()
        totals.append((metrics.total_cost, metrics.unpriced_turns))
    first, second = Decimal("0.0002"), Decimal("0.0004")
    assert totals == [(first, 0), (first + second, 0), (first + second, 1), (first + second, 2)]


WITHIN: RunnableConfig = {"configurable": {"session_id": "within"}}


@pytest.mark.parametrize("prices", [None, {"openai/gpt-t": {"input": 1, "output": 1, "cached_input": 1}}])
async def test_what_a_session_within_a_runnable_cost_is_counted_there_alone(
    open_manager: OpenManager, prices: dict[str, Any] | None
) -> None:
    wire = Wire("openai-chat", "gpt-t", CHAT)
    manager = open_manager(prices=True if prices is None else prices)
    model = chat_openai(wire)
    within = SessionRunnable(bound=model, manager=manager)

    async def answer(said: Any) -> Any:
        return await within.ainvoke(said, WITHIN)

    around = SessionRunnable(bound=RunnableLambda(answer), manager=manager)
    await around.ainvoke("hi", OURS)
    assert len(wire.requests) == 1
    inner, outer = [await (await manager.get_session(name)).get_metrics() for name in ("within", "s")]
    each = EACH if prices is None else Decimal("0.0011")
    assert (inner.total_cost, inner.unpriced_turns) == (each, 0)
    assert (outer.total_cost, outer.unpriced_turns) == (None, 0)
    figures = await manager.get_analytics()
    assert (figures.total_cost, figures.unpriced_turns) == (each, 0)


async def test_what_is_asked_beside_a_session_within_a_runnable_is_counted(open_manager: OpenManager) -> None:
    wire = Wire("openai-chat", "gpt-t", CHAT)
    manager = open_manager()
    model = chat_openai(wire)
    within = SessionRunnable(bound=model, manager=manager)

    async def answer(said: Any) -> Any:
        return [await within.ainvoke(said, WITHIN), await model.ainvoke("and you?")]

    await SessionRunnable(bound=RunnableLambda(answer), manager=manager).ainvoke("hi", OURS)
    assert len(wire.requests) == 2
    metrics = [await (await manager.get_session(name)).get_metrics() for name in ("within", "s")]
    assert [(each.total_cost, each.unpriced_turns) for each in metrics] == [(EACH, 0), (EACH, 0)]
    assert (await manager.get_analytics()).total_cost == 2 * EACH


@pytest.mark.parametrize("wrap", [_hidden, _agent])
async def test_an_answer_out_of_langchains_cache_costs_nothing(open_manager: OpenManager, wrap: Wrap) -> None:
    wire = Wire("openai-chat", "gpt-t", CHAT)
    manager = open_manager()
    model = chat_openai(wire)
    model.cache = InMemoryCache()
    bound = wrap(model)
    keys = {"input_messages_key": "messages", "output_messages_key": "messages"} if "nodes" in dir(bound) else {}
    runnable = SessionRunnable(bound=bound, manager=manager, **keys)
    totals: list[tuple[Decimal | None, int]] = []
    for name in ("first", "second"):
        await runnable.ainvoke({"messages": "hi"} if keys else "hi", {"configurable": {"session_id": name}})
        metrics = await (await manager.get_session(name)).get_metrics()
        totals.append((metrics.total_cost, metrics.unpriced_turns))
    assert len(wire.requests) == 1
    assert totals == [(EACH, 0), (None, 0)]


def test_usage_of_other_tokens_is_understood() -> None:
    details: Any = {
        "cache_read": 1,
        "cache_creation": 0,
        "ephemeral_5m_input_tokens": 2,
        "ephemeral_1h_input_tokens": 3,
    }
    message = AIMessage(
        "x",
        usage_metadata={
            "input_tokens": 20,
            "output_tokens": 5,
            "total_tokens": 25,
            "input_token_details": {**details, "audio": 4},
            "output_token_details": {"audio": 2, "reasoning": 1},
        },
    )
    assert usage_of(message).to_json() == {
        "input_tokens": 20,
        "output_tokens": 5,
        "total_tokens": 25,
        "cached_tokens": 1,
        "reasoning_tokens": 1,
        "cache_write_tokens": 5,
        "cache_write_1h_tokens": 3,
        "input_audio_tokens": 4,
        "output_audio_tokens": 2,
    }


@pytest.mark.parametrize("strategy", ["client", "hybrid"])
async def test_a_tier_that_one_call_asks_for_holds_for_that_call(
    open_manager: OpenManager, recorded: Recorded, strategy: str
) -> None:
    """The server does not tell the tier: it counts as it was asked for, and so it is on the span."""
    wire = Wire("openai-chat", "gpt-t", CHAT)
    prices = {"openai/gpt-t": {"input": 1, "output": 1, "cached_input": 1, "service_tiers": {"flex": FREE}}}
    manager = open_manager(prices=prices, providers={"openai": wire.client()}, telemetry=recorded.telemetry())
    session = await manager.create_session("u", "openai", "gpt-t", strategy=strategy, provider_config={"api": "chat"})
    model = SessionChatModel(manager=manager, session_id=session.session_id, user_id="u")
    other = model.model_copy(update={"provider_config": {"service_tier": "flex"}, "temperature": 0.25})
    totals: list[tuple[Decimal | None, int]] = []
    for asked in (model, other, model):
        await asked.ainvoke(f"hi, {len(totals)}")
        metrics = await session.get_metrics()
        totals.append((metrics.total_cost, metrics.unpriced_turns))
    each = Decimal("0.0011")
    assert totals == [(each, 0), (each, 0), (2 * each, 0)]
    chats = [span.attributes or {} for span in recorded.spans if span.name.startswith("chat ")]
    assert [chat.get("gen_ai.request.temperature") for chat in chats] == [None, 0.25, None]


def test_tools_at_the_provider_and_models_at_two_places_leave_it_open() -> None:
    answer = AIMessage(
        [{"type": "web_search_call", "id": "w"}, {"type": "text", "text": "x"}],
        response_metadata={"model_name": "gpt-t-2026-01-01", "model_provider": "openai"},
    )
    here, there = (chat_openai(Wire("openai-chat", "gpt-t", CHAT, host=host)) for host in (None, "127.0.0.1"))
    assert endpoint_of(here) == ("api.openai.com", 443)
    assert billed_call(answer, [here], model="m").host == "api.openai.com"
    assert billed_call(answer, [here, there], model="m").host is None
    assert billed_call(answer, [], model="m").host is None
    assert billed_call(answer, [here], model="m").terms["provider_tools"] == "web_search_call"
    assert endpoint_of(FakeMessagesListChatModel(responses=[])) == (None, None)


def test_models_are_found_once_and_not_kept_alive() -> None:
    model = FakeMessagesListChatModel(responses=[])
    bound: Runnable[Any, Any] = _chain(model) | _hidden(model)
    assert chat_models_in(bound) == (model,)
    assert chat_models_in(3) == chat_models_in({"a": 1}) == ()


@pytest.mark.parametrize("wrapped", [False, True], ids=["chat model", "runnable"])
async def test_a_cost_is_labelled_as_the_turn_it_belongs_to(
    open_manager: OpenManager, recorded: Recorded, wrapped: bool
) -> None:
    model = chat_openai(Wire("openai-chat", "gpt-t", CHAT, {"model": "gpt-t-2026-01-01"}))
    manager = open_manager(providers={"langchain": model}, telemetry=recorded.telemetry())
    if wrapped:
        await SessionRunnable(bound=model, manager=manager).ainvoke("hi", OURS)
    else:
        await (await manager.create_session("u", "langchain", "gpt-t")).send_message("hi")
    [cost] = recorded.points("langswarm.session.cost")
    [turn] = recorded.points("langswarm.session.turn.duration")
    names = ("gen_ai.provider.name", "gen_ai.request.model")
    assert isinstance(cost, NumberDataPoint)
    assert cost.value == pytest.approx(float(EACH))
    assert dict(cost.attributes or {}) == {name: (turn.attributes or {})[name] for name in names}
