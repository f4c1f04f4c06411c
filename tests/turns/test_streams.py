"""Streams: readers of a turn. What is stored is what was shown, or the whole answer."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from langswarm_sessions import (
    IncompleteStreamError,
    MiddlewareError,
    RedactionMiddleware,
    Session,
    SessionError,
    SessionManager,
    SessionMessage,
    SessionMiddleware,
)
from langswarm_sessions.records import SessionContext
from tests.session.kit import Gate, OpenManager, leftovers, until


async def statuses(session: Session) -> list[tuple[str, str]]:
    return [(message.content, message.status.value) for message in await session.get_messages()]


async def test_the_chunks_join_to_the_stored_message(session: Session) -> None:
    stream = session.send_message_stream("hello there")
    chunks = [chunk async for chunk in stream]
    assert len(chunks) > 2
    assert all(isinstance(chunk, str) for chunk in chunks)
    assert "".join(chunks) == stream.message.content == (await session.get_messages())[-1].content
    whole = await session.send_message("hello there")
    assert whole.content == stream.message.content
    assert {**whole.provider_metadata, "usage": 0, "request_id": 0} == {
        **stream.message.provider_metadata,
        "usage": 0,
        "request_id": 0,
    }


async def test_the_message_of_an_unfinished_stream_is_a_typed_error(session: Session) -> None:
    stream = session.send_message_stream("hi")
    with pytest.raises(SessionError, match="read the stream to its end"):
        _ = stream.message
    async with stream:
        await anext(stream)
        with pytest.raises(SessionError, match="read the stream to its end"):
            _ = stream.message


async def test_a_stream_nobody_reads_starts_no_turn(session: Session) -> None:
    stream = session.send_message_stream("hi")
    await stream.aclose()
    del stream
    assert await session.get_messages() == []
    assert session.provider_session.requests == []


async def test_break_stores_what_was_shown(session: Session) -> None:
    shown = ""
    async for chunk in session.send_message_stream("a b c d"):
        shown += chunk
        if len(shown) > 10:
            break
    await until(lambda: _ended(session))
    assert await statuses(session) == [("a b c d", "interrupted"), (shown, "interrupted")]
    assert (await session.send_message("on")).content == "Mock response to: on"


async def test_aclose_returns_once_the_part_is_stored(session: Session) -> None:
    stream = session.send_message_stream("a b c d")
    shown = await anext(stream) + await anext(stream)
    await stream.aclose()
    assert await statuses(session) == [("a b c d", "interrupted"), (shown, "interrupted")]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    await stream.aclose()
    with pytest.raises(IncompleteStreamError, match="its reader left"):
        _ = stream.message


async def test_an_interrupted_part_carries_no_native_state_and_the_next_turn_knows_it(session: Session) -> None:
    await session.send_message("one")
    before = session.provider_session_id
    async with session.send_message_stream("two two two") as stream:
        shown = await anext(stream)
    assert session.provider_session_id == before
    await session.send_message("three")
    seen = session.provider_session.seen
    assert [text for role, text in seen if role == "user"] == ["one", "two two two", "three"]
    assert ("assistant", shown) in seen


async def test_garbage_collection_ends_the_turn(session: Session) -> None:
    stream = session.send_message_stream("a b c d")
    shown = await anext(stream)
    del stream
    gc.collect()
    await until(lambda: _ended(session))
    assert await statuses(session) == [("a b c d", "interrupted"), (shown, "interrupted")]


async def test_a_cancelled_reader_ends_the_turn(session: Session) -> None:
    gate = Gate("some ", "text", open_pieces=1)
    session.provider_session.set_responses([gate])
    got: list[str] = []

    async def read() -> None:
        async for chunk in session.send_message_stream("hi"):
            got.append(chunk)

    reader = asyncio.ensure_future(read())
    await until(lambda: bool(got))
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await statuses(session) == [("hi", "interrupted"), ("some ", "interrupted")]
    assert gate.closed, "the provider's stream must be closed"


async def test_a_reader_that_finishes_elsewhere_finishes(session: Session, manager: SessionManager) -> None:
    kept = await manager.create_session(
        "user", "mock", "m", session_id="kept", session_config={"on_disconnect": "finish"}
    )
    async with kept.send_message_stream("a b c d") as stream:
        await anext(stream)
    await until(lambda: _ended(kept))
    assert await statuses(kept) == [("a b c d", "completed"), ("Mock response to: a b c d", "completed")]


async def test_a_reader_gone_with_on_disconnect_finish_by_garbage_collection(manager: SessionManager) -> None:
    kept = await manager.create_session("user", "mock", "m", session_config={"on_disconnect": "finish"})
    stream = kept.send_message_stream("a b c d")
    await anext(stream)
    del stream
    await until(lambda: _ended(kept))
    assert (await statuses(kept))[-1] == ("Mock response to: a b c d", "completed")


async def test_an_idle_reader_loses_the_turn_and_not_the_session(open_manager: OpenManager, backend: str) -> None:
    manager = open_manager(backend, stream_idle_seconds=0.05)
    session = await manager.create_session("user", "mock", "m")
    stream = session.send_message_stream("a b c d")
    shown = await anext(stream)
    reply = await session_of_another_task(session, "next")
    assert reply.content == "Mock response to: next"
    with pytest.raises(IncompleteStreamError, match="nobody read"):
        await anext(stream)
    assert (await statuses(session))[:2] == [("a b c d", "interrupted"), (shown, "interrupted")]


async def test_an_idle_reader_with_finish_gets_the_whole_answer_later(open_manager: OpenManager) -> None:
    manager = open_manager(stream_idle_seconds=0.05)
    session = await manager.create_session("user", "mock", "m", session_config={"on_disconnect": "finish"})
    stream = session.send_message_stream("a b c d")
    text = await anext(stream)
    await session_of_another_task(session, "next")
    text += "".join([chunk async for chunk in stream])
    assert text == stream.message.content == "Mock response to: a b c d"


async def test_the_same_task_leaving_a_stream_for_another_turn_does_not_wait_for_itself(session: Session) -> None:
    stream = session.send_message_stream("a b c d")
    shown = await anext(stream)
    async with asyncio.timeout(3):
        reply = await session.send_message("next")
    assert reply.content == "Mock response to: next"
    assert (await statuses(session))[:2] == [("a b c d", "interrupted"), (shown, "interrupted")]
    with pytest.raises(IncompleteStreamError):
        await anext(stream)


async def test_two_tasks_reading_their_streams_are_served_one_after_the_other(session: Session) -> None:
    async def read(text: str) -> str:
        return "".join([chunk async for chunk in session.send_message_stream(text)])

    texts = [f"t{number}" for number in range(6)]
    assert await asyncio.gather(*map(read, texts)) == [f"Mock response to: {text}" for text in texts]
    said = [message.content for message in await session.get_messages()]
    assert said == [line for text in texts for line in (text, f"Mock response to: {text}")]


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_end_without_the_terminal_event_is_an_error(
    open_manager: OpenManager, backend: str, streamed: bool
) -> None:
    manager = open_manager(backend)
    session = await manager.create_session("user", "mock", "m")
    session.provider_session.fail_next("eof", times=9, after_chunks=2)
    turn = read(session, "hi") if streamed else session.send_message("hi")
    with pytest.raises(IncompleteStreamError, match="terminal event") as caught:
        await turn
    assert (caught.value.session_id, caught.value.provider) == (session.session_id, "mock")
    assert await statuses(session) == [("hi", "failed")]
    metrics = await session.get_metrics()
    assert metrics.assistant_messages == 0
    assert metrics.retries == (0 if streamed else 2)


class Shouting(SessionMiddleware):
    """Needs the whole answer: it has no process_chunk."""

    async def process_message(
        self, session_id: str, message: SessionMessage, context: SessionContext
    ) -> SessionMessage:
        if message.role == "assistant":
            message.content = message.content.upper()
        return message


async def test_middleware_without_process_chunk_buffers(open_manager: OpenManager, backend: str) -> None:
    manager = open_manager(backend, middleware=[Shouting()])
    session = await manager.create_session("user", "mock", "m")
    stream = session.send_message_stream("quiet")
    assert [chunk async for chunk in stream] == ["MOCK RESPONSE TO: QUIET"]
    assert stream.message.content == "MOCK RESPONSE TO: QUIET" == (await session.get_messages())[-1].content


async def test_a_buffered_part_is_processed_before_it_is_stored(open_manager: OpenManager, backend: str) -> None:
    manager = open_manager(backend, middleware=[Shouting()])
    session = await manager.create_session("user", "mock", "m")
    gate = Gate("secret ", "words", open_pieces=1)
    session.provider_session.set_responses([gate])
    call = asyncio.ensure_future(session.send_message("hi"))
    await gate.asked.wait()
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ("SECRET ", "interrupted") in await statuses(session)


class Refusing(SessionMiddleware):
    async def process_message(
        self, session_id: str, message: SessionMessage, context: SessionContext
    ) -> SessionMessage:
        if message.role == "assistant":
            raise RuntimeError("no")
        return message


async def test_a_part_its_middleware_refuses_is_not_stored(open_manager: OpenManager, backend: str) -> None:
    manager = open_manager(backend, middleware=[Refusing()])
    session = await manager.create_session("user", "mock", "m")
    gate = Gate("secret ", "words", open_pieces=1)
    session.provider_session.set_responses([gate])
    call = asyncio.ensure_future(session.send_message("hi"))
    await gate.asked.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await statuses(session) == [("hi", "interrupted")]
    assert not await leftovers(manager)
    with pytest.raises(MiddlewareError, match="Refusing"):
        await session.send_message("again")


async def test_redaction_works_on_streams(open_manager: OpenManager, backend: str) -> None:
    manager = open_manager(backend, middleware=[RedactionMiddleware([r"\d{4}-\d{4}"], replacement="####")])
    session = await manager.create_session("user", "mock", "m")
    session.provider_session.set_responses([_pieces("card 12", "34-56", "78 ends")])
    stream = session.send_message_stream("my card 1234-5678")
    shown = "".join([chunk async for chunk in stream])
    assert shown == stream.message.content == "card #### ends"
    stored = await session.get_messages()
    assert [message.content for message in stored] == ["my card ####", "card #### ends"]
    assert "1234" not in repr([(message.parts, message.provider_payload) for message in stored])
    assert session.provider_session.requests[0].messages[0].content == "my card ####"


async def test_a_stream_retries_only_before_its_first_chunk(session: Session) -> None:
    session.provider_session.fail_next("unavailable", times=2)
    chunks = [chunk async for chunk in session.send_message_stream("one")]
    assert "".join(chunks) == "Mock response to: one"
    assert (await session.get_metrics()).retries == 2
    session.provider_session.fail_next("drop", after_chunks=1)
    got: list[str] = []
    with pytest.raises(IncompleteStreamError):
        await read(session, "two", into=got)
    assert got == ["Mock "]
    assert len(session.provider_session.requests) == 4
    assert (await statuses(session))[-1] == ("two", "failed")


async def test_a_whole_answer_retries_in_the_middle_and_is_stored_once(session: Session) -> None:
    session.provider_session.fail_next("drop", after_chunks=2)
    assert (await session.send_message("one")).content == "Mock response to: one"
    assert await statuses(session) == [("one", "completed"), ("Mock response to: one", "completed")]
    assert (await session.get_metrics()).retries == 1


async def test_the_live_provider_session_streams_a_recorded_turn(session: Session) -> None:
    chunks = [chunk async for chunk in session.provider_session.send_message_stream("direct")]
    assert "".join(chunks) == "Mock response to: direct"
    reply = await session.provider_session.send_message("again")
    assert isinstance(reply, SessionMessage)
    assert await statuses(session) == [
        ("direct", "completed"),
        ("Mock response to: direct", "completed"),
        ("again", "completed"),
        ("Mock response to: again", "completed"),
    ]


async def test_breaking_off_a_live_provider_stream_interrupts_the_turn(session: Session) -> None:
    stream: Any = session.provider_session.send_message_stream("a b c")
    shown = await anext(stream)
    await stream.aclose()
    assert await statuses(session) == [("a b c", "interrupted"), (shown, "interrupted")]


async def read(session: Session, text: str, *, into: list[str] | None = None) -> None:
    async for chunk in session.send_message_stream(text):
        if into is not None:
            into.append(chunk)


async def session_of_another_task(session: Session, text: str) -> SessionMessage:
    return await asyncio.create_task(session.send_message(text))


def _pieces(*pieces: str) -> Any:
    gate = Gate(*pieces)
    gate.let()
    return gate


async def _ended(session: Session) -> bool:
    messages = await session.get_messages()
    return bool(messages) and messages[0].status != "pending"


async def test_an_export_tells_of_the_session_what_its_messages_do(session: Session) -> None:
    """The export waits for a turn that was left; its header is as new as its messages."""
    await session.send_message("first")
    stream = session.send_message_stream("a b c")
    await anext(stream)
    del stream
    exported = await session.export_conversation()
    assert [message["status"] for message in exported["messages"]][2:] == ["interrupted", "interrupted"]
    assert exported["session"]["last_activity"] == session.last_activity.isoformat()
