"""Who lives: a process is dead only when that is sure."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from langswarm_sessions.storage import liveness
from langswarm_sessions.testing.storage_kit import dead_owner


def test_this_process_lives() -> None:
    here = liveness.this_process()
    assert here.pid == os.getpid()
    assert liveness.this_process() is here
    assert not liveness.is_dead(here)


def test_a_process_that_ended_is_dead() -> None:
    assert liveness.is_dead(dead_owner())


def test_a_reused_pid_is_another_process() -> None:
    here = liveness.this_process()
    assert liveness.is_dead(replace(here, started=here.started - 100))
    assert not liveness.is_dead(replace(here, pid=os.getppid(), started=_started(os.getppid())))


def test_a_zombie_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    owner = replace(liveness.this_process(), pid=process.pid, started=_started(process.pid))
    assert not liveness.is_dead(owner)
    assert process.stdin is not None
    process.stdin.close()
    psutil.wait_procs([psutil.Process(process.pid)], timeout=0)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
    assert liveness.is_dead(owner)
    process.wait()
    assert liveness.is_dead(owner)


def test_another_host_is_never_sure() -> None:
    assert not liveness.is_dead(replace(dead_owner(), host="elsewhere"))


@pytest.mark.parametrize("pid", [0, -1, 2**40])
def test_impossible_pids_do_no_harm(pid: int) -> None:
    assert liveness.is_dead(replace(liveness.this_process(), pid=pid)) in (True, False)


def test_without_proc_psutil_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "_PROC", "/nowhere")
    liveness._identity.cache_clear()
    try:
        here = liveness.this_process()
        assert abs(here.started - psutil.Process().create_time()) < 1
        assert not liveness.is_dead(replace(here, pid=os.getppid(), started=psutil.Process(os.getppid()).create_time()))
        assert not liveness.is_dead(replace(here, started=here.started + 2))  # the clock may have been set
        assert liveness.is_dead(replace(here, started=here.started - 100))
        assert liveness.is_dead(replace(here, pid=dead_owner().pid, started=1.0))
    finally:
        liveness._identity.cache_clear()


def _started(pid: int) -> float:
    started = liveness._look_up(pid)[1]
    assert started is not None
    return started
