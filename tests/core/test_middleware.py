"""The chain: order, edits, errors, and the way of streamed text."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from langswarm_sessions.errors import MiddlewareError, RateLimitError
from langswarm_sessions.interfaces import SessionContext, SessionMessage, SessionMiddleware
from langswarm_sessions.messages import ImagePart, Role, TextPart, ToolCall
from langswarm_sessions.middleware import GLOBAL_MIDDLEWARE, LoggingMiddleware, MiddlewareChain, add_global_middleware


def context() -> SessionContext:
    return SessionContext(session_id="s", user_id="u", provider="p", model="m", user_context={"k": 1})


def user(text: str = "") -> SessionMessage:
    return SessionMessage(role=Role.USER, content=text)


class Marking(SessionMiddleware):
    """Appends its letter to messages and chunks, and holds back its mark until the end."""

    def __init__(self, letter: str) -> None:
        self.letter = letter

    async def process_message(self, session_id: str, message: SessionMessage, context: SessionContext) -> None:
        assert (session_id, context.get("k")) == ("s", 1)
        message.content += self.letter

    async def process_chunk(self, session_id: str, chunk: str, context: SessionContext) -> str:
        return chunk + self.letter

    async def finish_chunks(self, session_id: str, context: SessionContext) -> str:
        return f"<{self.letter}>"


class Doing(SessionMiddleware):
    """Does to a message what it is told."""

    def __init__(self, act: Any) -> None:
        self.act = act

    async def process_message(self, session_id: str, message: SessionMessage, context: SessionContext) -> Any:
        return self.act(message)


def giving(result: Any) -> Callable[[SessionMessage], Any]:
    def give(message: SessionMessage) -> Any:
        return result

    return give


async def test_outward_in_order_and_inward_in_reverse() -> None:
    chain = MiddlewareChain([Marking("a"), Marking("b"), Marking("c")], context())
    outward, inward = await chain.outward(user()), await chain.inward(user())
    assert (outward.content, inward.content) == ("abc", "cba")
    assert outward.parts == [TextPart("abc")]


async def test_another_message_takes_its_place() -> None:
    other = user("other")
    chain = MiddlewareChain([Doing(giving(other)), Marking("!")], context())
    assert await chain.outward(user("x")) is other
    assert other.content == "other!"


async def test_an_edit_of_the_parts_alone_counts() -> None:
    def shout(message: SessionMessage) -> None:
        message.parts = [ImagePart(url="u"), TextPart("NEW")]

    def forget_calls(message: SessionMessage) -> None:
        message.parts = [part for part in message.parts if not isinstance(part, ToolCall)]

    edited = await MiddlewareChain([Doing(shout)], context()).outward(user("old"))
    assert (edited.content, edited.parts) == ("NEW", [ImagePart(url="u"), TextPart("NEW")])
    calling = SessionMessage(role=Role.ASSISTANT, content="x", tool_calls=[ToolCall(id="1", name="f")])
    edited = await MiddlewareChain([Doing(forget_calls)], context()).inward(calling)
    assert (edited.tool_calls, edited.parts) == ([], [TextPart("x")])


@pytest.mark.parametrize("wrong", ["text", 5, {"role": "user"}, [user("x")], False])
async def test_what_is_no_message_is_refused_by_name(wrong: Any) -> None:
    chain = MiddlewareChain([Doing(giving(wrong))], context())
    with pytest.raises(MiddlewareError, match=r"Doing.process_message must return a SessionMessage or None") as no:
        await chain.outward(user("x"))
    assert no.value.session_id == "s"


@pytest.mark.parametrize(("field", "value"), [("parts", 5), ("tool_calls", ["f"]), ("content", None)])
async def test_a_message_edited_to_wrong_types_is_refused_by_name(field: str, value: Any) -> None:
    def spoil(message: SessionMessage) -> None:
        setattr(message, field, value)

    with pytest.raises(MiddlewareError, match=rf"Doing.process_message returned a wrong message: {field} must be"):
        await MiddlewareChain([Doing(spoil)], context()).inward(user("x"))


async def test_a_member_without_the_method_fails_the_turn_with_one_type() -> None:
    nobody: Any = object()
    with pytest.raises(MiddlewareError, match=r"object.process_message raised AttributeError"):
        await MiddlewareChain([nobody], context()).outward(user("x"))


async def test_what_it_raises_is_the_cause_and_is_not_quoted() -> None:
    def fail(message: SessionMessage) -> None:
        raise KeyError(f"canary {message.content}")

    with pytest.raises(MiddlewareError, match=r"Doing.process_message raised KeyError") as no:
        await MiddlewareChain([Doing(fail)], context()).inward(user("x"))
    assert isinstance(no.value.__cause__, KeyError)
    assert "canary" not in str(no.value)


async def test_an_error_of_ours_passes_unchanged() -> None:
    def refuse(message: SessionMessage) -> None:
        raise RateLimitError("later")

    with pytest.raises(RateLimitError, match="later"):
        await MiddlewareChain([Doing(refuse)], context()).outward(user("x"))


async def test_a_method_that_is_not_async_is_named_too() -> None:
    class Blocking(SessionMiddleware):
        def process_message(self, session_id: str, message: Any, context: Any) -> Any:
            raise ValueError

    with pytest.raises(MiddlewareError, match=r"Blocking.process_message raised ValueError"):
        await MiddlewareChain([Blocking()], context()).outward(user("x"))


# Streamed text


async def test_chunks_pass_inward_and_what_was_held_back_passes_the_rest() -> None:
    pipeline = MiddlewareChain([Marking("a"), Marking("b")], context()).chunks()
    assert pipeline is not None
    assert await pipeline.feed("1") == "1ba"
    assert await pipeline.finish() == "<b>a<a>"


async def test_without_members_chunks_pass_unchanged() -> None:
    pipeline = MiddlewareChain([], context()).chunks()
    assert pipeline is not None
    assert (await pipeline.feed("x"), await pipeline.finish()) == ("x", "")


def test_a_member_without_process_chunk_needs_the_whole_answer() -> None:
    assert MiddlewareChain([Marking("a"), Doing(giving(None))], context()).chunks() is None


async def test_wrong_and_failing_chunks_are_named() -> None:
    class Silent(Marking):
        async def process_chunk(self, session_id: str, chunk: str, context: SessionContext) -> Any:
            return None

        async def finish_chunks(self, session_id: str, context: SessionContext) -> Any:
            raise OSError

    pipeline = MiddlewareChain([Silent("a")], context()).chunks()
    assert pipeline is not None
    with pytest.raises(MiddlewareError, match=r"Silent.process_chunk must return a string, not NoneType"):
        await pipeline.feed("x")
    with pytest.raises(MiddlewareError, match=r"Silent.finish_chunks raised OSError"):
        await pipeline.finish()


class Counting(SessionMiddleware):
    """Numbers what it sees in the turn's scratch space."""

    async def process_message(self, session_id: str, message: SessionMessage, context: SessionContext) -> None:
        context.turn_state["asked"] = True

    async def process_chunk(self, session_id: str, chunk: str, context: SessionContext) -> str:
        context.turn_state["seen"] = context.turn_state.get("seen", "") + chunk
        return chunk


async def test_a_new_attempt_forgets_what_the_failed_one_streamed() -> None:
    shared = context()
    chain = MiddlewareChain([Counting()], shared)
    await chain.outward(user("x"))
    for _ in range(3):
        attempt = chain.chunks()
        assert attempt is not None
        await attempt.feed("half")
        await attempt.feed("!")
    assert shared.turn_state == {"asked": True, "seen": "half!"}
    assert chain.chunks() is not None
    assert shared.turn_state["seen"] == "half!"


def test_global_middleware_is_kept() -> None:
    mine = Marking("g")
    add_global_middleware(mine)
    try:
        assert GLOBAL_MIDDLEWARE[-1] is mine
    finally:
        GLOBAL_MIDDLEWARE.remove(mine)


async def test_logging_tells_role_and_length_and_content_only_when_asked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    quiet, loud = LoggingMiddleware(logging.DEBUG), LoggingMiddleware(logging.DEBUG, include_content=True)
    await MiddlewareChain([quiet], context()).outward(user("canary"))
    assert "user message of 6 characters" in caplog.text
    assert "canary" not in caplog.text
    pipeline = MiddlewareChain([quiet], context()).chunks()
    assert pipeline is not None
    assert await pipeline.feed("canary") == "canary"
    assert "canary" not in caplog.text
    await MiddlewareChain([loud], context()).outward(user("canary"))
    assert "canary" in caplog.text
    await MiddlewareChain([LoggingMiddleware("error")], context()).outward(user())
    assert caplog.records[-1].levelno == logging.ERROR


async def test_an_edited_message_loses_the_raw_payload_that_still_says_what_was_taken_out() -> None:
    class Cut(SessionMiddleware):
        async def process_message(
            self, session_id: str, message: SessionMessage, context: SessionContext
        ) -> SessionMessage | None:
            message.content = message.content.replace("secret", "")
            return message

    context = SessionContext(session_id="s", user_id="u", provider="mock", model="m")
    chain = MiddlewareChain([Cut()], context)
    raw = {"format": "langchain", "text": "a secret word"}
    edited = await chain.outward(SessionMessage(role=Role.USER, content="a secret word", provider_payload=raw))
    assert edited.provider_payload is None
    kept = await chain.inward(SessionMessage(role=Role.ASSISTANT, content="a plain word", provider_payload=raw))
    assert kept.provider_payload == raw
