"""The `run_program` fixture: a program run to its end, whole process group killed when it takes too long."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pytest
from llmock.testing import LLMockServer


class ProgramRunner(Protocol):
    """Runs a program in the test's own folder."""

    def __call__(self, command: Sequence[str], *, seconds: float) -> str:
        """Run a program that must succeed.

        Args:
            command: program and arguments.
            seconds: after which it is killed and the test fails.

        Returns:
            What it wrote, both streams together.
        """
        ...


@pytest.fixture
def program_env(llmock_server: LLMockServer) -> dict[str, str]:
    """Variables that point the OpenAI SDK at a loopback server, so that what needs a key runs without one."""
    served = {"OPENAI_BASE_URL": llmock_server.base_url("openai"), "OPENAI_API_KEY": "test-key-of-nobody"}
    return {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", **served}


@pytest.fixture
def run_program(program_env: dict[str, str]) -> ProgramRunner:
    """Run programs that need no key and find no terminal."""

    def run(command: Sequence[str], *, seconds: float) -> str:
        log = Path("program.log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=program_env,
                start_new_session=True,
            )
            try:
                code = process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        said = log.read_text(encoding="utf-8", errors="replace")
        log.unlink()
        assert code == 0, f"{command} ended with {'a time-out' if code is None else code}:\n{said}"
        return said

    return run
