"""What wraps a turn and what hears of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langswarm_sessions import (
    AuthenticationError,
    MiddlewareError,
    Session,
    SessionContext,
    SessionLifecycleHook,
    SessionManager,
    SessionMessage,
    SessionMiddleware,
    add_global_lifecycle_hook,
    add_global_middleware,
)
from tests.session.kit import Gate, OpenManager, leftovers


class Marks(SessionMiddleware):
    def __init__(self, mark: str, seen: list[str] | None = None) -> None:
        self.mark = mark
        self.seen = seen if seen is not None else []

    async def process_message(
        self, session_id: str, message: SessionMessage, context: SessionContext
    ) -> SessionMessage:
        assert context.session_id == session_id
        assert context.user_id == "user"
        self.seen.append(f"{self.mark}:{message.role.value}")
        message.content += self.mark
        return message


async def test_outward_in_the_order_added_inward_in_reverse(open_manager: OpenManager, backend: str) -> None:
    seen: list[str] = []
    manager = open_manager(backend, middleware=[Marks("a", seen)])
    manager.add_middleware(Marks("b", seen))
    session = await manager.create_session("user", "mock", "m")
    reply = await session.send_message("hi", metadata={"kept": "on the input"})
    assert seen == ["a:user", "b:user", "b:assistant", "a:assistant"]
    assert reply.content == "Mock response to: hiabba"
    stored = await session.get_messages()
    assert [message.content for message in stored] == ["hiab", "Mock response to: hiabba"]
    assert [message.metadata for message in stored] == [{"kept": "on the input"}, {}]


async def test_global_middleware_is_outermost(open_manager: OpenManager, no_globals: None) -> None:
    seen: list[str] = []
    manager = open_manager("memory", middleware=[Marks("own", seen)])
    add_global_middleware(Marks("global", seen))
    await (await manager.create_session("user", "mock", "m")).send_message("hi")
    assert seen == ["global:user", "own:user", "own:assistant", "global:assistant"]


class EditsInPlace(SessionMiddleware):
    async def process_message(self, session_id: str, message: SessionMessage, context: SessionContext) -> None:
        message.content = message.content.replace("secret", "***")


async def test_returning_none_keeps_the_edited_message(open_manager: OpenManager, backend: str) -> None:
    session = await open_manager(backend, middleware=[EditsInPlace()]).create_session("user", "mock", "m")
    given = SessionMessage(role="user", content="a secret")  # type: ignore[arg-type]
    reply = await session.send_message(given)
    assert reply.content == "Mock response to: a ***"
    assert given.content == "a secret", "the caller's object is the caller's"
    assert (await session.get_messages())[0].content == "a ***"


class Raises(SessionMiddleware):
    def __init__(self, role: str) -> None:
        self.role = role

    async def process_message(
        self, session_id: str, message: SessionMessage, context: SessionContext
    ) -> SessionMessage:
        if message.role == self.role:
            raise RuntimeError("canary-content")
        return message


async def test_outward_middleware_that_raises_stops_the_turn_before_anything_is_stored(
    open_manager: OpenManager, backend: str
) -> None:
    manager = open_manager(backend, middleware=[Raises("user")])
    session = await manager.create_session("user", "mock", "m")
    with pytest.raises(MiddlewareError, match="Raises") as caught:
        await session.send_message("hi")
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "canary" not in str(caught.value)
    assert await session.get_messages() == []
    assert session.provider_session.requests == []


async def test_inward_middleware_that_raises_fails_the_turn(open_manager: OpenManager, backend: str) -> None:
    session = await open_manager(backend, middleware=[Raises("assistant")]).create_session("user", "mock", "m")
    with pytest.raises(MiddlewareError):
        await session.send_message("hi")
    assert [message.status for message in await session.get_messages()] == ["failed"]


class ReturnsRubbish(SessionMiddleware):
    async def process_message(self, session_id: str, message: SessionMessage, context: SessionContext) -> Any:
        return "a string"


class WaitsInVain(SessionMiddleware):
    """Waits for something that is cancelled, as a message of one role goes through it."""

    def __init__(self, role: str) -> None:
        self.role = role

    async def process_message(self, session_id: str, message: SessionMessage, context: SessionContext) -> None:
        if message.role == self.role:
            work = asyncio.get_running_loop().create_future()
            work.cancel()
            await work


@pytest.mark.parametrize(("role", "stored"), [("user", []), ("assistant", ["failed"])])
async def test_middleware_whose_own_work_was_cancelled_fails_the_turn(
    open_manager: OpenManager, role: str, stored: list[str]
) -> None:
    manager = open_manager("memory", middleware=[WaitsInVain(role)])
    session = await manager.create_session("user", "mock", "m")
    with pytest.raises(MiddlewareError, match="raised CancelledError"):
        await session.send_message("hi")
    assert [message.status.value for message in await session.get_messages()] == stored
    assert not await leftovers(manager)


async def test_middleware_that_returns_rubbish_is_named(open_manager: OpenManager) -> None:
    session = await open_manager("memory", middleware=[ReturnsRubbish()]).create_session("user", "mock", "m")
    with pytest.raises(MiddlewareError, match=r"ReturnsRubbish.*SessionMessage or None, not str"):
        await session.send_message("hi")


class Chatty(SessionLifecycleHook):
    """Sends a turn of the same session from within a hook, once."""

    def __init__(self) -> None:
        self.manager: SessionManager | None = None
        self.heard: list[str] = []

    async def on_message_sent(self, session_id: str, message: SessionMessage) -> None:
        self.heard.append(message.content)
        if len(self.heard) == 1:
            assert self.manager is not None
            await self.manager.send_message(session_id, "from the hook")


async def test_a_hook_may_send_a_turn(open_manager: OpenManager, backend: str) -> None:
    hook = Chatty()
    hook.manager = manager = open_manager(backend, hooks=[hook])
    session = await manager.create_session("user", "mock", "m")
    async with asyncio.timeout(5):
        await session.send_message("one")
    assert hook.heard == ["Mock response to: one", "Mock response to: from the hook"]
    assert len(await session.get_messages()) == 4


class Everything(SessionLifecycleHook):
    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    async def on_session_created(self, session_id: str, user_id: str, provider: str, model: str) -> None:
        self.heard.append(("created", session_id, user_id, provider, model))

    async def on_message_sent(self, session_id: str, message: SessionMessage) -> None:
        self.heard.append(("sent", session_id, message.role.value, message.status.value, message.seq))

    async def on_session_archived(self, session_id: str) -> None:
        self.heard.append(("archived", session_id))

    async def on_session_restored(self, session_id: str) -> None:
        self.heard.append(("restored", session_id))

    async def on_session_deleted(self, session_id: str) -> None:
        self.heard.append(("deleted", session_id))

    async def on_session_error(self, session_id: str, error: Exception) -> None:
        self.heard.append(("error", session_id, type(error).__name__))


async def test_hooks_and_events_tell_of_everything_once_and_in_order(open_manager: OpenManager, backend: str) -> None:
    hook = Everything()
    manager = open_manager(backend)
    manager.add_lifecycle_hook(hook)
    events = manager.session_events()
    session = await manager.create_session("user", "mock", "m", session_id="s")
    await session.send_message("hi", idempotency_key="k")
    await session.send_message("hi", idempotency_key="k")
    session.provider_session.fail_next("auth")
    with pytest.raises(Exception, match="key was refused"):
        await session.send_message("bad")
    async with session.send_message_stream("a b c") as stream:
        await anext(stream)
    await session.archive()
    await session.archive()
    await session.restore()
    await session.delete()
    assert hook.heard == [
        ("created", "s", "user", "mock", "m"),
        ("sent", "s", "assistant", "completed", 2),
        ("error", "s", "AuthenticationError"),
        ("archived", "s"),
        ("restored", "s"),
        ("deleted", "s"),
    ]
    await manager.close()
    told = [event async for event in events]
    assert [(event.type.value, event.session_id, event.user_id, event.message_preview) for event in told] == [
        ("session_created", "s", "user", None),
        ("message_sent", "s", "user", "Mock response to: hi"),
        ("turn_failed", "s", "user", None),
        ("turn_interrupted", "s", "user", None),
        ("session_archived", "s", "user", None),
        ("session_restored", "s", "user", None),
        ("session_deleted", "s", "user", None),
    ]
    assert all(event.timestamp.utcoffset() is not None for event in told)


class FewArguments:
    """No base class, fewer arguments, not all async, other names."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def on_session_created(self, session_id: str) -> None:
        self.heard.append(session_id)

    async def on_message_sent(self) -> None:
        self.heard.append("sent")

    async def on_session_archived(self, the_id: str) -> None:
        self.heard.append(the_id)

    async def on_session_deleted(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append((args, kwargs))


async def test_a_hook_is_given_the_arguments_it_takes(open_manager: OpenManager) -> None:
    hook: Any = FewArguments()
    manager = open_manager("memory", hooks=[hook])
    session = await manager.create_session("user", "mock", "m", session_id="s")
    await session.send_message("hi")
    await session.archive()
    await session.delete()
    assert hook.heard == ["s", "sent", "s", ((), {"session_id": "s"})]


class Breaks(SessionLifecycleHook):
    async def on_session_created(self, session_id: str, user_id: str, provider: str, model: str) -> None:
        raise RuntimeError("broken hook")

    async def on_message_sent(self, session_id: str, message: SessionMessage) -> None:
        raise RuntimeError("broken hook")


async def test_a_broken_hook_fails_nothing_and_is_logged(
    open_manager: OpenManager, caplog: pytest.LogCaptureFixture, no_globals: None
) -> None:
    hook = Everything()
    add_global_lifecycle_hook(Breaks())
    manager = open_manager("memory", hooks=[hook])
    session = await manager.create_session("user", "mock", "m", session_id="s")
    assert (await session.send_message("hi")).content == "Mock response to: hi"
    assert [entry[0] for entry in hook.heard] == ["created", "sent"]
    lines = [record.getMessage() for record in caplog.records if "hook" in record.getMessage()]
    assert len(lines) == 2
    assert all("RuntimeError" in line and "broken hook" not in line for line in lines)


class WaitsForWhatIsCancelled(SessionLifecycleHook):
    async def on_session_created(self, session_id: str, user_id: str, provider: str, model: str) -> None:
        await self.wait()

    async def on_message_sent(self, session_id: str, message: SessionMessage) -> None:
        await self.wait()

    async def on_session_error(self, session_id: str, error: Exception) -> None:
        await self.wait()

    async def wait(self) -> None:
        work = asyncio.get_running_loop().create_future()
        work.cancel()
        await work


async def test_a_hook_whose_own_work_was_cancelled_cancels_nobody_else(
    open_manager: OpenManager, caplog: pytest.LogCaptureFixture
) -> None:
    hook = Everything()
    manager = open_manager("memory", hooks=[WaitsForWhatIsCancelled(), hook])
    session = await manager.create_session("user", "mock", "m", session_id="s")
    assert (await session.send_message("hi")).content == "Mock response to: hi"
    session.provider_session.fail_next("auth")
    with pytest.raises(AuthenticationError):
        await session.send_message("hi")
    assert [entry[0] for entry in hook.heard] == ["created", "sent", "error"]
    lines = [record.getMessage() for record in caplog.records if "hook" in record.getMessage()]
    assert [line.partition(" failed with ")[2] for line in lines] == ["CancelledError; the operation went on."] * 3


class Hangs(SessionLifecycleHook):
    def __init__(self) -> None:
        self.inside = asyncio.Event()

    async def on_message_sent(self, session_id: str, message: SessionMessage) -> None:
        self.inside.set()
        await asyncio.Event().wait()


async def test_a_hanging_hook_holds_no_session_and_can_be_cancelled(open_manager: OpenManager, backend: str) -> None:
    hook = Hangs()
    manager = open_manager(backend, hooks=[hook], turn_wait=5)
    session = await manager.create_session("user", "mock", "m")
    first = asyncio.ensure_future(session.send_message("one"))
    await hook.inside.wait()
    hook.inside.clear()
    second = asyncio.ensure_future(session.send_message("two"))
    await hook.inside.wait()
    for call in (first, second):
        call.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert not await leftovers(manager)
    assert {message.status.value for message in await session.get_messages()} == {"completed"}


async def test_cancelled_while_the_answer_is_stored_hooks_still_hear_of_it(
    open_manager: OpenManager, backend: str
) -> None:
    hook = Everything()
    manager = open_manager(backend, hooks=[hook])
    session = await manager.create_session("user", "mock", "m", session_id="s")
    events = manager.session_events()
    storage: Any = manager._services.storage
    finish = storage.finish_turn
    storing = asyncio.Event()

    async def slowly(unit: Any) -> Any:
        storing.set()
        await asyncio.sleep(0)
        return await finish(unit)

    storage.finish_turn = slowly
    call = asyncio.ensure_future(session.send_message("hi"))
    await storing.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    storage.finish_turn = finish
    assert [message.status for message in await session.get_messages()] == ["completed", "completed"]
    assert hook.heard[1:] == [("sent", "s", "assistant", "completed", 2)]
    assert (await anext(events)).type == "message_sent"
    assert session.message_count == 2


async def test_a_slow_subscriber_slows_no_turn_and_is_told_what_it_lost(
    session: Session, manager: SessionManager
) -> None:
    oldest = manager.session_events(max_queue=2)
    newest = manager.session_events(max_queue=2, overflow="drop_newest")
    closes = manager.session_events(max_queue=2, overflow="close")
    for number in range(4):
        await session.send_message(str(number))
    await manager.close()
    assert [event.message_preview async for event in oldest] == ["Mock response to: 2", "Mock response to: 3"]
    assert [event.message_preview async for event in newest] == ["Mock response to: 0", "Mock response to: 1"]
    assert [event.message_preview async for event in closes] == ["Mock response to: 0", "Mock response to: 1"]
    assert (oldest.dropped, newest.dropped, closes.dropped) == (2, 2, 1)


async def test_a_preview_has_at_most_a_hundred_characters(session: Session, manager: SessionManager) -> None:
    events = manager.session_events()
    gate = Gate("x" * 500)
    gate.let()
    session.provider_session.set_responses([gate])
    await session.send_message("hi")
    assert (await anext(events)).message_preview == "x" * 100
