"""How much room a window has, who says so, and when anybody is asked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from langswarm_sessions import ConfigurationError
from langswarm_sessions.config import SessionConfig, Strategy
from langswarm_sessions.interfaces.provider import EngineProvider, ModelLimits, ProviderEvent, ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.messages.tokens import told_tokens
from langswarm_sessions.providers.openai.profile import OPENAI_PROFILE
from langswarm_sessions.records import SessionRecord, TurnOptions
from langswarm_sessions.window import DEFAULT_WINDOW_TOKENS, ModelWindows, RoomSource, WindowRoom, models
from langswarm_sessions.window.room import answer_tokens
from langswarm_sessions.window.table import table_limits

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = TurnOptions()
TOO_LONG = ProviderRequest(messages=(SessionMessage(role=Role.USER, content="hi"),))


def record(**config: Any) -> SessionRecord:
    return SessionRecord(
        session_id="s",
        user_id="u",
        provider="openai",
        model="m",
        strategy=Strategy.CLIENT,
        created_at=MOMENT,
        last_activity=MOMENT,
        config=SessionConfig(**config),
    )


class Model(EngineProvider):
    """A model that can be asked, and remembers how often it was."""

    name = "openai"
    profile = OPENAI_PROFILE

    def __init__(self, model: str, *, limits: ModelLimits | Exception | None = None, tokens: int | None = None) -> None:
        self.model, self._limits, self._tokens = model, limits, tokens
        self.asked: list[str] = []

    def stream_turn(self, request: ProviderRequest) -> AsyncIterator[ProviderEvent]:
        raise AssertionError("no turn is sent here")

    def translate(self, error: Exception) -> Exception:
        return error

    async def model_limits(self) -> ModelLimits | None:
        self.asked.append("limits")
        if isinstance(self._limits, Exception):
            raise self._limits
        return self._limits

    async def count_tokens(self, request: ProviderRequest) -> int | None:
        self.asked.append("count")
        return self._tokens


@pytest.mark.parametrize(
    ("wanted", "limits", "tokens", "source"),
    [
        (None, None, DEFAULT_WINDOW_TOKENS, RoomSource.DEFAULT),
        (None, ModelLimits(context_tokens=1_000_000), DEFAULT_WINDOW_TOKENS, RoomSource.DEFAULT),
        ("model", ModelLimits(context_tokens=1_000_000), 968_000, RoomSource.PROVIDER),
        ("model", ModelLimits(context_tokens=1_000_000, is_told=False), 968_000, RoomSource.TABLE),
        ("model", None, DEFAULT_WINDOW_TOKENS, RoomSource.DEFAULT),
        (None, ModelLimits(context_tokens=16_000, is_told=False), 12_000, RoomSource.TABLE),
        (200_000, ModelLimits(context_tokens=16_000), 200_000, RoomSource.CONFIG),
        (50, None, 50, RoomSource.CONFIG),
    ],
)
def test_the_user_beats_the_provider_the_table_and_the_default(
    wanted: Any, limits: ModelLimits | None, tokens: int, source: RoomSource
) -> None:
    answer = 0 if limits is None else answer_tokens(limits, max_tokens=None)
    room, config = WindowRoom(limits=limits, answer=answer), SessionConfig(max_tokens_window=wanted)
    assert (room.tokens(config), room.source(config)) == (tokens, source)


def test_room_is_kept_for_the_answer_the_instructions_and_the_tools() -> None:
    limits = ModelLimits(context_tokens=16_000, output_tokens=2_000)
    assert answer_tokens(limits, max_tokens=None) == 2_000
    assert answer_tokens(limits, max_tokens=500) == 500
    assert told_tokens(None, ()) == 0
    assert told_tokens("Be brief.", ()) == told_tokens("Be very brief.", ()) == 1_024, "a word does not move the window"
    room = WindowRoom(limits=limits, answer=500, told=1_024)
    assert room.tokens(SessionConfig()) == 14_476
    crowded = WindowRoom(limits=limits, answer=500, told=50_000)
    assert crowded.tokens(SessionConfig()) == 4_000, "whatever the tools take, a quarter is for the conversation"


def test_max_tokens_window_is_a_number_or_model() -> None:
    assert SessionConfig(max_tokens_window="model").to_json() == {"max_tokens_window": "model"}
    for wrong in ("all", 0, 1.5, True):
        with pytest.raises(ConfigurationError, match="max_tokens_window"):
            SessionConfig(max_tokens_window=wrong)  # type: ignore[arg-type]


def test_the_table_knows_models_by_provider() -> None:
    known = table_limits("openai", "gpt-3.5-turbo")
    assert known == ModelLimits(context_tokens=16_385, is_told=False)
    assert table_limits("gcp.gemini", "gemini-2.5-flash") is not None
    assert table_limits("openai", "no-such-model") is None
    assert table_limits("mock", "gpt-4o") is None


def test_the_table_is_loaded_when_it_is_asked_and_fetches_nothing() -> None:
    source = """
import socket, sys
import langswarm_sessions
from langswarm_sessions import create_session_manager
with create_session_manager(storage="memory", blocking=True) as manager:
    manager.create_session("u", "mock", "m", strategy="client").send_message("hi" * 9_000)
assert "genai_prices" not in sys.modules
socket.socket.connect = lambda *_: sys.exit("it reached for the network")
from langswarm_sessions.window.room import answer_tokens
from langswarm_sessions.window.table import table_limits
assert table_limits("anthropic", "claude-haiku-5-5").context_tokens > 100_000
assert "genai_prices" in sys.modules
"""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", source], check=True, cwd=root)


async def test_nobody_is_asked_before_it_matters() -> None:
    windows, model = ModelWindows(), Model("gpt-3.5-turbo", limits=ModelLimits(context_tokens=9_000))
    await windows.look_up(model, tokens=1_000)
    assert windows.room(model, record(), options=OPTIONS) == WindowRoom(), "no model is that small"
    await windows.look_up(model, tokens=4_000)
    assert windows.room(model, record(), options=OPTIONS).source(SessionConfig()) is RoomSource.TABLE
    assert model.asked == [], "the table's figure is far away"
    for _ in range(3):
        await windows.look_up(model, tokens=8_500)
    assert model.asked == ["limits"], "once"
    room = windows.room(model, record(), options=OPTIONS)
    assert room.limits == ModelLimits(context_tokens=9_000)


async def test_a_model_the_table_does_not_know_is_asked_for_early() -> None:
    windows, model = ModelWindows(), Model("brand-new", limits=ModelLimits(context_tokens=9_000))
    await windows.look_up(model, tokens=2_100)
    assert windows.room(model, record(), options=OPTIONS).tokens(SessionConfig()) == 6_750


@pytest.mark.parametrize(
    "trouble", [RuntimeError("down"), ConnectionError("away"), ModelLimits(context_tokens=0), None]
)
async def test_a_provider_that_does_not_tell_is_not_asked_again(trouble: Any) -> None:
    windows, model = ModelWindows(), Model("brand-new", limits=trouble)
    for _ in range(2):
        await windows.look_up(model, tokens=50_000)
    assert model.asked == ["limits"]
    assert windows.room(model, record(), options=OPTIONS) == WindowRoom()


async def test_a_provider_that_takes_its_time_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(models, "_ASKING_SECONDS", 0.01)
    windows, model = ModelWindows(), Model("brand-new")
    monkeypatch.setattr(model, "model_limits", asyncio.Event().wait)
    await windows.look_up(model, tokens=50_000)
    assert windows.room(model, record(), options=OPTIONS) == WindowRoom()


async def test_a_count_beyond_the_room_shrinks_it_and_is_not_repeated_at_once() -> None:
    windows, model, row = ModelWindows(), Model("m", tokens=12_000), record(max_tokens_window=10_000)
    room = windows.room(model, row, options=OPTIONS)
    fitting = await windows.count(model, row, TOO_LONG, room=room, tokens=9_000)
    assert fitting == 7_500
    windows.shrink(model, row, room=room, tokens=fitting)
    learned = windows.room(model, row, options=OPTIONS)
    assert (learned.tokens(row.config), learned.source(row.config)) == (7_500, RoomSource.LEARNED)
    await windows.count(model, row, TOO_LONG, room=learned, tokens=9_200)
    assert model.asked == ["count"], "it has hardly grown"
    await windows.count(model, row, TOO_LONG, room=learned, tokens=9_600)
    assert model.asked == ["count", "count"]
    other = record(max_tokens_window=20_000)
    assert windows.room(model, other, options=OPTIONS).tokens(other.config) == 20_000, "another wish, another lesson"


async def test_a_count_within_the_room_changes_nothing_and_a_failing_one_rests() -> None:
    windows, model, row = ModelWindows(), Model("m", tokens=9_900), record(max_tokens_window=10_000)
    room = windows.room(model, row, options=OPTIONS)
    assert await windows.count(model, row, TOO_LONG, room=room, tokens=9_000) is None
    assert windows.room(model, row, options=OPTIONS) == room
    silent = Model("n")
    for tokens in (8_000, 9_000):
        await windows.count(silent, row, TOO_LONG, room=room, tokens=tokens)
    assert silent.asked == ["count"]
