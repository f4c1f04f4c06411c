"""Whoever logs everything reads neither what was said nor the key: not from here, and not from any SDK."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from langswarm_sessions import ProviderError
from tests.bad_input.kit import KEY, SECRET, Ask, Scene
from tests.support.relay import Answer, Change

TOOL: dict[str, Any] = {"name": "clock", "description": SECRET, "parameters": {"type": "object", "properties": {}}}
PAGE = f"<html>{SECRET}</html>".encode()
DATABASE = ("aiosqlite", "sqlalchemy")
"""Drivers that an application which logs everything has to hush by itself."""

NO_ANSWERS: dict[str, Change] = {
    "a page": lambda answer: answer.with_body(PAGE),
    "a refusal": lambda answer: replace(answer.with_body(PAGE), status=400),
    "a failure": lambda answer: replace(answer.with_body(PAGE), status=500),
    "half of it": lambda answer: _half(answer),
    "nothing": lambda answer: replace(answer.with_body(b""), is_cut=True),
}


def _half(answer: Answer) -> Answer:
    return replace(answer.with_body(answer.body[: len(answer.body) // 2]), is_cut=True)


def _told(records: list[logging.LogRecord]) -> list[str]:
    formatter = logging.Formatter()  # with the traceback, where there is one
    return [f"{record.name}: {formatter.format(record)}" for record in records]


async def test_nothing_that_is_said_reaches_a_log(scene: Scene, ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        scene.script(chunks=("the ", SECRET))
        await ask(f"{SECRET}?", instructions=SECRET, tools=[TOOL])
        for name, change in NO_ANSWERS.items():
            scene.relay.change(change)
            with suppress(ProviderError):
                await ask(f"{SECRET}, {name}")
            scene.relay.forget_changes()
    told = _told([record for record in caplog.records if not record.name.startswith(DATABASE)])
    assert told, "something is logged"
    assert [line for line in told if SECRET in line or KEY in line] == []
