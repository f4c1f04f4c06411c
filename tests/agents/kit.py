"""Agents, tools and scripted models that the tests of agents share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig

from langswarm_sessions import SessionManager
from langswarm_sessions_langchain.agents import SessionAgentMiddleware
from tests.langchain.chains import Scripted, stored

__all__ = ["ToolScripted", "add", "agent_of", "calling", "make_agent", "on_thread", "outer_of", "said", "texts"]

make_agent = cast("Any", create_agent)
"""`create_agent`, whose types LangChain leaves open."""


class ToolScripted(Scripted):
    """A scripted model that takes tools."""

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any], **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        return self.bind(tools=list(tools), **kwargs)


def calling(*calls: tuple[str, str, dict[str, Any]], text: str = "") -> AIMessage:
    """Return an answer that calls tools: (id, name, arguments) each."""
    return AIMessage(text, tool_calls=[{"id": id_, "name": name, "args": args} for id_, name, args in calls])


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def on_thread(thread_id: str, **configurable: Any) -> RunnableConfig:
    """Return the config that names a thread."""
    return {"configurable": {"thread_id": thread_id, **configurable}}


def agent_of(
    manager: SessionManager,
    script: Sequence[Any] = (),
    *,
    tools: Sequence[Any] = (add,),
    middleware: Sequence[Any] = (),
    model: Scripted | None = None,
    memory: dict[str, Any] | None = None,
    **arguments: Any,
) -> Any:
    """Return an agent with a scripted model whose conversation a session keeps."""
    asked = ToolScripted(script=list(script)) if model is None else model
    kept = SessionAgentMiddleware(manager=manager, **(memory or {}))
    return make_agent(asked, tools=list(tools), middleware=[kept, *middleware], **arguments)


def outer_of(manager: SessionManager, script: Sequence[Any], outer: Any, **arguments: Any) -> Any:
    """Return an agent with a middleware around the session's."""
    memory, tools = SessionAgentMiddleware(manager=manager), arguments.pop("tools", [add])
    return make_agent(ToolScripted(script=list(script)), tools=tools, middleware=[outer, memory], **arguments)


async def said(manager: SessionManager, session_id: str) -> list[str]:
    """Return what is stored of a session: role, text or calls, and the status of what did not end well."""
    return [_shown(message) for message in await stored(manager, session_id)]


def _shown(message: Any) -> str:
    calls = ",".join(call.id for call in message.tool_calls)
    results = ",".join(f"{result.tool_call_id}={result.content}" for result in message.tool_results)
    status = "" if message.status == "completed" else f" [{message.status}]"
    return f"{message.role}: {results or message.content or calls}{status}"


def texts(messages: Sequence[BaseMessage]) -> list[str]:
    """Return what a model was given, message by message."""
    return [f"{m.type}: {m.text or ','.join(c['id'] or '' for c in getattr(m, 'tool_calls', []))}" for m in messages]
