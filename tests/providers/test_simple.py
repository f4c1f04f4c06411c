"""A user's own small ProviderSession as the turn engine gets it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from langswarm_sessions.errors import (
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    SessionError,
)
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest, ProviderSession, TextDelta
from langswarm_sessions.messages import Role, SessionMessage, TextPart, ToolCall, ToolResult, text_of
from langswarm_sessions.providers import SimpleProvider
from langswarm_sessions.providers.base import collect
from langswarm_sessions.records import NativeKind, Usage


class Mine(ProviderSession):
    """What the documentation asks for, and no super().__init__."""

    def __init__(self, answer: Any = "an answer") -> None:
        self.answer = answer
        self.given: list[Any] = []
        self.cleaned = 0

    async def send_message(
        self, content: str, role: str = Role.USER, metadata: dict[str, Any] | None = None
    ) -> SessionMessage | str:
        self.given.append((content, role, metadata))
        if isinstance(self.answer, Exception):
            raise self.answer
        answer: SessionMessage | str = self.answer
        return answer

    async def get_provider_metadata(self) -> dict[str, Any]:
        return {"mine": True}

    async def update_provider_config(self, config: dict[str, Any]) -> None:
        self.given.append(config)

    async def cleanup_provider_resources(self) -> None:
        self.cleaned += 1


class Streaming(Mine):
    async def send_message_stream(self, content: str) -> AsyncIterator[str]:
        yield "one "
        yield content


class StreamingLate(Mine):
    async def send_message_stream(self, content: str) -> AsyncIterator[str]:
        async def pieces() -> AsyncIterator[str]:
            yield content

        return pieces()


class Blocking(Mine):
    def send_message(self, prompt: str) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        self.given.append(threading.current_thread())
        return prompt.upper()

    def send_message_stream(self, prompt: str, *, role: str) -> Iterator[str]:
        return iter([prompt, role])


class Replayed(Mine):
    async def send_message(
        self,
        content: str,
        role: str = Role.USER,
        metadata: dict[str, Any] | None = None,
        history: list[SessionMessage] | None = None,
    ) -> str:
        return " / ".join([message.content for message in history or []] + [content])


def request(*messages: SessionMessage) -> ProviderRequest:
    return ProviderRequest(messages=messages)


def said(content: str, role: Role = Role.USER, **fields: Any) -> SessionMessage:
    return SessionMessage(role=role, content=content, **fields)


async def ask(provider: SimpleProvider, *messages: SessionMessage) -> Completed:
    return await collect(provider.stream_turn(request(*messages)), provider="mine")


def text(completed: Completed) -> str:
    return "".join(part.text for part in completed.parts if isinstance(part, TextPart))


async def test_it_is_given_the_newest_input_only_and_owns_its_history() -> None:
    mine = Mine()
    provider = SimpleProvider(mine, provider="mine", model="m-1")
    completed = await ask(provider, said("old"), said("kept", Role.ASSISTANT), said("new", metadata={"a": 1}))
    assert mine.given == [("new", Role.USER, {"a": 1})]
    assert text(completed) == "an answer"
    assert (completed.model, completed.finish_reason, completed.native_id) == ("m-1", "stop", None)
    assert (provider.name, provider.model, provider.profile.otel_name) == ("mine", "m-1", "mine")
    assert provider.profile.owns_history
    assert not provider.profile.client
    assert provider.profile.native is NativeKind.NONE
    assert provider.wrapped is mine


async def test_with_history_it_is_given_the_window() -> None:
    provider = SimpleProvider(Replayed())
    assert provider.profile.client
    assert not provider.profile.owns_history
    assert text(await ask(provider, said("a"), said("b", Role.ASSISTANT), said("c"))) == "a / b / c"
    assert text(await ask(provider)) == ""


async def test_tool_results_reach_it_as_text() -> None:
    mine = Mine()
    await ask(
        SimpleProvider(mine), SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="a", content="12:00")])
    )
    assert mine.given[0][:2] == ("12:00", Role.TOOL)


@pytest.mark.parametrize("kind", [Streaming, StreamingLate, Blocking])
async def test_streams_of_every_kind(kind: type[Mine]) -> None:
    events = [event async for event in SimpleProvider(kind()).stream_turn(request(said("hi")))]
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    wanted: dict[type[Mine], list[str]] = {Streaming: ["one ", "hi"], StreamingLate: ["hi"], Blocking: ["hi", "user"]}
    assert pieces == wanted[kind]
    assert isinstance(events[-1], Completed)
    assert text(events[-1]) == "".join(pieces)


async def test_a_blocking_method_does_not_hold_the_loop() -> None:
    class Plain(Mine):
        send_message = Blocking.send_message  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

    mine = Plain()
    assert text(await ask(SimpleProvider(mine), said("hi"))) == "HI"
    assert mine.given != [threading.current_thread()]


async def test_rich_answers_keep_what_they_say() -> None:
    message = SessionMessage(
        role=Role.ASSISTANT,
        content="hi",
        tool_calls=[ToolCall(id="a", name="clock")],
        message_id="theirs",
        provider_metadata={"model": "m-2", "usage": {"prompt_tokens": 3, "completion_tokens": 4}, "request_id": "r"},
    )
    completed = await ask(SimpleProvider(Mine(message)), said("x"))
    assert completed.parts == (TextPart("hi"), ToolCall(id="a", name="clock"))
    assert completed.usage == Usage(input_tokens=3, output_tokens=4, total_tokens=7)
    assert (completed.model, completed.finish_reason, completed.request_id) == ("m-2", "tool_calls", "r")
    assert completed.provider_message_id == "theirs"
    completed = await ask(
        SimpleProvider(Mine({"content": "dict", "id": "d1", "usage": {"input_tokens": 1}})), said("x")
    )
    assert (text(completed), completed.provider_message_id, completed.usage.total_tokens) == ("dict", "d1", 1)


@pytest.mark.parametrize(
    ("raised", "error", "retryable"),
    [
        (RateLimitError("theirs"), RateLimitError, True),
        (TimeoutError("canary"), ProviderTimeoutError, True),
        (ConnectionResetError("canary"), ProviderUnavailableError, True),
        (OSError("canary"), ProviderUnavailableError, True),
        (KeyError("canary"), ProviderError, False),
    ],
)
async def test_its_errors_are_named_not_quoted(raised: Exception, error: type[SessionError], retryable: bool) -> None:
    with pytest.raises(error) as caught:
        await ask(SimpleProvider(Mine(raised), provider="mine"), said("x"))
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert "canary" not in str(caught.value)
    if not isinstance(raised, SessionError):
        assert type(raised).__name__ in str(caught.value)


@pytest.mark.parametrize("answer", [None, 3, {}, {"content": 3}])
async def test_answers_of_the_wrong_type_are_said(answer: Any) -> None:
    with pytest.raises(ProviderError, match="send_message must give"):
        await ask(SimpleProvider(Mine(answer)), said("x"))


async def test_pieces_of_the_wrong_type_are_said() -> None:
    class Wrong(Mine):
        async def send_message_stream(self, content: str) -> AsyncIterator[Any]:
            yield 3

    with pytest.raises(ProviderError, match="pieces of str"):
        await ask(SimpleProvider(Wrong()), said("x"))


async def test_its_own_face_is_reached_through_the_wrapper() -> None:
    mine = Mine()
    provider = SimpleProvider(mine)
    mine.provider_session_id = "own-1"
    assert provider.provider_session_id == "own-1"
    assert await provider.get_provider_metadata() == {"mine": True}
    await provider.update_provider_config({"a": 1})
    await provider.cleanup_provider_resources()
    assert await provider.send_message("direct") == "an answer"
    assert (mine.given[0], mine.cleaned) == ({"a": 1}, 1)
    assert repr(provider) == "<SimpleProvider of Mine>"


class Both(Mine):
    """Answers plain turns with what only a message can say, and streams when somebody reads along."""

    async def send_message(self, content: str) -> dict[str, Any]:  # type: ignore[override]
        return {"content": "plain", "usage": {"total_tokens": 7}}

    async def send_message_stream(self, content: str) -> AsyncIterator[str]:
        yield "streamed"


@pytest.mark.parametrize(("streamed", "text", "tokens"), [(False, "plain", 7), (True, "streamed", 0)])
async def test_a_plain_turn_asks_send_message_even_if_there_is_a_stream(streamed: bool, text: str, tokens: int) -> None:
    asked = replace(request(said("hi")), streamed=streamed)
    completed = await collect(SimpleProvider(Both()).stream_turn(asked), provider="mine")
    assert text_of(completed.parts) == text
    assert completed.usage.total_tokens == tokens


class StreamsSlowly(Mine):
    """A blocking stream that goes on when the event loop has done something meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.loop_went_on = threading.Event()

    def send_message_stream(self, content: str) -> Iterator[str]:
        yield "waiting "
        yield "served" if self.loop_went_on.wait(10) else "starved"


async def test_a_blocking_stream_leaves_the_loop_alone() -> None:
    mine = StreamsSlowly()
    request = ProviderRequest(messages=(SessionMessage(role=Role.USER, content="hi"),))
    said: list[str] = []
    async for event in SimpleProvider(mine).stream_turn(request):
        if isinstance(event, TextDelta):
            said.append(event.text)
            asyncio.get_running_loop().call_soon(mine.loop_went_on.set)
    assert said == ["waiting ", "served"]
