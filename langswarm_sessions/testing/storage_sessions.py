"""What the manager relies on when it changes, lists, counts and cleans up sessions."""

# ruff: noqa: D102 - the name of a test says what holds

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from langswarm_sessions.config import SessionConfig, Strategy
from langswarm_sessions.errors import InvalidInputError, SessionExistsError, StorageError
from langswarm_sessions.ids import now
from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.messages import TurnState
from langswarm_sessions.records import SessionFilter, SessionRecord, SessionStatus, Usage
from langswarm_sessions.testing.storage_kit import StorageFixtures, StorageKit, native_state, session_record

__all__ = ["SessionsContract"]

START = datetime(2024, 1, 1, tzinfo=UTC)


async def _ids(storage: EngineStorage, wanted: SessionFilter) -> list[str]:
    return [record.session_id for record in await storage.list_sessions(wanted)]


class SessionsContract(StorageFixtures):
    """Changing, listing, cleaning up and counting sessions."""

    async def test_a_change_is_stored_whole(self, kit: StorageKit) -> None:
        moment = now()
        changes = {
            "provider": "other",
            "model": "other-model",
            "strategy": Strategy.CLIENT,
            "config": SessionConfig(name="Näme", tags=("a", "b"), max_messages=3, auto_archive_after=timedelta(days=1)),
            "provider_config": {"temperature": 1},
            "context": {"k": {"v": [1]}},
            "last_activity": moment,
            "native": native_state(cursor=0, turn_id="t", suspect=True),
            "instructions": "Be brief.",
        }
        changed = await kit.change(**changes)
        loaded = await kit.record()
        assert changed == loaded
        for name, value in changes.items():
            assert getattr(loaded, name) == value, name
        assert loaded.version == 2
        assert await kit.change() == loaded
        assert await kit.storage.change_session("nobody", lambda record: record) is None

    async def test_changes_of_many_callers_all_count(self, kit: StorageKit) -> None:
        def add(number: int) -> asyncio.Future[SessionRecord | None]:
            return asyncio.ensure_future(
                kit.storage.change_session(
                    kit.session_id, lambda record: replace(record, context={**record.context, str(number): number})
                )
            )

        await asyncio.gather(*(add(number) for number in range(20)))
        assert len((await kit.record()).context) == 20

    async def test_a_change_that_fails_changes_nothing(self, kit: StorageKit) -> None:
        def fail(_: SessionRecord) -> SessionRecord:
            raise InvalidInputError("no")

        before = await kit.record()
        with pytest.raises(InvalidInputError):
            await kit.storage.change_session(kit.session_id, fail)
        with pytest.raises(InvalidInputError):
            await kit.change(context={"bad": {1, 2}})
        with pytest.raises(InvalidInputError):
            await kit.change(context={"bad": "\ud800"})
        assert await kit.record() == before

    async def test_sessions_are_filtered(self, storage: EngineStorage) -> None:
        def config(name: str, *tags: str) -> SessionConfig:
            return SessionConfig(name=name, tags=tags, description="100% of ideas")

        await storage.insert_session(session_record("a", config=config("Apples", "x", "y"), last_activity=START))
        hour = timedelta(hours=1)
        await storage.insert_session(session_record("b", config=config("Bananas", "x"), last_activity=START + hour))
        other = session_record("c", user_id="else", provider="openai", last_activity=START + 2 * hour)
        await storage.insert_session(other)
        gone = session_record("d", status=SessionStatus.DELETED, last_activity=START + 3 * hour)
        await storage.insert_session(gone)
        kept = session_record("e", status=SessionStatus.ARCHIVED, last_activity=START + 4 * hour)
        await storage.insert_session(kept)
        assert await _ids(storage, SessionFilter()) == ["e", "c", "b", "a"]
        assert await _ids(storage, SessionFilter(statuses=(SessionStatus.DELETED,))) == ["d"]
        assert await _ids(storage, SessionFilter(user_id="user")) == ["e", "b", "a"]
        assert await _ids(storage, SessionFilter(user_id="user", statuses=(SessionStatus.ACTIVE,))) == ["b", "a"]
        assert await _ids(storage, SessionFilter(provider="openai")) == ["c"]
        assert await _ids(storage, SessionFilter(tags=("x",))) == ["b", "a"]
        assert await _ids(storage, SessionFilter(tags=("x", "y"))) == ["a"]
        assert await _ids(storage, SessionFilter(tags=("nothing",))) == []
        assert await _ids(storage, SessionFilter(text="banana")) == ["b"]
        assert await _ids(storage, SessionFilter(text="100% of")) == ["b", "a"]
        assert await _ids(storage, SessionFilter(text="100_ of")) == []
        assert await _ids(storage, SessionFilter(since=START + hour)) == ["e", "c", "b"]
        assert await _ids(storage, SessionFilter(inactive_since=START + hour)) == ["a"]
        assert await _ids(storage, SessionFilter(more_messages_than=0)) == []
        assert await _ids(storage, SessionFilter(limit=2)) == ["e", "c"]
        assert await _ids(storage, SessionFilter(limit=0)) == []

    async def test_tags_follow_the_config(self, kit: StorageKit) -> None:
        await kit.change(config=SessionConfig(tags=("one", "two")))
        await kit.change(config=SessionConfig(tags=("two", "three")))
        assert await _ids(kit.storage, SessionFilter(tags=("two", "three"))) == [kit.session_id]
        assert await _ids(kit.storage, SessionFilter(tags=("one",))) == []

    async def test_pages_of_sessions_cover_them_once(self, storage: EngineStorage) -> None:
        for number in range(23):  # several at the same moment
            record = session_record(f"s{number:02}", last_activity=START + timedelta(hours=number // 5))
            await storage.insert_session(record)
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = await storage.list_sessions(SessionFilter(user_id="user", limit=4, cursor=cursor))
            assert len(page) <= 4
            seen.extend(record.session_id for record in page)
            if (cursor := page.next_cursor) is None:
                break
        assert seen == await _ids(storage, SessionFilter())
        assert len(set(seen)) == 23
        for bad in ("", "x", "WzFd", "WyJhIiwiYiJd"):
            with pytest.raises(InvalidInputError, match="cursor"):
                await storage.list_sessions(SessionFilter(cursor=bad))

    async def test_a_cursor_from_the_end_of_time_is_harmless(self, storage: EngineStorage) -> None:
        far = "WzkyMjMzNzIwMzY4NTQ3NzU4MDcsIngiXQ"  # [9223372036854775807, "x"]
        with pytest.raises(InvalidInputError, match="cursor"):
            await storage.list_sessions(SessionFilter(cursor=far))

    async def test_many_sessions_change_status_at_once(self, storage: EngineStorage) -> None:
        for number in range(4):
            await storage.insert_session(session_record(f"s{number}", last_activity=START + timedelta(days=number)))
        moment = now()
        old = SessionFilter(statuses=(SessionStatus.ACTIVE,), inactive_since=START + timedelta(days=2))
        assert sorted(await storage.change_status(old, SessionStatus.ARCHIVED, moment)) == ["s0", "s1"]
        archived = await storage.load_session("s0")
        assert archived is not None
        assert (archived.status, archived.archived_at, archived.version) == (SessionStatus.ARCHIVED, moment, 2)
        assert await storage.change_status(old, SessionStatus.ARCHIVED, moment) == []
        assert await _ids(storage, SessionFilter(archived_before=moment)) == []
        assert await _ids(storage, SessionFilter(archived_before=moment + timedelta(seconds=1))) == ["s1", "s0"]
        limited = SessionFilter(statuses=(SessionStatus.ACTIVE,), limit=1)
        assert await storage.change_status(limited, SessionStatus.DELETED, moment) == ["s3"]

    async def test_purging_destroys_only_what_is_due(self, storage: EngineStorage) -> None:
        moment = now()
        kits: dict[str, StorageKit] = {}
        for name in ("kept", "due", "recent"):
            kits[name] = await StorageKit.of_new_session(storage, session_id=name, config=SessionConfig(tags=("tag",)))
            await kits[name].turn("question", "answer")
        await kits["due"].change(status=SessionStatus.DELETED, deleted_at=moment - timedelta(days=2))
        await kits["recent"].change(status=SessionStatus.DELETED, deleted_at=moment)
        with pytest.raises(SessionExistsError):
            await storage.insert_session(session_record("due"))
        assert await storage.purge_sessions(moment - timedelta(days=1)) == ["due"]
        assert await storage.purge_sessions(moment - timedelta(days=1)) == []
        assert await storage.load_session("due") is None
        assert await kits["due"].transcript() == []
        assert len(await kits["kept"].transcript()) == 2
        assert len(await kits["recent"].transcript()) == 2
        statistics = await storage.statistics()
        assert (statistics["sessions"], statistics["messages"], statistics["turns"]) == (2, 4, 2)
        await storage.insert_session(session_record("due"))

    async def test_purging_many_goes_in_batches(self, storage: EngineStorage) -> None:
        moment = now()
        for number in range(450):
            gone = session_record(f"s{number}", status=SessionStatus.DELETED, deleted_at=moment)
            await storage.insert_session(gone)
        assert len(await storage.purge_sessions(moment + timedelta(seconds=1))) == 450
        assert (await storage.statistics())["sessions"] == 0

    async def test_analytics_count_turns_and_sessions(self, storage: EngineStorage) -> None:
        empty = await storage.analytics(None, None)
        assert (empty.total_sessions, empty.active_users, empty.model_usage) == (0, 0, {})
        first = await StorageKit.of_new_session(storage, user_id="a")
        second = await StorageKit.of_new_session(storage, user_id="b")
        gone = await StorageKit.of_new_session(storage, user_id="c")
        usage = Usage(input_tokens=1, output_tokens=1, total_tokens=2)
        for kit, model, milliseconds in ((first, "small", 10.0), (first, "large", 30.0), (second, "small", 20.0)):
            turn = await kit.begin("question")
            await kit.finish(turn, "answer", model=model, usage=usage, duration_ms=milliseconds)
        await first.failed_turn("failed")
        await gone.turn("question", "answer")
        await gone.change(status=SessionStatus.DELETED)
        found = await storage.analytics(None, None)
        assert (found.total_sessions, found.active_users) == (2, 2)
        assert found.avg_messages_per_session == pytest.approx(3.5)
        assert found.model_usage == {"small": 2, "large": 1}
        assert found.provider_usage == {"mock": 3}
        assert found.total_tokens == 6
        assert found.avg_response_time_ms == pytest.approx(20.0)
        later = now() + timedelta(days=1)
        assert (await storage.analytics(later, None)).total_sessions == 0
        assert (await storage.analytics(None, later - timedelta(days=9))).model_usage == {}
        assert (await storage.analytics(later - timedelta(days=2), later)).provider_usage == {"mock": 3}

    async def test_interrupted_turns_keep_what_they_cost(self, kit: StorageKit) -> None:
        turn = await kit.begin("question", idempotency_key="key")
        await kit.finish(turn, "half", state=TurnState.INTERRUPTED)
        again = await kit.begin("question", idempotency_key="key")
        await kit.finish(again, "whole")
        assert (await kit.record()).counters.total_tokens == 14
        assert (await kit.storage.analytics(None, None)).total_tokens == 14

    async def test_it_says_how_it_is(self, storage: EngineStorage) -> None:
        health = await storage.check_health()
        assert health["backend"] == storage.backend
        assert health["latency_ms"] >= 0
        await storage.insert_session(session_record())
        statistics = await storage.statistics()
        assert (statistics["sessions"], statistics["active_sessions"]) == (1, 1)
        assert statistics["database_bytes"] > 0
        await storage.optimize()
        assert (await storage.statistics())["sessions"] == 1

    async def test_a_backup_is_a_whole_database(self, kit: StorageKit, tmp_path: Path) -> None:
        await kit.turn("question", "answer")
        target = tmp_path / "new folder" / "copy.db"
        assert await kit.storage.backup(target) == target
        assert target.stat().st_size > 0
        with pytest.raises(StorageError, match="exists"):
            await kit.storage.backup(target)

    async def test_a_closed_storage_says_so(self, storage: EngineStorage) -> None:
        await storage.insert_session(session_record())
        await storage.close()
        await storage.close()
        with pytest.raises(StorageError, match="closed"):
            await storage.load_session("x")
