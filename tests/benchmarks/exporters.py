"""What a receiver that does not take telemetry does to the slowest turns of a process.

Two processes work on one database, one with telemetry off and one that exports to the receiver as `configure_telemetry`
sets it up; they do one turn each, by turns and in changing order, so that a moment of the machine's hits both series
alike. A process beside a process keeps the threads of the exporter from the turns without telemetry. The same is done
with telemetry off in both: what that "adds" is what the measurement cannot tell. And it is done with a receiver that
takes everything at once: exporting itself takes time from turns, whoever receives.
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

__all__ = ["ExporterTails", "Tail", "exporter_tails"]

_ROOT = Path(__file__).resolve().parents[2]
_MEMORY = Path("/dev/shm")  # where there is one: the moods of a disk are not telemetry's
_SLOW_SECONDS = 0.05
_OFF = "off in both"
_KINDS = (_OFF, "taking all", "unreachable", "hanging", "slow", "refusing")
_PAUSE_SECONDS = 0.02  # a process that does nothing but turns has no tail of its own to look at
_RESAMPLINGS = 200
_ANSWERS = {
    "refusing": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "slow": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "taking all": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Turns beside a receiver of one kind, and as many with telemetry off; all in milliseconds.

    Attributes:
        off: The median and the 99th percentile with telemetry off.
        on: Those of the process that exports.
        differences: Those of the differences within the pairs.
        added: What the 99th percentile grows by, and the interval that 90 % of resamplings of the pairs find it in.
    """

    off: tuple[float, float]
    on: tuple[float, float]
    differences: tuple[float, float]
    added: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class ExporterTails:
    """The slowest turns beside receivers of several kinds.

    Attributes:
        pairs: Turns of each process.
        pause_ms: Between two pairs, in milliseconds.
        in_memory: Whether the database was in memory.
        tails: What was measured, by the kind of receiver; the first has none.
    """

    pairs: int
    pause_ms: float
    in_memory: bool
    tails: dict[str, Tail]


def exporter_tails(folder: Path, *, pairs: int) -> ExporterTails:
    """Measure turns beside receivers of each kind.

    Args:
        folder: Where databases are made if there is no folder in memory.
        pairs: Turns of each of two processes, for each kind.
    """
    in_memory = os.access(_MEMORY, os.W_OK)
    tails: dict[str, Tail] = {}
    for kind in _KINDS:
        with (
            tempfile.TemporaryDirectory(prefix="langswarm-bench-", dir=_MEMORY if in_memory else folder) as database,
            _receiver(kind) as url,
            _Turns(database) as off,
            _Turns(database, *url) as on,
        ):
            tails[kind] = _tail(_paired(off, on, pairs=pairs))
    return ExporterTails(pairs=pairs, pause_ms=_PAUSE_SECONDS * 1000, in_memory=in_memory, tails=tails)


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


def _paired(off: _Turns, on: _Turns, *, pairs: int) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for number in range(pairs):
        time.sleep(_PAUSE_SECONDS)
        first, second = (off, on) if number % 2 else (on, off)
        took = {first: first.next(), second: second.next()}
        found.append((took[off], took[on]))
    return found


def _tail(pairs: Sequence[tuple[float, float]]) -> Tail:
    off, on = zip(*pairs, strict=True)
    chance = random.Random(0)
    resampled = sorted(_added(chance.choices(pairs, k=len(pairs))) for _ in range(_RESAMPLINGS))
    low, high = resampled[_RESAMPLINGS // 20], resampled[-_RESAMPLINGS // 20]
    return Tail(
        off=(statistics.median(off), _p99(off)),
        on=(statistics.median(on), _p99(on)),
        differences=(
            statistics.median(with_it - without for without, with_it in pairs),
            _p99([with_it - without for without, with_it in pairs]),
        ),
        added=(_added(pairs), low, high),
    )


def _added(pairs: Sequence[tuple[float, float]]) -> float:
    off, on = zip(*pairs, strict=True)
    return _p99(on) - _p99(off)


def _p99(durations: Sequence[float]) -> float:
    return sorted(durations)[len(durations) * 99 // 100]


@contextlib.contextmanager
def _receiver(kind: str) -> Generator[list[str]]:
    """Listen on the loopback interface and be of no use; what is yielded is the address, if there is one."""
    if kind in (_OFF, "unreachable"):
        yield [] if kind == _OFF else ["http://127.0.0.1:9"]
        return
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_answer, args=(server, kind), daemon=True).start()
        yield [f"http://127.0.0.1:{server.getsockname()[1]}"]
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
