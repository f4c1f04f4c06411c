"""A user's own storage of six methods: the part of the contract it can keep, and what becomes of odd values."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from langswarm_sessions.config import SessionConfig, Strategy
from langswarm_sessions.errors import ConfigurationError, SessionExistsError, StorageError
from langswarm_sessions.interfaces.storage import EngineStorage, SessionStorage
from langswarm_sessions.messages import Role, SessionMessage, TurnState
from langswarm_sessions.records import SessionFilter, SessionStatus
from langswarm_sessions.storage import SimpleStorageAdapter, open_storage
from langswarm_sessions.testing.storage import LeaseContract, RerunContract, TurnContract
from langswarm_sessions.testing.storage_kit import (
    StorageKit,
    everything,
    instructions,
    native_state,
    session_record,
    texts,
)
from tests.storage.lists import Lists


class TestSimple(TurnContract, LeaseContract, RerunContract):
    @pytest.fixture
    async def storage(self) -> AsyncIterator[EngineStorage]:
        storage = open_storage(Lists())
        yield storage
        await storage.close()


@pytest.fixture
def lists() -> Lists:
    return Lists()


@pytest.fixture
async def adapter(lists: Lists) -> AsyncIterator[EngineStorage]:
    storage = open_storage(lists)
    yield storage
    await storage.close()


@pytest.fixture
async def kit(adapter: EngineStorage) -> StorageKit:
    return await StorageKit.of_new_session(
        adapter,
        session_id="s",
        strategy=Strategy.CLIENT,
        provider_config={"temperature": 1},
        config=SessionConfig(tags=("a",)),
        context={"k": 1},
    )


async def test_each_message_is_written_before_it_is_acknowledged(lists: Lists, kit: StorageKit) -> None:
    turn = await kit.begin("question", instructions=instructions("Be brief."))
    written = lists.messages["s"]
    assert [(entry["role"], entry["content"]) for entry in written] == [("system", "Be brief."), ("user", "question")]
    assert "status" not in written[1]
    finished = await kit.finish(turn, "answer")
    assert written[2]["content"] == "answer"
    assert written[2]["message_id"] == finished.answers[0].message_id
    assert written[2]["turn_id"] == written[1]["turn_id"]
    assert datetime.fromisoformat(written[2]["timestamp"]).tzinfo is not None
    again = await kit.begin("more", instructions=instructions("Be brief."))
    await kit.finish(again, "answer")
    assert len(written) == 5
    assert lists.sessions["s"]["config"] == {
        "tags": ["a"],
        "strategy": "client",
        "provider_config": {"temperature": 1},
    }


async def test_a_restart_reads_everything_back(lists: Lists, kit: StorageKit) -> None:
    turn = await kit.begin("one", instructions=instructions("Be brief."))
    await kit.finish(turn, "answer one")
    await kit.append("between")
    await kit.begin("never answered")
    before = await kit.transcript()
    reopened = StorageKit(open_storage(lists), "s", kit.moment)
    after = await reopened.transcript()
    assert [message.message_id for message in after] == [message.message_id for message in before]
    assert [message.status.value for message in after] == [
        "completed",
        "completed",
        "completed",
        "completed",
        "interrupted",
    ]
    record = await reopened.record()
    assert (record.user_id, record.provider, record.strategy) == ("user", "mock", Strategy.CLIENT)
    assert (record.config.tags, dict(record.context), dict(record.provider_config)) == (
        ("a",),
        {"k": 1},
        {"temperature": 1},
    )
    assert record.instructions == "Be brief."
    assert record.counters.messages == 5
    next_turn = await reopened.begin("two", needs=everything)
    assert texts(next_turn.history) == ["one", "answer one", "between", "never answered"]
    await reopened.finish(next_turn, "answer two")
    assert [entry["content"] for entry in lists.messages["s"]][-2:] == ["two", "answer two"]
    with pytest.raises(SessionExistsError):
        await reopened.storage.insert_session(session_record("s"))
    await reopened.storage.close()


async def test_a_write_that_fails_is_raised_and_leaves_nothing(lists: Lists, kit: StorageKit) -> None:
    await kit.turn("one", "answer one")
    lists.broken = True
    with pytest.raises(StorageError, match="add_message failed") as caught:
        await kit.begin("two")
    assert isinstance(caught.value.__cause__, ConnectionError)
    with pytest.raises(StorageError, match="add_message failed"):
        await kit.append("two")
    lists.broken = False
    assert texts(await kit.transcript()) == ["one", "answer one"]
    turn = await kit.begin("two")
    lists.broken = True
    with pytest.raises(StorageError, match="add_message failed"):
        await kit.finish(turn, "answer two")
    lists.broken = False
    await kit.finish(turn, "answer two")  # the lease is still held: the engine may try again
    assert [entry["content"] for entry in lists.messages["s"]] == ["one", "answer one", "two", "answer two"]


async def test_an_answer_whose_lease_was_lost_is_not_written(lists: Lists, kit: StorageKit) -> None:
    from langswarm_sessions.errors import TurnConflictError

    slow = await kit.begin("slow")
    taken = await kit.begin("eager", after_s=100)
    with pytest.raises(TurnConflictError):
        await kit.finish(slow, "too late")
    await kit.finish(taken, "answer")
    assert [entry["content"] for entry in lists.messages["s"]] == ["slow", "eager", "answer"]


async def test_a_rerun_writes_its_input_once(lists: Lists, kit: StorageKit) -> None:
    await kit.failed_turn("question", idempotency_key="key")
    again = await kit.begin("question", idempotency_key="key")
    await kit.finish(again, "answer")
    assert [entry["content"] for entry in lists.messages["s"]] == ["question", "answer"]


async def test_a_cancelled_beginning_waits_for_no_slow_storage(lists: Lists, kit: StorageKit) -> None:
    gate, asked = asyncio.Event(), asyncio.Event()
    write = lists.add_message

    async def slow(session_id: str, message: dict[str, Any]) -> None:
        asked.set()
        await gate.wait()
        await write(session_id, message)

    lists.add_message = slow  # type: ignore[method-assign]
    task = asyncio.create_task(kit.begin("question"))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    next_turn = asyncio.create_task(kit.begin("next"))
    gate.set()
    turn = await next_turn
    assert not turn.took_over
    await kit.finish(turn, "answer")
    assert [message.status.value for message in await kit.transcript()] == ["interrupted", "completed", "completed"]


REFUSED: dict[str, Callable[[StorageKit, Path], Coroutine[Any, Any, Any]]] = {
    "archiving": lambda kit, _: kit.change(status=SessionStatus.ARCHIVED),
    "clearing messages": lambda kit, _: kit.clear(),
    "update_context": lambda kit, _: kit.change(context={"k": 2}),
    "update_config": lambda kit, _: kit.change(config=SessionConfig(name="new")),
    "changing the model": lambda kit, _: kit.change(model="other"),
    "import_conversation": lambda kit, _: kit.storage.insert_conversation(session_record("another"), []),
    "listing": lambda kit, _: kit.storage.list_sessions(SessionFilter()),
    "cleaning up": lambda kit, _: kit.storage.change_status(SessionFilter(), SessionStatus.ARCHIVED, kit.moment),
    "purging": lambda kit, _: kit.storage.purge_sessions(kit.moment),
    "get_analytics": lambda kit, _: kit.storage.analytics(None, None),
    "statistics": lambda kit, _: kit.storage.statistics(),
    "optimize_storage": lambda kit, _: kit.storage.optimize(),
    "backup": lambda kit, path: kit.storage.backup(path / "copy.db"),
}


@pytest.mark.parametrize("operation", REFUSED)
async def test_what_it_cannot_do_is_refused_by_name(kit: StorageKit, tmp_path: Path, operation: str) -> None:
    await kit.turn("question", "answer")
    before = await kit.record()
    with pytest.raises(StorageError, match=f"Lists cannot do this: .*{operation}"):
        await REFUSED[operation](kit, tmp_path)
    assert await kit.record() == before


async def test_what_only_this_process_knows_may_change(kit: StorageKit) -> None:
    state = native_state(cursor=0, turn_id="t")
    assert (await kit.change(native=state)).native == state


class Odd:
    """Not a subclass, plain methods where it likes, and every value in a form of its own."""

    def __init__(self, session: object, messages: object) -> None:
        self.session, self.messages = session, messages

    def create_session(self, *_: object) -> None:
        """Store nothing."""

    def get_session(self, session_id: str) -> object:
        return self.session if session_id == "s" else None

    def add_message(self, session_id: str, message: dict[str, Any]) -> None:
        """Store nothing."""

    async def get_messages(self, session_id: str, limit: object, role: object, since: object) -> object:
        return self.messages

    def health_check(self) -> dict[str, Any]:
        return {"status": "fine", "nodes": 3}

    def close(self) -> None:
        """Release nothing."""


SESSION = {"user_id": "u", "provider": "mock", "model": "m"}
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
LOCAL_NOON = NOON.astimezone().replace(tzinfo=None)


@pytest.mark.parametrize(
    "entry",
    [
        {"role": "user", "content": "hi", "timestamp": NOON, "message_id": "1", "metadata": {"k": 1}},
        {"role": b"user", "content": b"hi", "timestamp": NOON.isoformat().encode(), "id": 1, "metadata": b'{"k": 1}'},
        {"role": "user", "content": "hi", "timestamp": str(NOON.timestamp()), "message_id": 1, "metadata": '{"k": 1}'},
        {"role": "user", "content": "hi", "timestamp": NOON.timestamp() * 1000, "id": "1", "metadata": {b"k": 1}},
        {
            "role": "user",
            "content": "hi",
            "timestamp": LOCAL_NOON,
            "id": "1",
            "metadata": {"k": 1},
        },
        json.dumps({"role": "user", "content": "hi", "timestamp": NOON.isoformat(), "id": "1", "metadata": {"k": 1}}),
        SimpleNamespace(role="user", content="hi", timestamp=NOON, message_id="1", metadata={"k": 1}, _private=1),
        SessionMessage(role=Role.USER, content="hi", timestamp=NOON, message_id="1", metadata={"k": 1}),
    ],
)
async def test_returned_values_are_normalised(entry: object) -> None:
    adapter = SimpleStorageAdapter(cast("SessionStorage", Odd(SESSION, [entry])))
    (message,) = await StorageKit(adapter, "s", NOON).transcript()
    assert (message.role, message.content, message.timestamp) == (Role.USER, "hi", NOON)
    assert (message.message_id, message.metadata) == ("1", {"k": 1})
    assert message.status is TurnState.COMPLETED
    await adapter.close()


@pytest.mark.parametrize(
    "session",
    [
        {**SESSION, "config": '{"tags": ["x"]}', "context": b'{"k": "v"}', "created_at": "1714564800"},
        json.dumps({**SESSION, "config": {"tags": ["x"]}, "context": {"k": "v"}, "created_at": NOON.isoformat()}),
        SimpleNamespace(**SESSION, config={"tags": ["x"]}, context={"k": "v"}, created_at=NOON),
    ],
)
async def test_returned_sessions_are_normalised(session: object) -> None:
    adapter = SimpleStorageAdapter(cast("SessionStorage", Odd(session, "[]")))
    record = await StorageKit(adapter, "s", NOON).record()
    assert (record.user_id, record.config.tags, dict(record.context)) == ("u", ("x",), {"k": "v"})
    assert record.created_at == NOON
    assert await adapter.load_session("other") is None
    health = await adapter.check_health()
    assert (health["status"], health["nodes"]) == ("fine", 3)
    await adapter.close()


@pytest.mark.parametrize(
    ("session", "messages", "problem"),
    [
        ({"provider": "p", "model": "m"}, [], "user_id"),
        (17, [], "mapping"),
        ("not json", [], "not JSON"),
        ({**SESSION, "created_at": "yesterday"}, [], "created_at"),
        ({**SESSION, "created_at": NOON, "config": {"nonsense": 1}}, [], "config"),
        ({**SESSION, "created_at": NOON, "context": [1]}, [], "context"),
        (SESSION, {"no": "list"}, "messages"),
        (SESSION, [{"role": "king", "content": "x", "timestamp": NOON}], "role"),
        (SESSION, [{"role": "user", "content": "x"}], "timestamp"),
        (SESSION, [{"role": "user", "content": "x", "timestamp": NOON, "seq": "two"}], "seq"),
    ],
)
async def test_unreadable_values_name_the_field(session: object, messages: object, problem: str) -> None:
    adapter = SimpleStorageAdapter(cast("SessionStorage", Odd(session, messages)))
    with pytest.raises(StorageError, match=problem):
        await adapter.load_session("s")
    await adapter.close()


async def test_health_and_closing_are_the_storage_s(lists: Lists, adapter: EngineStorage) -> None:
    assert (await adapter.check_health())["status"] == "healthy"
    lists.broken = True
    with pytest.raises(StorageError, match="health_check"):
        await adapter.check_health()
    await adapter.close()
    assert lists.closed == 0, "it was opened by whoever made it"
    await SimpleStorageAdapter(cast("SessionStorage", lists)).close()
    assert lists.closed == 1


def test_it_says_once_what_it_does_not_do(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="langswarm_sessions.storage"):
        open_storage(Lists())
    assert [record.message for record in caplog.records].count(
        "Turns over Lists are ordered within this process only: do not open one session from two processes."
    ) == 1


def test_a_storage_without_its_methods_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="object lacks create_session, get_session"):
        open_storage(cast("SessionStorage", object()))
