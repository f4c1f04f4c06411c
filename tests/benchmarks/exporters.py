"""What a receiver that does not take telemetry does to the slowest turns of a process.

Processes work on one database, each with telemetry of another kind; they do one turn each, by turns and in changing
order, so that a moment of the machine's hits all alike. A process beside a process keeps the threads of the exporter
from the turns of the others. Two have it off: what the second "adds" to the first is what the measurement cannot tell,
and the others are compared with both. One records and sends nothing, and one has the SDK alone do so. And one sends to
a receiver that takes everything at once.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["OFF", "RECEIVERS", "ExporterTails", "Interval", "Tail", "exporter_tails"]

_ROOT = Path(__file__).resolve().parents[2]
_MEMORY = Path("/dev/shm")  # where there is one: the moods of a disk are not telemetry's
_SLOW_SECONDS = 0.05
OFF, _RECORDED = "off", "recorded, sent nowhere"
_EITHER = "off in either"
_OFF_TOO, _SDK_ALONE = "off in both", "the SDK alone, sent nowhere"
RECEIVERS = ("taking all", "unreachable", "hanging", "slow", "refusing")
_PAUSE_SECONDS = 0.02  # a process that does nothing but turns has no tail of its own to look at
_RESAMPLINGS = 200

Interval = tuple[float, float, float]
"""A figure, and between what it may be."""
_ANSWERS = {
    "refusing": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "slow": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "taking all": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Turns of a process; all in milliseconds.

    Attributes:
        median: The median.
        p99: The 99th percentile.
        added: What the 99th percentile is above that of the turns with telemetry off, and the interval that 90 % of
            resamplings of the rounds find it in; of the second process with it off, above the first.
        beyond_recording: The same above that of a process that records and sends nothing.
    """

    median: float
    p99: float
    added: Interval
    beyond_recording: Interval


@dataclass(frozen=True, slots=True)
class ExporterTails:
    """The slowest turns beside receivers of several kinds.

    Attributes:
        rounds: Turns of each process.
        pause_ms: Between two rounds, in milliseconds.
        in_memory: Whether the database was in memory.
        tails: What was measured, by the kind of telemetry; the first is off.
    """

    rounds: int
    pause_ms: float
    in_memory: bool
    tails: dict[str, Tail]


def exporter_tails(folder: Path, *, rounds: int) -> ExporterTails:
    """Measure turns beside receivers of each kind.

    Args:
        folder: Where the database is made if there is no folder in memory.
        rounds: Turns of each of the processes.
    """
    in_memory = os.access(_MEMORY, os.W_OK)
    with contextlib.ExitStack() as stack:
        where = _MEMORY if in_memory else folder
        database = stack.enter_context(tempfile.TemporaryDirectory(prefix="langswarm-bench-", dir=where))
        how = {OFF: "off", _OFF_TOO: "off", _SDK_ALONE: "sdk-alone", _RECORDED: "recorded"}
        how |= {kind: stack.enter_context(_receiver(kind)) for kind in RECEIVERS}
        processes = {kind: stack.enter_context(_Turns(database, said)) for kind, said in how.items()}
        took = _in_rounds(processes, rounds=rounds)
    whole, resampled = _p99s(took, range(rounds)), _resampled(took, rounds=rounds)
    tails = {
        kind: Tail(
            median=statistics.median(durations),
            p99=whole[kind],
            added=_interval(whole, resampled, kind, above=OFF if kind == _OFF_TOO else _EITHER),
            beyond_recording=_interval(whole, resampled, kind, above=_RECORDED),
        )
        for kind, durations in took.items()
    }
    return ExporterTails(rounds=rounds, pause_ms=_PAUSE_SECONDS * 1000, in_memory=in_memory, tails=tails)


class _Turns:
    """A process that does turns when asked."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.turns_on_demand", *arguments]
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._read()

    def next(self) -> float:
        """Have it do a turn, and return its milliseconds."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise RuntimeError(f"a process of the benchmark ended with {self._process.wait()}")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def _in_rounds(processes: dict[str, _Turns], *, rounds: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {kind: [] for kind in processes}
    order, chance = list(processes), random.Random(0)
    for _ in range(rounds):
        time.sleep(_PAUSE_SECONDS)
        chance.shuffle(order)
        for kind in order:
            took[kind].append(processes[kind].next())
    return took


def _resampled(took: dict[str, list[float]], *, rounds: int) -> list[dict[str, float]]:
    """Return the 99th percentiles by kind, for rounds drawn at random from those there were, many times over."""
    chance = random.Random(0)
    return [_p99s(took, chance.choices(range(rounds), k=rounds)) for _ in range(_RESAMPLINGS)]


def _p99s(took: dict[str, list[float]], rounds: Sequence[int]) -> dict[str, float]:
    drawn = {kind: [durations[one] for one in rounds] for kind, durations in took.items()}
    return {kind: _p99(durations) for kind, durations in drawn.items()} | {_EITHER: _p99(drawn[OFF] + drawn[_OFF_TOO])}


def _interval(whole: dict[str, float], resampled: list[dict[str, float]], kind: str, *, above: str) -> Interval:
    found = sorted(p99[kind] - p99[above] for p99 in resampled)
    tenth = _RESAMPLINGS // 20
    return whole[kind] - whole[above], found[tenth], found[-tenth]


def _p99(durations: Sequence[float]) -> float:
    return sorted(durations)[len(durations) * 99 // 100]


@contextlib.contextmanager
def _receiver(kind: str) -> Generator[str]:
    """Listen on the loopback interface and be of no use; what is yielded is the address."""
    if kind == "unreachable":
        yield "http://127.0.0.1:9"
        return
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_answer, args=(server, kind), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def _answer(server: socket.socket, kind: str) -> None:
    held: list[socket.socket] = []
    for connection in _connections(server):
        held.append(connection)
        if kind in _ANSWERS:
            threading.Thread(target=_reply, args=(connection, kind), daemon=True).start()


def _connections(server: socket.socket) -> Iterator[socket.socket]:
    with contextlib.suppress(OSError):
        while True:
            yield server.accept()[0]


def _reply(connection: socket.socket, kind: str) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(1 << 20):
            if kind == "slow":
                time.sleep(_SLOW_SECONDS)
            connection.sendall(_ANSWERS[kind])
