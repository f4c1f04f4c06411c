"""Who this process is, and whether another one still lives.

A process is told apart by host, pid and start time. The host part names the boot and the pid namespace as well, so that
a pid is only ever looked up where it means the same process.
"""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path

from langswarm_sessions.records import LeaseOwner

__all__ = ["is_dead", "this_process"]

_PROC = "/proc"
_START_TOLERANCE_S = 5.0  # how far psutil's start times may drift when the clock is set; /proc's never do


def this_process() -> LeaseOwner:
    """Return the identity leases of this process are held under (another one after a fork)."""
    return _identity(os.getpid())


def is_dead(owner: LeaseOwner) -> bool:
    """Return whether `owner` is surely gone.

    Args:
        owner: The process to look for.

    Returns:
        True only when it is on this host and its pid is free, a zombie or another process; False whenever unsure.
    """
    here = this_process()
    if owner.host != here.host or owner == here:
        return False
    import psutil

    try:
        if not psutil.pid_exists(owner.pid):
            return True
    except OverflowError:
        return False  # no pid of this system
    state, started = _look_up(owner.pid)
    if state in ("Z", "X"):
        return True
    return started is not None and abs(started - owner.started) > _tolerance()


@lru_cache(maxsize=1)
def _identity(pid: int) -> LeaseOwner:
    _, started = _look_up(pid)
    return LeaseOwner(host=_host(), pid=pid, started=0.0 if started is None else started)


def _host() -> str:
    try:
        boot = Path(_PROC, "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink(f"{_PROC}/self/ns/pid")
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()} {boot} {namespace}"


def _look_up(pid: int) -> tuple[str, float | None]:
    """Return the state letter and start time of a process; "" and None when it cannot be seen."""
    try:
        # The name in parentheses may hold anything, so fields are counted from its end: state is 3rd, start time 22nd.
        fields = Path(_PROC, str(pid), "stat").read_bytes().rpartition(b")")[2].split()
        return fields[0].decode(), int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return _ask_psutil(pid)


def _ask_psutil(pid: int) -> tuple[str, float | None]:
    import psutil

    try:
        process = psutil.Process(pid)
        return "Z" if process.status() == psutil.STATUS_ZOMBIE else "R", process.create_time()
    except psutil.Error:
        return "", None


def _tolerance() -> float:
    return 0.0 if os.path.exists(f"{_PROC}/self/stat") else _START_TOLERANCE_S
