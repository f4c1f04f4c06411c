"""The command line as its user has it: run to its end, or in a terminal of its own."""

from __future__ import annotations

import atexit
import fcntl
import functools
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from codecs import getincrementaldecoder
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Self

PROGRAM = [sys.executable, "-m", "langswarm_sessions.cli"]
SECONDS = 60.0
CTRL_C = b"\x03"
CTRL_D = b"\x04"

_STYLING = re.compile(r"\x1b\[[\d;]*m")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of an error."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


def run_cli(*arguments: str, said: str = "", env: Mapping[str, str] | None = None) -> Outcome:
    """Run a command to its end, without a terminal.

    Args:
        arguments: What stands after `langswarm-sessions`.
        said: Its standard input.
        env: More variables.
    """
    everything = {**os.environ, "COLUMNS": "120", **(env or {})}
    with TemporaryFile() as into, TemporaryFile() as out, TemporaryFile() as err:
        into.write(said.encode())
        into.seek(0)
        code = _become(arguments, everything, streams=(into, out, err))
        return Outcome(code, _written(out), _written(err))


def _become(arguments: Sequence[str], env: Mapping[str, str], *, streams: Sequence[IO[bytes]]) -> int:
    """Let a copy of a process that has everything imported be the command; return its exit code."""
    process = _original()
    task = json.dumps({"arguments": list(arguments), "folder": str(Path.cwd()), "env": dict(env)})
    socket.send_fds(process, [task.encode()], [stream.fileno() for stream in streams])
    answer = process.recv(16)
    assert answer, "the process that becomes commands has ended"
    return int(answer)


@functools.cache
def _original() -> socket.socket:
    """Start the process of become.py, for all tests of this one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(SECONDS)
    process = subprocess.Popen([sys.executable, "-P", str(Path(__file__).with_name("become.py"))], stdin=its.fileno())
    its.close()
    atexit.register(_end, ours, process)
    return ours


def _end(client: socket.socket, process: subprocess.Popen[bytes]) -> None:
    client.close()
    process.wait()


def _written(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode()


class Terminal:
    """A command in a terminal of its own, with somebody who types.

    Args:
        arguments: What stands after `langswarm-sessions`.
        program: What runs instead of it.
        env: More variables.
    """

    def __init__(
        self, arguments: Sequence[str], *, program: Sequence[str] = PROGRAM, env: Mapping[str, str] | None = None
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        self._process = subprocess.Popen(
            [*program, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30", **(env or {})},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal
        )
        os.close(slave)
        self._unread = ""
        self._decoder = getincrementaldecoder("utf-8")()

    def see(self, text: str, *, seconds: float = SECONDS) -> str:
        """Wait until `text` is on the screen; return what came up to its end since the last time.

        Raises:
            TimeoutError: It did not come.
        """
        deadline = time.monotonic() + seconds
        while text not in self._unread:
            assert self._read(deadline), f"the program ended before {text!r}; saw {self._unread!r}"
        seen, _, self._unread = self._unread.partition(text)
        return seen + text

    def enter(self, line: str) -> None:
        """Type a line and press Enter."""
        os.write(self._master, f"{line}\n".encode())

    def press(self, key: bytes) -> None:
        """Press Ctrl and a letter."""
        os.write(self._master, key)

    def interrupt_prompt(self, text: str) -> None:
        """Press Ctrl-C at the prompt until `text` is on the screen.

        Between showing its prompt and waiting for a key, Python's readline notes a signal only with the next one.
        """
        for _ in range(12):
            self.press(CTRL_C)
            with suppress(TimeoutError):
                self.see(text, seconds=SECONDS / 12)
                return
        raise TimeoutError(text)

    def end(self) -> tuple[int, str]:
        """Wait for the program's end; return its exit code and what it wrote last."""
        deadline = time.monotonic() + SECONDS
        while self._read(deadline):
            pass
        return self._process.wait(SECONDS), self._unread

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: TracebackType | type[BaseException] | BaseException | None) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._master)

    def _read(self, deadline: float) -> bool:
        """Take in what came; return False when nobody writes any more."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(f"waited in vain; saw {self._unread!r}")
        try:
            came = os.read(self._master, 65536)
        except OSError:  # EIO: the other side is closed
            came = b""
        self._unread = _STYLING.sub("", (self._unread + self._decoder.decode(came)).replace("\r\n", "\n"))
        return bool(came)
