"""Code in a process of its own that has the SDK and its exporters imported already: `python prepared.py`.

A fresh interpreter takes most of a second to import them. The original process forks a copy for each piece of code; the
copy ends as any program does, with its exit handlers. No thread runs in the original.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NoReturn

import langswarm_sessions_otel

MODULES = (
    "langswarm_sessions_otel.setup.configure",
    "langswarm_sessions_otel.sdk.setup",
    "langswarm_sessions_otel.telemetry",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk.trace.export.in_memory_span_exporter",
)


def run_prepared(code: str, *, with_errors: bool = False, **environment: str) -> str:
    """Run code and return what it printed; its standard error must be empty unless asked for."""
    done = exit_of(code, **environment)
    assert done.returncode == 0, done.stderr
    if with_errors:
        return done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def exit_of(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code to its end, however it ends."""
    original = _original()
    assert original.stdin is not None
    assert original.stdout is not None
    task = {"code": textwrap.dedent(code), "env": {**os.environ, **environment}, "folder": str(Path.cwd())}
    original.stdin.write(json.dumps(task) + "\n")
    original.stdin.flush()
    answer = original.stdout.readline()
    assert answer, "the process that runs code has ended"
    return subprocess.CompletedProcess([], **json.loads(answer))


@functools.cache
def _original() -> subprocess.Popen[str]:
    source = Path(langswarm_sessions_otel.__file__).parents[1]
    path = os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    )
    assert process.stdin is not None
    atexit.register(process.communicate)
    return process


def serve() -> None:
    """Run what comes, one piece after the other."""
    import importlib
    import tempfile

    for name in MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        task = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            pid = os.fork()
            if pid == 0:
                become(task, out.fileno(), err.fileno())
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            texts: list[str] = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        print(json.dumps({"returncode": code, "stdout": texts[0], "stderr": texts[1]}), flush=True)


def become(task: dict[str, dict[str, str] | str], out: int, err: int) -> NoReturn:
    """Be the program of a task."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.chdir(str(task["folder"]))
    os.environ.clear()
    os.environ.update(task["env"])  # type: ignore[arg-type]
    sys.argv = ["-c"]
    exec(compile(str(task["code"]), "<string>", "exec"), vars(sys.modules["__main__"]))
    sys.exit(0)


if __name__ == "__main__":
    serve()
