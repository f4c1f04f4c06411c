"""A chat client of Agent Framework that says what it is told to, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    Message,
    ResponseStream,
    tool,
)

from langswarm_sessions_frameworks.agent_framework import SessionHistoryProvider

Said = str | Message | Exception


class ScriptedClient(FunctionInvocationLayer[Any], ChatMiddlewareLayer[Any], BaseChatClient[Any]):
    """Answers from a script, streamed or not.

    Args:
        script: What it says, call by call; an exception is raised.
        keeps: The conversation's id at the service, of one that keeps it.
    """

    def __init__(self, script: Sequence[Said], *, keeps: str | None = None) -> None:
        super().__init__()
        self.script = list(script)
        self.keeps = keeps
        self.asked: list[list[Message]] = []

    @property
    def told(self) -> list[list[tuple[str, str]]]:
        """Of each call, who said what."""
        return [[(message.role, said(message)) for message in messages] for messages in self.asked]

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **kwargs: Any
    ) -> Awaitable[ChatResponse[Any]] | ResponseStream[ChatResponseUpdate, ChatResponse[Any]]:
        self.asked.append(list(messages))
        reply = self.script.pop(0)
        if isinstance(reply, str):
            reply = Message("assistant", [reply])
        if stream:
            return ResponseStream(self._updates(reply), finalizer=ChatResponse.from_updates)
        return self._answer(reply)

    async def _answer(self, reply: Message | Exception) -> ChatResponse[Any]:
        if isinstance(reply, Exception):
            raise reply
        return ChatResponse(messages=[reply], conversation_id=self.keeps)

    async def _updates(self, reply: Message | Exception) -> AsyncIterator[ChatResponseUpdate]:
        if isinstance(reply, Exception):
            raise reply
        for content in reply.contents:
            for piece in _pieces(content):
                yield ChatResponseUpdate(
                    role="assistant", contents=[piece], message_id=reply.message_id, conversation_id=self.keeps
                )


def said(message: Message) -> str:
    """Return a message in a few words."""
    return " ".join(_words(content) for content in message.contents)


def calls(*cities: str) -> Message:
    """Return an answer that calls the weather for cities."""
    return Message(
        "assistant",
        [Content.from_function_call(f"call_{city}", "weather", arguments={"city": city}) for city in cities],
    )


@tool(approval_mode="never_require")
def weather(city: str) -> str:
    """Say how the weather is."""
    return f"sunny in {city}"


def agent_of(
    client: ScriptedClient, provider: SessionHistoryProvider, tools: Sequence[Any] = (weather,), **options: Any
) -> Agent[Any]:
    """Return an agent with a tool and a history."""
    return Agent(
        client=client,
        name="guide",
        instructions="Answer in few words.",
        tools=list(tools),
        context_providers=[provider],
        **options,
    )


def _pieces(content: Content) -> list[Content]:
    if content.type != "text":
        return [content]
    words = (content.text or "").split(" ")
    return [Content.from_text(word if at == 0 else f" {word}") for at, word in enumerate(words)]


def _words(content: Content) -> str:
    match content.type:
        case "text":
            return content.text or ""
        case "function_call":
            return f"{content.name}({content.call_id})"
        case "function_result":
            return f"{content.call_id}={content.result}"
        case _:
            return content.type
