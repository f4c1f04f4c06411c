"""The shapes in which people use a session, over the real SDKs; each says two things in one conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableConfig, RunnableLambda
from pydantic import SecretStr

from langswarm_sessions import RetryPolicy, SessionManager, create_session_manager
from langswarm_sessions_langchain import SessionAgentMiddleware, SessionChatModel, SessionRunnable
from tests.langchain.chains import agent_of
from tests.support.anthropic_server import AnthropicServer
from tests.support.openai_server import OpenAIServer, Reply, ToolCall

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

__all__ = ["INPUTS", "SESSION", "SHAPES", "Servers"]

SESSION = "conversation-1"
MODELS = {"openai": "gpt-6-astra", "anthropic": "claude-opus-5"}
INPUTS = ("albatross", "bee")
CONFIG: RunnableConfig = {"configurable": {"session_id": SESSION}}


@dataclass(frozen=True, slots=True)
class Servers:
    """Who answers."""

    openai: OpenAIServer
    anthropic: AnthropicServer

    def manager(self) -> SessionManager:
        """Return a manager whose providers they are."""
        return create_session_manager(
            "memory",
            providers={"openai": self.openai.credential, "anthropic": self.anthropic.credential},
            retry=RetryPolicy(max_attempts=2, initial_delay=0, jitter=0),
        )

    def chat_model(self, **settings: Any) -> ChatOpenAI:
        """Return LangChain's own model of OpenAI."""
        from langchain_openai import ChatOpenAI  # only where these tests run

        return ChatOpenAI(
            model=MODELS["openai"],
            base_url=self.openai.base_url,
            api_key=SecretStr(self.openai.api_key),
            use_responses_api=False,
            streaming=True,
            stream_usage=True,
            **settings,
        )


Shape = Callable[[SessionManager, Servers], Awaitable[None]]


def _session(provider: str, *, stream: bool = False, **config: Any) -> Shape:
    async def run(manager: SessionManager, servers: Servers) -> None:
        session = await manager.create_session(
            "ada", provider, MODELS[provider], session_id=SESSION, provider_config=config
        )
        for text in INPUTS:
            if stream:
                await _read(session.send_message_stream(text))
            else:
                await session.send_message(text)

    return run


def _runnable(make: Callable[[SessionManager, Servers], Any], *, how: str) -> Shape:
    async def run(manager: SessionManager, servers: Servers) -> None:
        runnable: Any = make(manager, servers)
        calls: dict[str, Callable[[str], Awaitable[object]]] = {
            "ainvoke": lambda text: runnable.ainvoke(text, CONFIG),
            "abatch": lambda text: runnable.abatch([text], CONFIG),
            "astream": lambda text: _read(runnable.astream(text, CONFIG)),
            "invoke": lambda text: asyncio.to_thread(runnable.invoke, text, CONFIG),
            "stream": lambda text: asyncio.to_thread(lambda: list(runnable.stream(text, CONFIG))),
        }
        for text in INPUTS:
            await _in_task(calls[how](text))

    return run


async def _in_task(call: Awaitable[object]) -> None:
    """Make a call in a task of its own, as a server does for each request."""

    async def make() -> None:
        await call

    await asyncio.create_task(make())


async def _read(stream: AsyncIterator[object]) -> None:
    async for _ in stream:
        pass


def _alone(manager: SessionManager, servers: Servers) -> Any:
    return SessionRunnable(manager=manager, provider="openai", model=MODELS["openai"], user_id="ada")


def _wrapping(manager: SessionManager, servers: Servers) -> Any:
    prompt = ChatPromptTemplate.from_messages([("system", "Be kind."), MessagesPlaceholder("past"), ("human", "{q}")])
    bound = SessionRunnable(
        prompt | servers.chat_model(), manager=manager, input_messages_key="q", history_messages_key="past"
    )
    return RunnableLambda(_question) | bound


def _question(text: str) -> dict[str, str]:
    return {"q": text}


def _in_chain(manager: SessionManager, servers: Servers) -> Any:
    return RunnableLambda(str.strip) | _alone(manager, servers) | RunnableLambda(_text)


def _text(answer: AIMessage) -> str:
    return str(answer.text)


def _chat_model(manager: SessionManager, servers: Servers) -> Any:
    return SessionChatModel(manager=manager, provider="openai", model=MODELS["openai"], session_id=SESSION)


def get_weather(city: str) -> str:
    """Say what the weather is in a city."""
    return f"It rains in {city}."


def _agent(
    make_model: Callable[[SessionManager, Servers], Any], *middleware: dict[str, Any], stream: bool = False
) -> Shape:
    async def run(manager: SessionManager, servers: Servers) -> None:
        agent: Any = agent_of(
            make_model(manager, servers),
            tools=[get_weather],
            middleware=[SessionAgentMiddleware(manager=manager, **settings) for settings in middleware],
        )
        servers.openai.script(Reply(tool_calls=(ToolCall("get_weather", '{"city": "Rome"}'),)))
        config: Any = {"configurable": {"thread_id": SESSION}}
        for text in INPUTS:
            given: Any = {"messages": [("human", text)]}
            await _in_task(_read(agent.astream(given, config)) if stream else agent.ainvoke(given, config))

    return run


def _model(_: SessionManager, servers: Servers) -> Any:
    return servers.chat_model()


SHAPES: dict[str, Shape] = {
    "responses": _session("openai"),
    "responses-stream": _session("openai", stream=True),
    "chat": _session("openai", api="chat"),
    "chat-stream": _session("openai", stream=True, api="chat"),
    "anthropic": _session("anthropic"),
    "anthropic-stream": _session("anthropic", stream=True),
    **{f"runnable-{how}": _runnable(_alone, how=how) for how in ("ainvoke", "invoke", "astream", "stream", "abatch")},
    **{f"wrapping-{how}": _runnable(_wrapping, how=how) for how in ("ainvoke", "invoke", "astream", "stream")},
    **{f"chain-{how}": _runnable(_in_chain, how=how) for how in ("ainvoke", "invoke", "astream", "stream", "abatch")},
    "chat-model": _runnable(_chat_model, how="ainvoke"),
    "chat-model-invoke": _runnable(_chat_model, how="invoke"),
    "chat-model-astream": _runnable(_chat_model, how="astream"),
    "agent": _agent(_model, {}),
    "agent-astream": _agent(_model, {}, stream=True),
    "agent-of-provider": _agent(_model, {"provider": "openai", "model": MODELS["openai"]}),
    "agent-of-chat-model": _agent(_chat_model),
}
"""By name, what a program does with one session."""
