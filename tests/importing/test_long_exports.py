"""Exports that are long, and exports that are old."""

from __future__ import annotations

import math
import threading
from decimal import Decimal
from typing import Any

import pytest

from langswarm_sessions import SessionManager
from langswarm_sessions.errors import ImportFormatError
from langswarm_sessions.importing import exports
from langswarm_sessions.storage.sql import message_rows, restore
from tests.importing.held import exported, plain_export
from tests.session.kit import backend, manager, open_manager

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


async def test_others_go_on_while_a_long_export_is_read(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_by: set[str] = set()
    original = exports.read_export

    def noted(*arguments: Any) -> Any:
        read_by.add(threading.current_thread().name)
        return original(*arguments)

    monkeypatch.setattr(exports, "read_export", noted)
    await manager.import_conversation(plain_export({"content": "hi"}))
    assert read_by
    assert threading.current_thread().name not in read_by


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
