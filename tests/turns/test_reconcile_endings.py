"""A turn on a log that ends without an answer: the next one rebuilds where the log may have grown, and only there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, text

from langswarm_sessions import (
    MiddlewareError,
    ProviderError,
    ProviderTimeoutError,
    Session,
    SessionLifecycleHook,
    SessionManager,
    SessionMessage,
    SessionMiddleware,
    StorageError,
    TurnState,
)
from langswarm_sessions.providers.mock import MockConnection
from langswarm_sessions.records import SessionContext
from tests.session.kit import Gate, OpenManager, until
from tests.support.recorded import Recorded
from tests.turns.logs import ask, known_to_both, log_session, native_of


@pytest.fixture
async def session(manager: SessionManager) -> Session:
    return await log_session(manager)


def said_by_users(session: Session) -> list[str]:
    return [content for role, content in session.provider_session.seen if role == "user"]


@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
@pytest.mark.parametrize("stored", ["nothing", "input", "answer"])
async def test_a_turn_that_fails_for_good_leaves_a_doubt(session: Session, stored: str, streamed: bool) -> None:
    await session.send_message("one")
    before = await native_of(session)
    session.provider_session.fail_next("unavailable", times=3, stored="nothing")
    session.provider_session.fail_reconcile("unavailable", times=3)
    session.provider_session.fail_next("unavailable", stored=stored)
    with pytest.raises(ProviderError):
        await ask(session, "two", streamed)
    assert await native_of(session) == {**before, "suspect": True}
    assert session.provider_session_id == before["id"]
    session.provider_session._connection.script("s").faults.clear()
    await session.send_message("three")
    after = await native_of(session)
    assert after["id"] != before["id"]
    assert not after["suspect"]
    assert said_by_users(session) == ["one", "three"]
    await session.send_message("four")
    assert await native_of(session) == {**after, "memo": (await native_of(session))["memo"]}
    assert (await session.get_metrics()).rebuilds == 1
    await known_to_both(session)


@pytest.mark.parametrize("fault", ["auth", "quota", "refused", "rate_limit"])
async def test_what_the_provider_refused_leaves_none(session: Session, fault: str) -> None:
    await session.send_message("one")
    before = await native_of(session)
    session.provider_session.fail_next(fault, times=3)
    with pytest.raises(ProviderError):
        await session.send_message("two")
    assert await native_of(session) == before
    session.provider_session._connection.script("s").faults.clear()
    await session.send_message("three")
    assert session.provider_session_id == before["id"]
    assert (await session.get_metrics()).rebuilds == 0
    await known_to_both(session)


async def test_the_deadline_leaves_a_doubt(session: Session) -> None:
    await session.send_message("one")
    session.provider_session.set_responses([Gate("never")])
    with pytest.raises(ProviderTimeoutError, match="timeout="):
        await session.send_message("two", timeout=0.5)
    assert session.provider_session.seen[-1] == ("user", "two")
    assert (await native_of(session))["suspect"]
    await session.send_message("three")
    await known_to_both(session)


async def test_a_key_reruns_a_doubtful_turn_once(session: Session) -> None:
    await session.send_message("one")
    session.provider_session.fail_next(ZeroDivisionError("oops"), stored="answer")
    with pytest.raises(ZeroDivisionError):
        await session.send_message("two", idempotency_key="k")
    assert (await session.send_message("two", idempotency_key="k")).content == "Mock response to: two"
    await known_to_both(session)


@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
async def test_a_cancelled_turn_is_rebuilt_with_what_was_said(session: Session, streamed: bool) -> None:
    await session.send_message("one")
    before = await native_of(session)
    gate = Gate("half ", "never", open_pieces=1)
    session.provider_session.set_responses([gate])
    if streamed:
        stream = session.send_message_stream("two")
        assert await anext(stream) == "half "
        await stream.aclose()
    else:
        call = asyncio.ensure_future(session.send_message("two"))
        await gate.asked.wait()
        await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.wait([call])
    assert await native_of(session) == {**before, "suspect": True}
    await session.send_message("three")
    said = [(str(message.role), message.content) for message in await session.get_messages()]
    assert session.provider_session.seen == said
    assert said[2:4] == [("user", "two"), ("assistant", "half ")]
    assert session.provider_session_id != before["id"]


@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
async def test_a_turn_cancelled_while_nothing_of_it_is_at_the_provider_leaves_none(
    session: Session, streamed: bool
) -> None:
    await session.send_message("one")
    before = await native_of(session)
    session.provider_session.fail_next("rate_limit", retry_after=30)
    call = asyncio.ensure_future(ask(session, "two", streamed))
    await until(lambda: len(session.provider_session.requests) == 2)
    call.cancel()
    await asyncio.wait([call])
    assert await native_of(session) == before
    assert (await session.get_messages())[-1].status is TurnState.INTERRUPTED
    await session.send_message("three")
    assert said_by_users(session) == ["one", "two", "three"]
    assert session.provider_session_id == before["id"]


class Falls(SessionMiddleware):
    """Fails on one answer."""

    async def process_message(self, session_id: str, message: SessionMessage, context: SessionContext) -> None:
        if message.content == "Mock response to: two":
            raise ZeroDivisionError("oops")


@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
async def test_an_answer_a_middleware_refused_is_in_the_log_all_the_same(
    open_manager: OpenManager, streamed: bool
) -> None:
    session = await log_session(open_manager("memory", middleware=[Falls()]))
    await session.send_message("one")
    with pytest.raises(MiddlewareError):
        await ask(session, "two", streamed)
    assert (await native_of(session))["suspect"]
    await session.send_message("three")
    await known_to_both(session)


@pytest.mark.parametrize("stored", [None, "answer"], ids=["answered", "adopted"])
async def test_an_answer_that_could_not_be_stored_is_in_the_log_all_the_same(
    session: Session, manager: SessionManager, monkeypatch: pytest.MonkeyPatch, stored: str | None
) -> None:
    await session.send_message("one")
    storage = manager._services.storage
    finish_turn, refused = storage.finish_turn, [1]

    async def full_once(finish: Any) -> Any:
        if refused:
            refused.pop()
            raise StorageError("the disk is full")
        return await finish_turn(finish)

    monkeypatch.setattr(storage, "finish_turn", full_once)
    if stored:
        session.provider_session.fail_next("timeout", stored=stored)
    with pytest.raises(StorageError):
        await session.send_message("two")
    assert (await native_of(session))["suspect"]
    await session.send_message("three")
    await known_to_both(session)


async def test_a_fallback_that_answers_leaves_the_doubt(open_manager: OpenManager) -> None:
    connection = MockConnection()
    manager = open_manager("memory", providers={"mock": connection, "spare": Spare}, fallback="spare/m")
    session = await log_session(manager)
    await session.send_message("one")
    before = await native_of(session)
    session.provider_session.fail_next("unavailable", stored="input")
    session.provider_session.fail_reconcile("unavailable", times=9)
    assert (await session.send_message("two")).content == "spare to two"
    assert await native_of(session) == {**before, "suspect": True}
    session.provider_session._connection.script("s").look_faults.clear()
    await session.send_message("three")
    await known_to_both(session)
    session.provider_session.fail_next("auth", times=1)
    before = await native_of(session)
    assert (await session.send_message("four")).content == "spare to four"
    assert await native_of(session) == before
    await session.send_message("five")
    await known_to_both(session)


class Spare:
    """A user's own provider that takes the history."""

    provider_session_id = None

    async def send_message(self, content: str, role: str = "user", metadata: Any = None, history: Any = ()) -> str:
        return f"spare to {content}"

    async def get_provider_metadata(self) -> dict[str, Any]:
        return {}

    async def update_provider_config(self, config: dict[str, Any]) -> None:
        pass

    async def cleanup_provider_resources(self) -> None:
        pass


# Several processes: each a manager of its own over one database, and one provider


class Heard(SessionLifecycleHook):
    def __init__(self) -> None:
        self.reasons: list[str] = []

    async def on_session_rebuilt(self, session_id: str, provider: str, reason: str) -> None:
        self.reasons.append(reason)


async def test_another_process_looks_with_what_the_first_knew(open_manager: OpenManager) -> None:
    provider = {"mock": MockConnection()}
    session = await log_session(open_manager(providers=provider))
    await session.send_message("one")
    elsewhere = await open_manager(providers=provider).get_session("s")
    assert (await native_of(elsewhere))["memo"] == (await native_of(session))["memo"] != {}
    elsewhere.provider_session.fail_next("timeout", stored="answer")
    await elsewhere.send_message("two")
    assert (len(elsewhere.provider_session.looks), len(elsewhere.provider_session.requests)) == (1, 2)
    session.provider_session.fail_next("timeout", stored="nothing")
    await session.send_message("three")
    await known_to_both(session)
    assert (await session.get_metrics()).rebuilds == 0


async def test_a_session_that_was_taken_over_is_rebuilt(open_manager: OpenManager) -> None:
    """Its first holder fell silent in the middle of a turn: what it told the provider is unknown."""
    connection, recorded, hook = MockConnection(), Recorded(), Heard()
    silent = open_manager(providers={"mock": connection})
    session = await log_session(silent)
    await session.send_message("one")
    before = await native_of(session)
    gate = Gate("too late")
    session.provider_session.set_responses([gate])
    call = asyncio.ensure_future(session.send_message("two"))
    await gate.asked.wait()
    await _expire(silent)
    heir = open_manager(providers={"mock": connection}, telemetry=recorded.telemetry(), hooks=[hook])
    events = heir.session_events()
    elsewhere = await heir.get_session("s")
    await elsewhere.send_message("three")
    gate.let()
    with pytest.raises(Exception, match=r"took|taken over"):
        await call
    assert elsewhere.provider_session_id != before["id"]
    assert said_by_users(elsewhere) == ["one", "two", "three"]
    assert connection.logs.lines(before["id"])[-1] == ("assistant", "too late")
    assert (recorded.span("langswarm.session.rebuild").attributes or {})["langswarm.rebuild.messages"] == 4
    assert [(await anext(events)).type.value for _ in range(2)] == ["session_rebuilt", "message_sent"]
    assert (hook.reasons, (await elsewhere.get_metrics()).rebuilds) == (["corrupt"], 1)
    await elsewhere.send_message("four")
    assert said_by_users(elsewhere) == ["one", "two", "three", "four"]


async def _expire(manager: SessionManager) -> None:
    def expire(connection: Connection) -> None:
        connection.execute(text("UPDATE sessions SET lease_expires_at = created_at"))

    storage: Any = manager._services.storage
    await storage._runner.write(expire)


# Another kind of conversation


async def test_a_state_of_another_kind_is_not_continued(session: Session) -> None:
    await session.send_message("one")
    sent: list[tuple[int, bool]] = []
    for kind in ("node", "log", "none", "log"):
        await session.provider_session.update_provider_config({"native": kind})
        await session.send_message(f"as {kind} {len(sent)}")
        request = session.provider_session.requests[-1]
        sent.append((len(request.messages), request.native is not None))
    assert sent == [(3, False), (5, False), (7, False), (3, True)], "the last one tells the log what was said beside it"
    assert (await session.get_metrics()).rebuilds == 0
    await known_to_both(session)
