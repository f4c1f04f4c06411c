"""The bridge at the ends of a process: exit, Ctrl-C, fork."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

PRELUDE = """
import asyncio, os, signal, sys, threading
from langswarm_sessions.bridge import Bridge

bridge = Bridge()

async def work():
    print("started", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("cleaned up", flush=True)

async def quick():
    return "quick"

"""


def run(program: str, *, code: int = 0) -> str:
    """Run a program to its end; one that hangs is killed and fails the test."""
    ended = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert ended.returncode == code, ended.stderr
    assert "Task was destroyed" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    return ended.stdout


def test_a_bridge_that_is_never_closed_does_not_hold_the_interpreter() -> None:
    assert run("print(bridge.call(quick))") == "quick\n"


def test_what_still_runs_at_exit_is_cancelled_and_cleans_up() -> None:
    printed = run(
        """
        started = threading.Event()

        async def in_the_background():
            asyncio.get_running_loop().task = asyncio.create_task(work())
            await asyncio.sleep(0)

        bridge.call(in_the_background)
        """
    )
    assert printed == "started\ncleaned up\n"


def test_a_thread_that_waits_at_exit_does_not_hold_the_interpreter() -> None:
    printed = run(
        """
        threading.Thread(target=bridge.call, args=(work,), daemon=True).start()
        while bridge.call(quick) and len(asyncio.all_tasks(bridge._loop)) < 1:
            pass
        """
    )
    assert "quick" not in printed


def test_system_exit_inside_ends_the_program_with_its_code() -> None:
    run(
        """
        async def leave():
            sys.exit(7)

        bridge.call(leave)
        """,
        code=7,
    )


def test_work_that_will_not_end_does_not_hold_the_interpreter_for_ever() -> None:
    printed = run(
        """
        import langswarm_sessions.bridge as module
        module._EXIT_GRACE_SECONDS = 0.05

        async def stubborn():
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    print("no", flush=True)

        async def in_the_background():
            asyncio.get_running_loop().task = asyncio.create_task(stubborn())
            await asyncio.sleep(0)

        bridge.call(in_the_background)
        """
    )
    assert printed == "no\n"


def test_a_forked_child_has_a_loop_of_its_own() -> None:
    printed = run(
        """
        print(bridge.call(quick), flush=True)
        bridge._lock.acquire()
        child = os.fork()
        if child == 0:
            print("child", bridge.call(quick), flush=True)
            bridge.close()
            os._exit(0)
        bridge._lock.release()
        print(os.waitpid(child, 0)[1], flush=True)
        print("parent", bridge.call(quick), flush=True)
        """
    )
    assert printed == "quick\nchild quick\n0\nparent quick\n"


def test_ctrl_c_in_a_terminal_cleans_up_and_ends() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + "bridge.call(work)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    printed, complaints = process.communicate(timeout=60)
    assert printed == "cleaned up\n"
    assert complaints.strip().endswith("KeyboardInterrupt")
    assert process.returncode in (-signal.SIGINT, 130)
