"""Runs a page in a process of its own, forked from one that has loaded the packages already.

Some forty pages load the same packages: that is most of what running them takes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from tests.docs.fences import run_page

__all__ = ["run_forked"]

_LOADED = [
    "agents",
    "alembic.command",
    "anthropic",
    "langchain.agents",
    "langgraph.graph",
    "langswarm_sessions.manager",
    "langswarm_sessions.storage.sql.storage",
    "langswarm_sessions.testing",
    "langswarm_sessions_langchain.history",
    "langswarm_sessions_langchain.runnable",
    "openai",
    "opentelemetry.sdk.trace.export",
    "pydantic_ai",
]
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(_LOADED)


def run_forked(page: Path, *, env: Mapping[str, str], seconds: float) -> None:
    """Run the fences of a page in the current folder; they must succeed.

    Args:
        page: The Markdown file.
        env: All the variables the page sees.
        seconds: After which it is killed and the test fails.
    """
    log = Path("page.log").absolute()
    process = _processes.Process(target=_run, args=(page, Path.cwd(), dict(env), log))
    process.start()
    process.join(seconds)
    code = process.exitcode
    process.kill()
    assert process.pid is not None
    with contextlib.suppress(ProcessLookupError):  # nor is anything left that it started
        os.killpg(process.pid, signal.SIGKILL)
    process.join()
    said = log.read_text(encoding="utf-8", errors="replace")
    assert code == 0, f"{page.name} ended with {'a time-out' if code is None else code}:\n{said}"


def _run(page: Path, folder: Path, env: dict[str, str], log: Path) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    output = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    run_page(page)
