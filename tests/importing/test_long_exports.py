"""Exports that are long, and exports that are old."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import threading
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest

from langswarm_sessions import SessionManager, SessionMessage
from langswarm_sessions.errors import ImportFormatError
from langswarm_sessions.importing import exports, whole
from langswarm_sessions.messages.tokens import estimate_tokens
from langswarm_sessions.session import reading
from langswarm_sessions.storage.sql import message_rows, restore
from langswarm_sessions.storage.sql import storage as sql_storage
from langswarm_sessions.storage.sql.conversation_rows import conversation_rows
from tests.importing.held import exported, plain_export
from tests.session.kit import PATIENCE_SECONDS, OpenManager, backend, manager, open_manager

__all__ = ["backend", "manager", "open_manager"]


async def test_figures_that_an_export_does_not_tell_are_those_of_its_answers(manager: SessionManager) -> None:
    usage = {"input_tokens": 2, "output_tokens": 3, "total_tokens": 5}
    told = {"provider": "openai", "model": "gpt-5", "usage": usage}
    data = plain_export(
        {"content": "hi", "turn_id": "t"},
        {"role": "assistant", "turn_id": "t", "provider_metadata": {**told, "cost_usd": "0.25"}},
        {"content": "and?", "turn_id": "u"},
        {"role": "assistant", "turn_id": "u", "provider_metadata": told},
    )
    session = await manager.import_conversation(data)
    metrics, analytics = await session.get_metrics(), await manager.get_analytics()
    assert (metrics.total_tokens, metrics.total_cost, metrics.unpriced_turns) == (10, Decimal("0.25"), 1)
    assert (analytics.total_tokens, analytics.total_cost, analytics.unpriced_turns) == (10, Decimal("0.25"), 1)
    figures = (await exported(session))["figures"]
    assert (figures["turns"], figures["input_tokens"], figures["output_tokens"]) == (2, 4, 6)


@pytest.mark.parametrize(("module", "name"), [(exports, "read_export"), (whole, "are_the_same"), (reading, "exported")])
async def test_others_go_on_while_a_long_conversation_is_worked_on(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    done_by: set[str] = set()
    original = getattr(module, name)

    def noted(*arguments: Any, **options: Any) -> Any:
        done_by.add(threading.current_thread().name)
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, noted)
    session = await manager.import_conversation(plain_export({"content": "hi"}))
    assert await manager.import_conversation(await session.export_conversation()) is session
    assert done_by
    assert threading.current_thread().name not in done_by


async def test_ids_are_looked_up_once_for_all_turns(manager: SessionManager, monkeypatch: pytest.MonkeyPatch) -> None:
    lookups: list[int] = []
    original = message_rows.taken_ids

    def counted(connection: Any, given: Any) -> set[str]:
        lookups.append(len(given))
        return original(connection, given)

    for module in (message_rows, restore):
        monkeypatch.setattr(module, "taken_ids", counted)
    data = plain_export(*({"content": "hi", "turn_id": f"t{number // 2}"} for number in range(20)))
    first = await manager.import_conversation(data)
    assert lookups == [20]
    second = await manager.import_conversation(data, session_id="other")
    old, new = await first.get_messages(), await second.get_messages()
    assert not {message.message_id for message in old} & {message.message_id for message in new}


STORAGES: dict[str, dict[str, Any]] = {
    "memory": {"storage": "memory"},
    "WAL": {"storage_config": {"db_path": "ours.db", "pool_size": 1, "max_overflow": 0}},
    "no WAL": {"storage_config": {"db_path": "ours.db", "pool_size": 1, "max_overflow": 0, "enable_wal": False}},
}


@pytest.mark.parametrize("storage", STORAGES)
async def test_others_read_and_write_while_the_rows_are_made(
    open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch, storage: str
) -> None:
    manager = open_manager(**STORAGES[storage])
    other = await manager.create_session("bob", "mock", "m", session_id="other")
    loop = asyncio.get_running_loop()
    held: list[int] = []

    async def talk() -> None:
        await other.add_message("user", "meanwhile")
        held.append(len(await other.get_messages()))

    def noted(message: SessionMessage) -> int:
        if message.content != "meanwhile":
            asyncio.run_coroutine_threadsafe(talk(), loop).result(PATIENCE_SECONDS)
            if storage != "memory":  # another process
                with closing(sqlite3.connect("ours.db", timeout=0)) as database, database:
                    database.execute("UPDATE sessions SET name = 'written meanwhile'")
        return estimate_tokens(message)

    monkeypatch.setattr(message_rows, "estimate_tokens", noted)
    session = await manager.import_conversation(plain_export(*({"content": "hi"} for _ in range(3))))
    assert held == [1, 2, 3]
    assert session.message_count == 3


async def test_an_id_that_is_taken_while_the_rows_are_made_is_replaced(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await manager.create_session("bob", "mock", "m", session_id="other")
    loop = asyncio.get_running_loop()

    def overtaken(*arguments: Any, **options: Any) -> Any:
        adding = other.add_message("user", "mine", message_id="m1")
        asyncio.run_coroutine_threadsafe(adding, loop).result(PATIENCE_SECONDS)
        return conversation_rows(*arguments, **options)

    monkeypatch.setattr(sql_storage, "conversation_rows", overtaken)
    session = await manager.import_conversation(plain_export(*({"content": f"{number}"} for number in range(3))))
    messages = await session.get_messages()
    assert [message.provider_message_id for message in messages] == [None, "m1", None]
    assert [message.parent_id for message in messages] == [None, "m0", messages[1].message_id]
    assert messages[1].message_id != "m1"
    assert [message.message_id for message in await other.get_messages()] == ["m1"]


async def test_figures_beyond_reckoning_spoil_no_analytics(manager: SessionManager) -> None:
    told = {"provider": "openai", "model": "gpt-5", "cost_usd": "600000"}
    answers = [{"role": "assistant", "content": "yes", "turn_id": "t", "provider_metadata": told} for _ in range(20)]
    with pytest.raises(ImportFormatError, match=r"messages\[1\]\.provider_metadata"):
        await manager.import_conversation(plain_export(*answers))
    data = plain_export(answers[0])
    with pytest.raises(ImportFormatError, match=r"figures\.response_ms must be"):
        await manager.import_conversation({**data, "figures": {"response_ms": 1e308, "response_count": 1}})
    for name in ("first", "second"):
        figures = {"response_ms": 2.0**53, "response_count": 1, "turns": 1}
        await manager.import_conversation({**data, "figures": figures}, session_id=name)
    analytics = await manager.get_analytics()
    assert math.isfinite(analytics.avg_response_time_ms)
    assert analytics.total_cost == 1_200_000
