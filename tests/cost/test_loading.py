"""The library of prices: loaded late, once, off the way of turns; done without when it cannot be."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot

from langswarm_sessions.prices import loading as module
from langswarm_sessions.prices.library import PriceLibrary, is_public
from langswarm_sessions.prices.loading import BackgroundLoad
from langswarm_sessions.prices.table import PriceTable
from tests.cost.kit import RESPONSES, ask, begin
from tests.cost.wire import Wire
from tests.session.kit import OpenManager

ROOT = Path(__file__).parents[2]

NOT_LOADED = """
import asyncio, sys
import langswarm_sessions
assert "langswarm_sessions.prices" not in sys.modules
from langswarm_sessions import ModelPrice, create_session_manager

async def talk():
    async with create_session_manager(storage="memory", prices={"mock/m": ModelPrice(input=1, output=1)}) as manager:
        for provider, model in (("mock", "m"), ("mock", "other")):
            session = await manager.create_session("u", provider, model)
            await session.send_message("hi")

asyncio.run(talk())
loaded = [name for name in sys.modules if name.partition(".")[0] == "genai_prices"]
assert not loaded, loaded
"""

UPDATES_NOTHING = """
import asyncio, socket, sys, threading

def refuse(*_, **__):
    raise AssertionError("somebody wants to go out")

socket.socket.connect = socket.getaddrinfo = refuse
from langswarm_sessions.prices.library import LIBRARY
assert asyncio.run(LIBRARY.loaded())
left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
assert left in ([], ["langswarm-sessions-prices"]), left
"""

FORKED_MEANWHILE = """
import asyncio, os, sys, threading
from langswarm_sessions.prices import loading
from langswarm_sessions.prices.library import LIBRARY

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "genai_prices.data" and not forking.is_set():
            importing.set()
            forking.wait(30)

importing, forking = threading.Event(), threading.Event()
loading._LONGEST_WAIT_SECONDS = loading._LONGEST_WAIT_OF_A_FORK_SECONDS = 30.0
os.register_at_fork(before=forking.set)  # before the fork waits for the loading
sys.meta_path.insert(0, Watch())
LIBRARY.start_loading()
assert importing.wait(30)
assert LIBRARY.at_once is None
child = os.fork()
if child == 0:
    os._exit(0 if asyncio.run(LIBRARY.loaded()) else 1)
assert os.waitpid(child, 0)[1] == 0
assert asyncio.run(LIBRARY.loaded())
"""


@pytest.mark.parametrize("program", [NOT_LOADED, UPDATES_NOTHING, FORKED_MEANWHILE])
def test_in_a_process_of_its_own(program: str) -> None:
    """It is loaded only before a provider that it may know is asked; it fetches nothing; a fork does not cut it off."""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


async def test_a_library_that_cannot_be_loaded_is_done_without(
    open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = PriceLibrary()
    monkeypatch.setattr("langswarm_sessions.prices.pricing.LIBRARY", broken)
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    session, _ = await ask(open_manager, Wire("openai", "gpt-t", RESPONSES))
    assert (await session.get_metrics()).unpriced_turns == 1
    await session.send_message("again")
    assert [record.message for record in caplog.records if "table of prices" in record.message] == [
        "The table of prices cannot be read (ModuleNotFoundError): turns get no cost."
    ]


class Clock:
    """Time as a test has it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(module, "monotonic", lambda: self.now)


def _load(load: Callable[[], str | None]) -> BackgroundLoad[str]:
    return BackgroundLoad(load, name="test")


async def test_an_answer_that_is_quicker_than_the_loading_waits_for_it_and_others_do_not() -> None:
    may_load, loads = threading.Event(), count(1)

    def slowly() -> str:
        may_load.wait(20)
        return f"loaded {next(loads)}"

    load = _load(slowly)
    waiting = [asyncio.create_task(load.loaded()) for _ in range(3)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(task.done() for task in waiting), "the loop goes on meanwhile"
    waiting.pop().cancel()
    may_load.set()
    assert await asyncio.gather(*waiting) == ["loaded 1"] * 2, "who stops waiting does not end it"
    assert load.value == await load.loaded() == "loaded 1"


async def test_a_loading_that_hangs_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, release = Clock(monkeypatch), threading.Event()
    load = _load(lambda: "late" if release.wait(20) else None)
    load.start()
    clock.now += 4.99
    assert await load.loaded() is None, "it waits for what is left of one time"
    clock.now += 0.01
    monkeypatch.setattr(asyncio, "wait", None)
    assert await load.loaded() is None, "later turns do not wait"
    load.settle()
    release.set()
    attempt = load._attempt
    assert attempt is not None
    attempt.ended.result(20)
    assert await load.loaded() == "late", "what comes late is used"


async def test_after_a_failure_it_is_not_tried_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, loads = Clock(monkeypatch), count(1)
    load = _load(lambda: "loaded" if next(loads) > 1 else None)
    assert await load.loaded() is None
    clock.now += 299
    assert await load.loaded() is None
    clock.now += 1
    assert await load.loaded() == "loaded"
    clock.now += 10_000
    load.start()
    assert next(loads) == 3


async def test_a_thread_that_cannot_be_had_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert await _load(lambda: "loaded").loaded() is None


def test_a_loop_that_was_closed_meanwhile_is_no_matter(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_LONGEST_WAIT_SECONDS", 0.01)
    release = threading.Event()
    load = _load(lambda: "late" if release.wait(20) else None)
    assert asyncio.run(load.loaded()) is None
    release.set()
    attempt = load._attempt
    assert attempt is not None
    assert attempt.thread is not None
    attempt.thread.join(20)
    assert (load.value, caplog.records) == ("late", [])


def test_a_child_forgets_a_loading_that_stayed_in_its_parent_and_keeps_one_that_ended() -> None:
    release = threading.Event()
    load = _load(lambda: "loaded" if release.wait(20) else None)
    load.start()
    left_behind = load._attempt
    load.start_over()
    release.set()
    assert asyncio.run(load.loaded()) == "loaded"
    assert load._attempt is not left_behind
    load.start_over()
    assert load.value == "loaded"


class Forgetful(dict[Any, Any]):
    """What another thread empties as soon as something is in it."""

    def __setitem__(self, *_: object) -> None:
        """Forget it."""


def test_threads_that_make_room_for_what_they_found_take_nothing_from_each_other(price_list: DataSnapshot) -> None:
    table = PriceTable(price_list)
    table._prices = Forgetful()
    assert table.rates("api.openai.com", "gpt-t", at=datetime.now(UTC), terms={}) is not None


def _fails(_: object) -> bool:
    raise KeyError("a secret")


@pytest.mark.parametrize("broken", ["a table that cannot be read", "a function that fails"])
async def test_what_goes_wrong_while_an_answer_is_priced_costs_only_its_price(
    open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    wire = Wire("openai", "gpt-t", RESPONSES)
    session = await begin(open_manager(providers={"openai": wire.client()}), wire)
    if broken == "a table that cannot be read":
        set_custom_snapshot(DataSnapshot([3], from_auto_update=True))  # type: ignore[list-item]
    else:
        monkeypatch.setattr("langswarm_sessions.prices.pricing.is_public", _fails)
    try:
        for said in ("one", "two"):
            assert (await session.send_message(said)).content
    finally:
        set_custom_snapshot(None)
    metrics = await session.get_metrics()
    assert (metrics.total_cost, metrics.unpriced_turns) == (None, 2)
    [warning] = [record.getMessage() for record in caplog.records if "priced" in record.getMessage()]
    error = "AttributeError" if broken == "a table that cannot be read" else "KeyError"
    assert warning == f"Answers cannot be priced ({error}): their turns get no cost."


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("api.openai.com", True),
        ("eu.api.example.com", True),
        (None, False),
        ("", False),
        ("localhost", False),
        ("ollama", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("10.0.0.1", False),
        ("llm.local", False),
        ("llm.corp.internal", False),
    ],
)
def test_what_can_be_a_providers_own_address(host: str | None, public: bool) -> None:
    assert is_public(host) is public
