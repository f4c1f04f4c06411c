"""Several processes, crashes, forks, threads, loops, the end of the interpreter."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langswarm_sessions.storage import SQLiteSessionStorage
from langswarm_sessions.testing.storage_kit import StorageKit

Rows = Callable[..., list[tuple[Any, ...]]]
Program = Callable[..., subprocess.Popen[str]]

HEAD = """
import asyncio, os, sys
from pathlib import Path
from langswarm_sessions.errors import SessionExistsError
from langswarm_sessions.records import Begun
from langswarm_sessions.storage import SQLiteSessionStorage
from langswarm_sessions.testing.storage_kit import StorageKit, session_record, begun
folder = Path(sys.argv[1])
storage = SQLiteSessionStorage(folder / "deep" / "sessions.db")
"""

CREATE = (
    HEAD
    + """
async def main():
    sys.stdin.readline()
    try:
        await storage.insert_session(session_record("s"))
        print("created")
    except SessionExistsError:
        print("found")
    kit = StorageKit(storage, "s", session_record().created_at)
    for number in range(20):
        await kit.append(f"{os.getpid()} {number}")
    await storage.close()
asyncio.run(main())
"""
)

TURNS_UNTIL_KILLED = (
    HEAD
    + """
async def main():
    kit = await StorageKit.of_new_session(storage, session_id="s")
    number = 0
    while True:
        number += 1
        turn = await kit.begin(f"question {number}")
        await kit.finish(turn, f"answer {number}")
        print(number, flush=True)
asyncio.run(main())
"""
)

DIES_IN_A_TURN = (
    HEAD
    + """
async def main():
    kit = await StorageKit.of_new_session(storage, session_id="s")
    await kit.begin("question")
    print("begun", flush=True)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
)

FORKS = (
    HEAD
    + """
async def parent_before():
    kit = await StorageKit.of_new_session(storage, session_id="s")
    await kit.turn("before", "the fork")
    return kit
kit = asyncio.run(parent_before())
pid = os.fork()
async def say(who):
    for number in range(20):
        await kit.append(f"{who} {number}")
asyncio.run(say("parent" if pid else "child"))
if pid:
    asyncio.run(storage.close())
    os.write(1, b"closed ")
    _, status = os.waitpid(pid, 0)
    sys.exit(status)
asyncio.run(say("orphan"))
asyncio.run(storage.close())
"""
)

FORKS_IN_MEMORY = (
    HEAD
    + """
from langswarm_sessions.storage import InMemorySessionStorage
from langswarm_sessions.testing.storage_kit import texts
memory = InMemorySessionStorage()
kit = asyncio.run(StorageKit.of_new_session(memory))
asyncio.run(kit.turn("before", "the fork"))
pid = os.fork()
if pid:
    _, status = os.waitpid(pid, 0)
else:
    asyncio.run(kit.append("in the child"))
print("|".join(texts(asyncio.run(kit.transcript()))), flush=True)
asyncio.run(memory.close())
"""
)

NEVER_CLOSED = (
    HEAD
    + """
import atexit
async def main():
    return await StorageKit.of_new_session(storage, session_id="s")
kit = asyncio.run(main())
async def last_words():
    await kit.append("said at exit")
    other = SQLiteSessionStorage(folder / "other.db")
    await other.insert_session(session_record("late"))
atexit.register(lambda: asyncio.run(last_words()))
"""
)


def test_processes_that_open_one_file_at_once(program: Program, tmp_path: Path, rows: Rows) -> None:
    started = [program(CREATE) for _ in range(4)]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0] * 4, outcomes
    assert sorted(out.strip() for out, _ in outcomes) == ["created", "found", "found", "found"]
    path = tmp_path / "deep" / "sessions.db"
    assert rows(path, "SELECT seq FROM messages ORDER BY seq") == [(seq,) for seq in range(1, 81)]
    assert rows(path, "SELECT messages FROM sessions") == [(80,)]
    assert rows(path, "SELECT count(*) FROM langswarm_sessions_schema") == [(1,)]


def test_a_killed_process_loses_nothing_acknowledged(program: Program, tmp_path: Path, rows: Rows) -> None:
    process = program(TURNS_UNTIL_KILLED)
    assert process.stdout is not None
    acknowledged = 0
    while acknowledged < 50:
        acknowledged = int(process.stdout.readline())
    process.kill()
    rest = process.stdout.read()  # `communicate` would leave out what `readline` has read ahead
    process.communicate(timeout=30)
    acknowledged = max([acknowledged, *(int(line) for line in rest.split())])
    path = tmp_path / "deep" / "sessions.db"
    stored = rows(path, "SELECT content FROM messages ORDER BY seq")
    expected = [(f"{what} {number}",) for number in range(1, acknowledged + 1) for what in ("question", "answer")]
    assert stored[: 2 * acknowledged] == expected
    assert len(stored) <= 2 * acknowledged + 2
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(path, "SELECT messages FROM sessions") == [(len(stored),)]


async def test_a_session_whose_process_was_killed_is_usable_at_once(program: Program, tmp_path: Path) -> None:
    process = program(DIES_IN_A_TURN)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    storage = SQLiteSessionStorage(tmp_path / "deep" / "sessions.db")
    record = await storage.load_session("s")
    assert record is not None
    kit = StorageKit(storage, "s", record.last_activity)
    started = time.perf_counter()
    turn = await kit.begin("again", after_s=0.1)
    assert time.perf_counter() - started < 10
    assert turn.took_over
    await kit.finish(turn, "answer")
    assert [message.status.value for message in await kit.transcript()] == ["interrupted", "completed", "completed"]
    await storage.close()


def test_a_fork_shares_the_file_and_nothing_else(program: Program, tmp_path: Path, rows: Rows) -> None:
    process = program(FORKS)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "closed" in out
    path = tmp_path / "deep" / "sessions.db"
    said = [content for (content,) in rows(path, "SELECT content FROM messages ORDER BY seq")]
    assert len(said) == 62
    for who in ("parent", "child", "orphan"):
        assert [text for text in said if text.startswith(who)] == [f"{who} {number}" for number in range(20)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_fork_takes_a_copy_of_memory(program: Program) -> None:
    process = program(FORKS_IN_MEMORY)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert out.split("\n") == ["before|the fork|in the child", "before|the fork", ""]


def test_work_at_interpreter_exit_is_done(program: Program, tmp_path: Path, rows: Rows) -> None:
    process = program(NEVER_CLOSED)
    started = time.perf_counter()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert not errors
    assert time.perf_counter() - started < 20
    assert rows(tmp_path / "deep" / "sessions.db", "SELECT content FROM messages") == [("said at exit",)]
    assert rows(tmp_path / "other.db", "SELECT session_id FROM sessions") == [("late",)]


def test_threads_with_loops_of_their_own(db: Path) -> None:
    storage = SQLiteSessionStorage(db)
    kit = asyncio.run(StorageKit.of_new_session(storage))
    failures: list[BaseException] = []

    def work(number: int) -> None:
        async def append() -> None:
            for step in range(10):
                await kit.append(f"{number} {step}")
                assert len(await kit.transcript(limit=1)) == 1

        try:
            asyncio.run(append())
        except Exception as error:  # noqa: BLE001 - it is looked at below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(asyncio.run(kit.transcript())) == 160
    asyncio.run(storage.close())


def test_two_loops_one_after_the_other(db: Path) -> None:
    storage = SQLiteSessionStorage(db)
    kit = asyncio.run(StorageKit.of_new_session(storage))
    asyncio.run(kit.turn("one", "answer"))
    asyncio.run(kit.turn("two", "answer"))
    assert len(asyncio.run(kit.transcript())) == 4
    asyncio.run(storage.close())


async def test_closing_and_dropping_end_the_threads(db: Path) -> None:
    def ours() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("langswarm-sessions")}

    before = ours()
    closed, dropped = SQLiteSessionStorage(db), SQLiteSessionStorage(db)
    for storage in (closed, dropped):
        await asyncio.gather(*(storage.load_session(str(number)) for number in range(20)))
    started = ours() - before
    assert len(started) >= 2
    await closed.close()
    del dropped, storage
    gc.collect()
    for thread in started:
        await asyncio.to_thread(thread.join, 10)
    assert not ours() - before
    assert not [name for name in os.listdir(db.parent) if name.endswith(("-wal", "-shm"))]


async def test_readers_that_end_together_leave_no_files_behind(db: Path) -> None:
    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(60):
            storage = SQLiteSessionStorage(db)
            await asyncio.gather(*(storage.load_session(str(number)) for number in range(20)))
            await storage.close()
            assert os.listdir(db.parent) == [db.name]
    finally:
        sys.setswitchinterval(often)


async def test_a_cancelled_call_leaves_no_transaction_open(storage: SQLiteSessionStorage, kit: StorageKit) -> None:
    for yields in range(4):
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(kit.append(str(number))) for number in range(5)]
        tasks.append(asyncio.create_task(kit.change(context={"n": yields})))
        for _ in range(yields):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    other = SQLiteSessionStorage(storage.db_path)  # it waits for the last call's own end, and in vain for nobody's
    await StorageKit(other, kit.session_id, kit.moment).append("not locked")
    assert (await kit.record()).counters.messages == len(await kit.transcript())
    await other.close()


async def test_a_loop_that_closed_meanwhile_leaves_no_lease(db: Path) -> None:
    storage = SQLiteSessionStorage(db)
    kit = await StorageKit.of_new_session(storage)
    gate = threading.Event()
    blocker = threading.Thread(target=lambda: storage._runner.write_blocking(lambda _: gate.wait(10)))
    blocker.start()

    def abandon() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(_start(loop, kit))
        loop.close()

    await asyncio.to_thread(abandon)
    gate.set()
    blocker.join()
    turn = await kit.begin("next")
    assert not turn.took_over
    await storage.close()


async def _start(loop: asyncio.AbstractEventLoop, kit: StorageKit) -> None:
    task = loop.create_task(kit.storage.begin_turn(kit.beginning("lost")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
