"""A process that becomes the command line, again and again, with everything imported: `python become.py`.

Its standard input is a socket. Each message is a task, with the three standard streams of the copy that does it; the
answer is the copy's exit code. What a copy had to import, the original imports as well. No thread runs in it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import socket
import sys
from contextlib import suppress
from typing import Any, NoReturn

from langswarm_sessions.cli import main

_TASK_BYTES = 1 << 20


def serve() -> None:
    """Do tasks until nobody is there to give them."""
    with socket.socket(fileno=os.dup(0)) as client:
        while True:
            task, streams, *_ = socket.recv_fds(client, _TASK_BYTES, 3)
            if not task:
                return
            learned, learns = os.pipe()
            pid = os.fork()
            if pid == 0:
                client.close()
                become(json.loads(task), streams, learns)
            os.close(learns)
            for stream in streams:
                os.close(stream)
            _learn(learned)
            gc.freeze()  # a copy that ends looks through nothing that was here before it
            client.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def become(task: dict[str, Any], streams: list[int], learns: int) -> NoReturn:
    """Run the command as its user would have: in its folder, with its variables and its streams."""
    for standard, stream in enumerate(streams):
        os.dup2(stream, standard)
        os.close(stream)
    os.chdir(task["folder"])
    os.environ.clear()
    os.environ.update(task["env"])
    sys.argv = ["langswarm-sessions", *task["arguments"]]
    known = set(sys.modules)
    try:
        sys.exit(main())
    finally:
        os.write(learns, " ".join(sys.modules.keys() - known).encode()[:60_000])
        os.close(learns)


def _learn(learned: int) -> None:
    with open(learned, encoding="utf-8") as names:
        for name in names.read().split():
            with suppress(ImportError):  # some are no modules of a file
                importlib.import_module(name)


if __name__ == "__main__":
    serve()
