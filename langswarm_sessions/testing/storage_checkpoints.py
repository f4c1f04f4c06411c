"""What a storage that keeps checkpoints of graphs must do."""

# ruff: noqa: D102 - the name of a test says what holds

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from langswarm_sessions.errors import SessionExistsError, SessionNotFoundError
from langswarm_sessions.ids import now
from langswarm_sessions.interfaces.checkpoints import CheckpointStore
from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.records import Busy, SessionStatus
from langswarm_sessions.records.checkpoints import (
    CheckpointAddress,
    CheckpointQuery,
    CheckpointRemoval,
    CheckpointWrite,
    Encoded,
    NewCheckpoint,
    NewValue,
    StoredCheckpoint,
)
from langswarm_sessions.testing.storage_kit import StorageFixtures, StorageKit, session_record

__all__ = ["CheckpointContract"]

_HERE = CheckpointAddress(user_id="user", thread_id="thread")


class CheckpointContract(StorageFixtures):
    """Checkpoints: values shared by version, writes kept once, nobody else's touched, removed without a trace."""

    @pytest.fixture
    def store(self, storage: EngineStorage) -> CheckpointStore:
        """Return the storage's checkpoints."""
        store = storage.checkpoints
        assert store is not None, "the storage keeps checkpoints"
        return store

    async def test_a_checkpoint_is_read_back_as_it_was_stored(self, store: CheckpointStore) -> None:
        await store.put_checkpoint(_new("1", {"a": 1, "b": "x", "c": 1.5}, whole={"a": b"\x00a"}))
        found = await _loaded(store, "1")
        assert found.versions == {"a": 1, "b": "x", "c": 1.5}
        assert (found.body, found.entry.metadata) == (Encoded("t", b"body 1"), Encoded("t", b"metadata 1"))
        assert [(value.channel, value.segments[0].value) for value in found.values] == [("a", Encoded("t", b"\x00a"))]
        assert (await _loaded(store, None)).entry.checkpoint_id == "1"
        assert await store.load_checkpoint(_HERE, "2") is None

    async def test_the_newest_is_the_one_stored_last_whatever_its_id(self, store: CheckpointStore) -> None:
        for name, parent in (("5", None), ("3", "5")):
            await store.put_checkpoint(_new(name, {}, parent=parent))
        assert (await _loaded(store, None)).entry.checkpoint_id == "3"
        assert [(await _loaded(store, name)).is_newest for name in ("5", "3", None)] == [False, True, True]

    async def test_unchanged_values_are_those_of_earlier_checkpoints(self, store: CheckpointStore) -> None:
        await store.put_checkpoint(_new("1", {"a": 1, "b": 1}, whole={"a": b"a1", "b": b"b1"}))
        await store.put_checkpoint(_new("2", {"a": 2, "b": 1}, parent="1", whole={"a": b"a2"}))
        assert _values(await _loaded(store, "2")) == {"a": b"a2", "b": b"b1"}
        assert _values(await _loaded(store, "1")) == {"a": b"a1", "b": b"b1"}

    async def test_a_value_without_a_version_is_its_checkpoints_own(self, store: CheckpointStore) -> None:
        own = NewValue(channel="a", version="@1", kind="whole", value=Encoded("t", b"own"))
        await store.put_checkpoint(_new("1", {}, values=(own,)))
        await store.put_checkpoint(_new("2", {}, parent="1"))
        assert _values(await _loaded(store, "1")) == {"a": b"own"}
        assert _values(await _loaded(store, "2")) == {}

    async def test_lists_are_read_through_the_versions_they_build_on(self, store: CheckpointStore) -> None:
        for number in range(1, 6):
            before = str(number - 1) if number > 1 else None
            new = _list("a", str(number), b"%d" % number, kept=number - 1, base=before)
            await store.put_checkpoint(_new(str(number), {"a": number}, parent=before, values=(new,)))
        [value] = (await _loaded(store, None)).values
        assert [(part.start, part.value.data) for part in value.segments] == [(n - 1, b"%d" % n) for n in range(1, 6)]
        assert [part.owner for part in value.segments] == ["1", "2", "3", "4", "5"]

    async def test_a_value_that_builds_on_what_is_gone_is_refused(self, store: CheckpointStore) -> None:
        for base, owner in (("0", "1"), ("1", "somebody else")):
            await store.put_checkpoint(_new("1", {"a": 1}, whole={"a": b"a"}))
            value = _list("a", "2", b"b", kept=1, base=base, owner=owner)
            outcome = await store.put_checkpoint(_new("2", {"a": 2}, parent="1", values=(value,)))
            assert (outcome.stored, outcome.lacks_base) == (False, True)
            assert await store.load_checkpoint(_HERE, "2") is None

    async def test_only_the_newest_is_gone_on_from_where_that_is_asked(self, store: CheckpointStore) -> None:
        assert (await store.put_checkpoint(_new("1", {}, extends_head=True))).stored
        assert (await store.put_checkpoint(_new("2", {}, parent="1", extends_head=True))).stored
        await store.put_writes(_HERE, "3", [_write("task", 0, "a", b"of a refused checkpoint")])
        for parent in ("1", None):
            outcome = await store.put_checkpoint(_new("3", {}, parent=parent, extends_head=True))
            assert (outcome.stored, outcome.head) == (False, "2")
        assert (await store.put_checkpoint(_new("2", {}, parent="1", extends_head=True))).stored, "the same one again"
        assert (await store.put_checkpoint(_new("3", {}, parent="1"))).stored
        assert (await _loaded(store, "3")).writes == ()

    async def test_writes_are_kept_once_and_in_order(self, store: CheckpointStore) -> None:
        await store.put_writes(_HERE, "1", [_write("b", 0, "x", b"b0"), _write("b", 1, "y", b"b1")])
        await store.put_writes(_HERE, "1", [_write("b", 0, "x", b"again"), _write("b", -1, "e", b"old")])
        await store.put_writes(_HERE, "1", [_write("b", -1, "e", b"new"), _write("a", 0, "x", b"a0", path="~")])
        await store.put_checkpoint(_new("1", {}))
        writes = (await _loaded(store, "1")).writes
        assert [write.value.data for write in writes] == [b"new", b"b0", b"b1", b"a0"]

    async def test_threads_are_told_apart_by_user_and_namespace(self, store: CheckpointStore) -> None:
        for user, namespace in (("user", ""), ("user", "child"), ("other", "")):
            address = CheckpointAddress(user_id=user, thread_id="thread", namespace=namespace)
            await store.put_checkpoint(_new("1", {"a": 1}, whole={"a": f"{user}{namespace}".encode()}, address=address))
            found = await store.load_checkpoint(address, None)
            assert found is not None
            assert _values(found) == {"a": f"{user}{namespace}".encode()}
        await store.delete_thread("other", "thread")
        assert await store.load_checkpoint(_HERE, "1") is not None
        assert [entry.address.namespace for entry in await store.list_checkpoints(CheckpointQuery(user_id="user"))] == [
            "child",
            "",
        ]
        assert await store.list_checkpoints(CheckpointQuery(user_id="other")) == []

    async def test_listing_goes_page_by_page_from_the_newest(self, store: CheckpointStore) -> None:
        for number in range(1, 6):
            await store.put_checkpoint(_new(str(number), {}, run_id=f"run {number % 2}"))
        first = await store.list_checkpoints(CheckpointQuery(user_id="user", thread_id="thread", limit=2))
        assert [entry.checkpoint_id for entry in first] == ["5", "4"]
        rest = await store.list_checkpoints(CheckpointQuery(user_id="user", after=first[-1]))
        assert [entry.checkpoint_id for entry in rest] == ["3", "2", "1"]
        cases: tuple[tuple[dict[str, Any], list[str]], ...] = (
            ({"before": "3"}, ["2", "1"]),
            ({"checkpoint_id": "4"}, ["4"]),
            ({"run_ids": ("run 0",)}, ["4", "2"]),
            ({"namespace": "child"}, []),
        )
        for more, expected in cases:
            found = await store.list_checkpoints(CheckpointQuery(user_id="user", **more))
            assert [entry.checkpoint_id for entry in found] == expected

    async def test_removing_takes_what_nobody_else_has(self, store: CheckpointStore) -> None:
        await store.put_checkpoint(_new("1", {"a": 1, "b": 1}, whole={"a": b"a1", "b": b"b1"}))
        value = _list("a", "2", b"a2", kept=1, base="1")
        await store.put_checkpoint(_new("2", {"a": 2, "b": 2}, parent="1", values=(value,), whole={"b": b"b2"}))
        await store.put_writes(_HERE, "1", [_write("t", 0, "a", b"w")])
        await store.remove_checkpoints(CheckpointRemoval(address=_HERE, checkpoint_ids=frozenset({"1"})))
        found = await _loaded(store, None)
        assert (found.entry.checkpoint_id, found.entry.parent_id) == ("2", None)
        assert [len(value.segments) for value in found.values if value.channel == "a"] == [2]
        counts = await store.statistics()
        assert (counts["checkpoints"], counts["values"], counts["writes"]) == (1, 3, 0)
        await store.remove_checkpoints(CheckpointRemoval(address=_HERE, checkpoint_ids=frozenset({"2"})))
        assert await store.load_checkpoint(_HERE, None) is None

    async def test_a_history_is_the_writes_since_the_nearest_value(self, store: CheckpointStore) -> None:
        await store.put_checkpoint(_new("1", {"d": 1}, whole={"d": b"seed"}))
        for name, parent in (("2", "1"), ("3", "2"), ("4", "3")):
            await store.put_writes(_HERE, parent, [_write("t", 0, "d", f"after {parent}".encode())])
            await store.put_checkpoint(_new(name, {"d": int(name)}, parent=parent))
        expected = [b"after 1", b"after 2", b"after 3"]
        assert await _history(store) == (b"seed", expected)
        needed = {"4": frozenset({"d"})}
        gone = frozenset({"1", "2", "3"})
        await store.remove_checkpoints(CheckpointRemoval(address=_HERE, checkpoint_ids=gone, needed=needed))
        assert await _history(store) == (b"seed", expected), "what is needed of the removed ones stays"
        assert [entry.checkpoint_id for entry in await store.list_checkpoints(CheckpointQuery(user_id="user"))] == ["4"]
        assert await store.load_checkpoint(_HERE, "2") is None
        assert (await _loaded(store, "4")).entry.parent_id is None

    async def test_threads_that_nobody_uses_are_removed_and_no_others(self, store: CheckpointStore) -> None:
        moment = now()
        names = [("user", "old"), ("user", "new"), ("other", "old"), *(("many", str(number)) for number in range(120))]
        for user, name in names:
            address = CheckpointAddress(user_id=user, thread_id=name)
            when = moment if name == "new" else moment - timedelta(days=2)
            await store.put_checkpoint(_new("1", {"a": 1}, whole={"a": b"a"}, address=address, now=when))
        before = moment - timedelta(days=1)
        assert await store.delete_inactive_threads(before, user_id="user") == 1
        assert await store.delete_inactive_threads(before, user_id="user") == 0
        assert (await store.statistics())["threads"] == 122
        assert await store.delete_inactive_threads(before) == 121
        assert {name: count for name, count in (await store.statistics()).items() if count} == {
            "threads": 1,
            "checkpoints": 1,
            "values": 1,
            "value_bytes": 1,
            "checkpoint_bytes": 16,
        }

    async def test_a_purged_session_takes_its_thread_along(
        self, storage: EngineStorage, store: CheckpointStore
    ) -> None:
        names = [("user", "purged"), ("user", "kept"), ("other", "purged")]
        for user, name in names:
            address = CheckpointAddress(user_id=user, thread_id=name)
            await store.put_checkpoint(_new("1", {"a": 1}, whole={"a": b"a"}, address=address))
        moment = now()
        gone = session_record("purged", status=SessionStatus.DELETED, deleted_at=moment - timedelta(days=2))
        for record in (gone, session_record("kept")):
            await storage.insert_session(record)
        assert await storage.purge_sessions(moment - timedelta(days=1)) == ["purged"]
        left = [
            (user, name)
            for user, name in names
            if await store.load_checkpoint(CheckpointAddress(user_id=user, thread_id=name), None)
        ]
        assert left == [("user", "kept"), ("other", "purged")], "a thread of the same user and id, and no other"

    async def test_a_session_to_wait_for_stays_while_it_is_held_or_waited_for(
        self, kit: StorageKit, store: CheckpointStore
    ) -> None:
        turn = await kit.begin("first")
        await store.forget_turn(kit.session_id)
        waiting = await kit.storage.begin_turn(kit.beginning("second"))
        assert isinstance(waiting, Busy)
        await kit.finish(turn)
        await store.forget_turn(kit.session_id)
        assert await kit.storage.load_session(kit.session_id) is not None
        await kit.storage.leave_line(kit.session_id, waiting.ticket)
        await store.forget_turn(kit.session_id)
        assert await kit.storage.load_session(kit.session_id) is None

    async def test_a_copy_stands_by_itself(self, store: CheckpointStore) -> None:
        await store.put_checkpoint(_new("1", {"a": 1}, whole={"a": b"a"}))
        await store.put_writes(_HERE, "1", [_write("t", 0, "a", b"w")])
        await store.copy_thread("user", "thread", "copy")
        with pytest.raises(SessionExistsError):
            await store.copy_thread("user", "thread", "copy")
        with pytest.raises(SessionNotFoundError):
            await store.copy_thread("other", "thread", "copy")
        await store.delete_thread("user", "thread")
        copied = await store.load_checkpoint(CheckpointAddress(user_id="user", thread_id="copy"), None)
        assert copied is not None
        assert (_values(copied), len(copied.writes)) == ({"a": b"a"}, 1)


def _new(
    name: str,
    versions: Mapping[str, int | float | str],
    *,
    parent: str | None = None,
    whole: Mapping[str, bytes] | None = None,
    values: tuple[NewValue, ...] = (),
    address: CheckpointAddress = _HERE,
    **more: Any,
) -> NewCheckpoint:
    plain = tuple(
        NewValue(channel=channel, version=str(versions[channel]), kind="whole", value=Encoded("t", data))
        for channel, data in (whole or {}).items()
    )
    fields: dict[str, Any] = {"run_id": None, "now": now(), **more}
    return NewCheckpoint(
        address=address,
        checkpoint_id=name,
        parent_id=parent,
        body=Encoded("t", f"body {name}".encode()),
        metadata=Encoded("t", f"metadata {name}".encode()),
        versions=versions,
        values=(*values, *plain),
        **fields,
    )


def _list(
    channel: str, version: str, data: bytes, *, kept: int, base: str | None, owner: str | None = None
) -> NewValue:
    return NewValue(
        channel=channel,
        version=version,
        kind="items",
        value=Encoded("items", data),
        length=kept + 1,
        kept=kept,
        base=base,
        base_owner=owner or base,
    )


def _write(task: str, index: int, channel: str, data: bytes, *, path: str = "") -> CheckpointWrite:
    return CheckpointWrite(task_id=task, index=index, channel=channel, value=Encoded("t", data), task_path=path)


def _values(found: StoredCheckpoint) -> dict[str, bytes]:
    return {value.channel: value.segments[-1].value.data for value in found.values}


async def _loaded(store: CheckpointStore, checkpoint_id: str | None) -> StoredCheckpoint:
    found = await store.load_checkpoint(_HERE, checkpoint_id)
    assert found is not None
    return found


async def _history(store: CheckpointStore) -> tuple[bytes | None, list[bytes]]:
    history = (await store.load_history(_HERE, None, ["d"]))["d"]
    seed = None if history.seed is None else history.seed.segments[-1].value.data
    return seed, [write.value.data for write in history.writes]
