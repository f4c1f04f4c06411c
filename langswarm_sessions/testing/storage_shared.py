"""What holds for a storage that several openers (processes, managers) share."""

# ruff: noqa: D102 - the name of a test says what holds

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from langswarm_sessions.errors import SessionExistsError
from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.records import Begun, Busy
from langswarm_sessions.testing.storage_conversations import spoken
from langswarm_sessions.testing.storage_kit import StorageFixtures, StorageKit, session_record, texts

__all__ = ["SharedStorageContract"]

MakeStorage = Callable[[], EngineStorage]


class SharedStorageContract(StorageFixtures):
    """Two openers of one database see one conversation. Override the fixture `make_storage`."""

    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        """Return what opens the same database again."""
        raise AssertionError("override the fixture `make_storage`")

    @pytest.fixture
    async def second(self, make_storage: MakeStorage) -> AsyncIterator[EngineStorage]:
        """Return a second opener."""
        async with AsyncExitStack() as stack:
            storage = make_storage()
            stack.push_async_callback(storage.close)
            yield storage

    async def test_both_see_the_same_conversation(self, kit: StorageKit, second: EngineStorage) -> None:
        other = StorageKit(second, kit.session_id, kit.moment)
        await kit.turn("one", "answer one")
        await other.turn("two", "answer two")
        assert await kit.transcript() == await other.transcript()
        assert texts(await kit.transcript()) == ["one", "answer one", "two", "answer two"]
        with pytest.raises(SessionExistsError):
            await second.insert_session(session_record(kit.session_id))

    async def test_a_lease_holds_for_both(self, kit: StorageKit, second: EngineStorage) -> None:
        other = StorageKit(second, kit.session_id, kit.moment)
        turn = await kit.begin("one")
        busy = await second.begin_turn(other.beginning("two"))
        assert isinstance(busy, Busy)
        await kit.finish(turn, "answer")
        assert isinstance(await kit.storage.begin_turn(kit.beginning("three")), Busy)
        assert isinstance(await second.begin_turn(other.beginning("two", ticket=busy.ticket)), Begun)

    async def test_both_at_once_make_one_session_and_lose_nothing(
        self, storage: EngineStorage, second: EngineStorage
    ) -> None:
        record = session_record()
        outcomes = await asyncio.gather(
            storage.insert_session(record), second.insert_session(record), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "SessionExistsError"]
        kits = [StorageKit(opener, record.session_id, record.created_at) for opener in (storage, second)]
        await asyncio.gather(*(kit.append(str(number)) for number in range(20) for kit in kits))
        stored = await kits[0].transcript()
        assert [message.seq for message in stored] == list(range(1, 41))

    async def test_it_outlives_its_openers(
        self, kit: StorageKit, make_storage: MakeStorage, second: EngineStorage
    ) -> None:
        await kit.turn("one", "answer one")
        before = await kit.transcript()
        await kit.storage.close()
        await second.close()
        third = make_storage()
        try:
            assert await StorageKit(third, kit.session_id, kit.moment).transcript() == before
        finally:
            await third.close()

    async def test_conversations_of_the_same_ids_stored_at_once_are_both_stored(
        self, storage: EngineStorage, second: EngineStorage
    ) -> None:
        openers, given = (storage, second) * 5, spoken(50)
        records = await asyncio.gather(*(one.insert_conversation(session_record(), given) for one in openers))
        ids: set[str] = set()
        for record in records:
            transcript = await StorageKit(storage, record.session_id, record.created_at).transcript()
            assert texts(transcript) == texts(given)
            ids |= {message.message_id for message in transcript}
        assert len(ids) == len(records) * len(given)
