"""The kit tells right from wrong: each fault is found by its check, and a history that is right passes them all."""

from __future__ import annotations

import asyncio
import sys
import threading
import types
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage

from langswarm_sessions import InvalidInputError
from langswarm_sessions.testing.langchain import (
    HISTORY_CHECKS,
    Face,
    HistoryReport,
    HistorySubject,
    Verdict,
    check_history,
    compare_histories,
)
from langswarm_sessions_langchain.testing.lists import ROUNDS
from tests.histories.faulty import FAULTS, Comparing, Plain, broken_in, opened_in

helper = types.ModuleType("helper")
exec("from datetime import datetime\ndef now(): return datetime.now()", vars(helper))

SLOW = {"ten_thousand_messages", "cost_of_adding", "cost_of_the_newest"}


def subject(folder: Path, kind: type[Plain]) -> HistorySubject:
    opens = partial(opened_in, folder, kind)
    return HistorySubject(name=kind.__name__, open=opens, elsewhere=opens, failing=partial(broken_in, folder, kind))


DEAR = {Comparing}
"""Whose fault takes seconds to show: run by `make accept`."""
CASES = [pytest.param(*fault, marks=[pytest.mark.accept] if fault[0] in DEAR else []) for fault in FAULTS]


@pytest.mark.parametrize(("kind", "check", "seen"), CASES, ids=lambda value: getattr(value, "__name__", None))
async def test_a_fault_is_found(tmp_path: Path, kind: type[Plain], check: str, seen: str) -> None:
    report = await check_history(subject(tmp_path, kind), only={check})
    [result] = report.results
    assert result.verdict is Verdict.BROKEN
    assert seen in result.detail


class Chatty(Plain):
    """Right, and prints what it likes, in other processes too."""

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        print("x" * 200_000, file=sys.stderr)
        print("written")
        super().add_messages(messages)


async def test_what_is_right_passes(tmp_path: Path) -> None:
    report = await check_history(subject(tmp_path, Chatty), only={entry.name for entry in HISTORY_CHECKS} - SLOW)
    assert report.conforms, report
    assert report.not_applicable == ()


def test_each_check_has_a_fault_that_shows_what_it_is_for() -> None:
    caught = {check for _, check, _ in FAULTS}
    shown_below = {"blocks", "tasks", "cost_of_the_newest"}
    assert {entry.name for entry in HISTORY_CHECKS} == caught | shown_below
    for entry in HISTORY_CHECKS:
        assert entry.reason.endswith("."), entry.name
        assert (entry.run.__doc__ or "").endswith("."), entry.name


class Flattened(Plain):
    def written(self, message: BaseMessage) -> str:
        return super().written(message.model_copy(update={"content": str(message.text)}))


class Racing(Plain):
    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        everything = [*await self.aget_messages(), *messages]
        await self.aclear()
        await super().aadd_messages(everything)


@pytest.mark.parametrize(("kind", "check", "seen"), [(Flattened, "blocks", "content"), (Racing, "tasks", "messages")])
async def test_more_faults(tmp_path: Path, kind: type[Plain], check: str, seen: str) -> None:
    [result] = (await check_history(subject(tmp_path, kind), only={check})).results
    assert result.verdict is Verdict.BROKEN
    assert seen in result.detail


class BuiltFirst(Plain):
    """Goes through its list once, and then adds one by one."""

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        for message in list(messages):
            super().add_messages([message])


async def test_a_writer_is_held_between_its_calls_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the round in which all begin at once."""
    monkeypatch.setattr("langswarm_sessions_langchain.testing.concurrency.ROUNDS", ROUNDS[:-1])
    [result] = (await check_history(subject(tmp_path, BuiltFirst), only={"threads_of_their_own"})).broken
    assert "torn" in result.detail


class NoIdleWorker(Plain):
    """Has a new thread for each call, as an executor has that is busy."""

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        pool = ThreadPoolExecutor(1)
        await asyncio.get_running_loop().run_in_executor(pool, self.add_messages, messages)
        pool.shutdown(wait=False)


async def test_asking_for_an_idle_worker_is_no_waiting(tmp_path: Path) -> None:
    report = await check_history(subject(tmp_path, NoIdleWorker), only={"loop_is_left_free"})
    assert [result.detail for result in report.broken] == []


class Tail(Plain):
    size: int

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        return super().messages[-self.size :]


async def test_a_tail_that_reads_all_is_found(tmp_path: Path) -> None:
    def tail(session_id: str, size: int) -> BaseChatMessageHistory:
        history = Tail(session_id)
        history.size = size
        return history

    opens = partial(opened_in, tmp_path, Plain)
    [result] = (await check_history(HistorySubject(open=opens, tail=tail), only={"cost_of_the_newest"})).results
    assert (result.verdict, "over 4 times as much CPU" in result.detail) == (Verdict.BROKEN, True)


# ---------------------------------------------------------------- what is reported


async def test_what_cannot_be_said_is_told_with_its_reason(tmp_path: Path) -> None:
    opens = partial(opened_in, tmp_path, Plain)
    asked = {"processes", "failed_writes_raise", "cost_of_the_newest", "threads"}
    half = HistorySubject(open=opens, faces=frozenset({Face.ASYNC}))
    report = await check_history(half, only=asked)
    assert report.name == "Plain"
    assert report.conforms
    assert {result.check: result.detail for result in report.not_applicable} == {
        "processes": "what it keeps cannot be reached from another process",
        "failed_writes_raise": "nothing that could fail was named",
        "cost_of_the_newest": "it reads all or nothing",
        "threads": "it has no blocking face",
    }
    assert "3 not applicable" not in str(report)
    assert str(report).endswith("Plain: 0 hold, 0 broken, 4 not applicable")


class Stuck(Plain):
    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        released.wait(60)


released = threading.Event()


async def test_one_that_hangs_is_given_up_and_not_called_broken(tmp_path: Path) -> None:
    stuck = HistorySubject(open=partial(opened_in, tmp_path, Stuck), faces=frozenset({Face.BLOCKING}))
    report = await check_history(stuck, only={"one_by_one"}, patience=0.05)
    released.set()
    [result] = report.unfinished
    assert result.detail == "did not come to its end within 0.05 seconds"
    assert (report.broken, report.conforms) == ((), False)
    assert str(report).endswith("Stuck: 0 hold, 0 broken, 0 not applicable, 1 unfinished")


class LockedOut(Plain):
    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        raise TimeoutError("the lock was not free")


async def test_a_timeout_of_its_own_is_what_it_raised(tmp_path: Path) -> None:
    [result] = (await check_history(subject(tmp_path, LockedOut), only={"one_by_one"})).broken
    assert result.detail == "raised TimeoutError: the lock was not free"
    assert isinstance(result.error, TimeoutError)


class EndsEarly(Plain):
    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        next(iter(()))


async def test_what_no_future_can_hold_is_told_all_the_same(tmp_path: Path) -> None:
    ended = HistorySubject(open=partial(opened_in, tmp_path, EndsEarly), faces=frozenset({Face.BLOCKING}))
    [result] = (await check_history(ended, only={"one_by_one"}, patience=5)).broken
    assert "StopIteration" in result.detail


async def test_all_are_closed_though_closing_one_raises(tmp_path: Path) -> None:
    closed: list[BaseChatMessageHistory] = []

    async def close(history: BaseChatMessageHistory) -> None:
        closed.append(history)
        raise ConnectionError("still in use")

    opens = partial(opened_in, tmp_path, Plain)
    report = await check_history(HistorySubject(name="p", open=opens, close=close), only={"opened_again", "nul"})
    assert [result.detail for result in report.broken] == ["closing it raised ConnectionError: still in use"] * 2
    assert len(closed) == 2 + 3


async def test_an_opener_that_fails_is_not_a_history_that_tells_of_its_failures(tmp_path: Path) -> None:
    def fails(session_id: str) -> BaseChatMessageHistory:
        raise ConnectionError("no server")

    opens, asked = partial(opened_in, tmp_path, Plain), {"failed_writes_raise"}
    [result] = (await check_history(HistorySubject(open=opens, failing=fails), only=asked)).broken
    assert result.detail == "`failing` itself raised: it must open the history, and break its backend then"
    assert isinstance(result.error, ConnectionError)
    [result] = (await check_history(subject(tmp_path, Plain), only=asked)).results
    assert (result.verdict, result.detail) == (Verdict.HOLDS, "raises OperationalError")


class HelpersClock(Plain):
    """Has its times from a helper of another package."""

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        for message in messages:
            super().add_messages([message.model_copy(update={"response_metadata": {"at": helper.now().timestamp()}})])

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        return sorted(super().messages, key=lambda message: message.response_metadata["at"])


async def test_the_clock_of_a_helper_is_set_back_when_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "helper", helper)
    opens, only = partial(opened_in, tmp_path, HelpersClock), {"clock_stands_or_goes_back"}
    assert (await check_history(opens, only=only)).conforms
    [result] = (await check_history(HistorySubject(open=opens, clocks=["helper"]), only=only)).broken
    assert "out of order" in result.detail


async def test_an_opener_may_be_awaited_and_may_fail(tmp_path: Path) -> None:
    async def opens(session_id: str) -> BaseChatMessageHistory:
        await asyncio.sleep(0)
        return opened_in(tmp_path, Plain, session_id)

    def refuses(session_id: str) -> BaseChatMessageHistory:
        raise ConnectionError("no server\nat all")

    assert (await check_history(opens, only={"opened_again"})).conforms
    report = await check_history(refuses, name="nobody", only={"opened_again"})
    assert [result.detail for result in report.broken] == ["raised ConnectionError: no server"]
    with pytest.raises(InvalidInputError, match="there is no check 'nonsense'"):
        await check_history(opens, only={"nonsense"})


async def test_another_process_must_be_able_to_open_it(tmp_path: Path) -> None:
    opens = partial(opened_in, tmp_path, Plain)

    def within(session_id: str) -> BaseChatMessageHistory:
        return opens(session_id)

    for elsewhere, told in (
        (within, "elsewhere must be a function of a module"),
        (partial(opened_in, tmp_path / "no such folder", Plain), "unable to open database file"),
    ):
        [result] = (await check_history(HistorySubject(open=opens, elsewhere=elsewhere), only={"processes"})).results
        assert (result.verdict, told in result.detail) == (Verdict.BROKEN, True), result.detail


async def test_reports_stand_side_by_side(tmp_path: Path) -> None:
    opens, wanted = partial(opened_in, tmp_path, Plain), {"one_by_one", "lists_are_copies"}
    reports = [await check_history(opens, name=name, only=wanted) for name in ("one", "two")]
    table = compare_histories(reports).splitlines()
    assert table[0] == "| About | Check | one | two |"
    assert table[2] == "| ordering | `one_by_one` | ✓ | ✓ |"
    assert table[-1] == "|  | broken | 0 | 0 |"
    with pytest.raises(ValueError, match="run the same checks"):
        compare_histories([reports[0], HistoryReport(name="three", results=())])
    assert compare_histories([]) == ""
