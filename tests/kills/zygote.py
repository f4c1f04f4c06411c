"""A process that becomes talkers: `python -m tests.kills.zygote`.

It reads a task a line, does it in a copy of itself, and says with which status that copy ended. What a copy that lived
to its end had to import, it imports as well: the next one starts in milliseconds. No thread runs in it.
"""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import suppress

from tests.kills.program import Task, run, tell


def main() -> None:
    """Do the tasks of standard input."""
    while line := _line():
        learned, learns = os.pipe()
        pid = os.fork()
        if pid == 0:
            _become(Task.of(line), learns)
        os.close(learns)
        with open(learned, encoding="utf-8") as names:
            modules = names.read().split()
        _, status = os.waitpid(pid, 0)
        for module in modules:
            with suppress(ImportError):  # some are no modules of a file
                importlib.import_module(module)
        tell(ended=os.waitstatus_to_exitcode(status))


def _become(task: Task, learns: int) -> None:
    """Do the task and end; the names of the modules it took go to `learns`."""
    status = 1
    known = set(sys.modules)
    try:
        run(task, _line)
        os.write(learns, " ".join(sys.modules.keys() - known).encode())
        status = 0
    except BaseException as error:  # noqa: BLE001 - whatever it was, the copy ends here and its status tells
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.stderr.flush()
        os._exit(status)


def _line() -> str:
    """Return the next line of standard input; unbuffered, so that copies and original read one after the other."""
    read = bytearray()
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        read += byte
    return read.decode()


if __name__ == "__main__":
    main()
