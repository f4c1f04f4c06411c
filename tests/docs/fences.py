"""Code fences of a Markdown page: found, judged, and run in the order of the page.

As a program, `python fences.py PAGE` runs one page in the current folder: `python` fences share one namespace and run
as the cells of a notebook do, in a running event loop and with `await` at the top level; `bash` fences may hold lines
of the product's own command line.
"""

from __future__ import annotations

import ast
import asyncio
import re
import shlex
import subprocess
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import CO_COROUTINE
from pathlib import Path

COMMAND = "langswarm-sessions"
COMMAND_SECONDS = 60
RUN_LANGUAGES = frozenset({"python", "bash"})
# Other spellings would be shown as code but never run.
SHADOWED_LANGUAGES = frozenset({"", "console", "py", "py3", "pycon", "python3", "sh", "shell", "zsh"})
SET_UP_COMMANDS = frozenset({"cd", "git", "make", "pip", "python", "python3.11", "source"})

_OPEN = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>[\w+-]*)[^`]*$")
_NO_RUN = re.compile(r"^\s*<!-- no-run: (?P<reason>\S.*?) -->\s*$")


@dataclass(frozen=True, slots=True)
class Fence:
    """One fenced block.

    Attributes:
        language: the word after the opening ticks.
        line: number of its first line of code, from 1.
        source: the code, without the indentation of the fence.
        no_run: why it is shown but not run, or None.
    """

    language: str
    line: int
    source: str
    no_run: str | None

    @property
    def commands(self) -> list[str]:
        """The command lines of a shell fence, without comments, continuations joined."""
        joined = self.source.replace("\\\n", " ")
        lines = (line.strip().removeprefix("$ ") for line in joined.splitlines())
        return [line for line in lines if line and not line.startswith("#")]


def find_fences(text: str) -> Iterator[Fence]:
    """Yield the fences of a page from top to bottom."""
    lines = text.splitlines()
    number = 0
    reason: str | None = None
    while number < len(lines):
        opened = _OPEN.match(lines[number])
        if opened:
            first = number + 1
            number = first
            while number < len(lines) and lines[number].strip() != opened["ticks"]:
                number += 1
            body = [line.removeprefix(opened["indent"]) for line in lines[first:number]]
            yield Fence(opened["language"], first + 1, "\n".join(body) + "\n", reason)
        marked = _NO_RUN.match(lines[number]) if number < len(lines) else None
        if marked:
            reason = marked["reason"]
        elif number < len(lines) and lines[number].strip():
            reason = None
        number += 1


def problem_with(fence: Fence) -> str | None:
    """Say why a fence may not stand in the documentation, or None."""
    if fence.language in SHADOWED_LANGUAGES:
        return f"name the language: python or bash to have it run, text for what is not code (got {fence.language!r})"
    if fence.no_run is not None:
        foreign = [line for line in fence.commands if shlex.split(line)[0] not in SET_UP_COMMANDS]
        if fence.language != "bash" or foreign:
            return f"no-run is for lines that set up an environment, not for {foreign or fence.language}"
    elif fence.language == "bash":
        foreign = [line for line in fence.commands if shlex.split(line)[0] != COMMAND]
        if foreign:
            return f"only {COMMAND} is run here; mark a fence that sets up an environment as no-run: {foreign}"
    return None


def run_page(page: Path, *, tell: Callable[[str], None] = print) -> None:
    """Run every fence of a page.

    Args:
        page: the Markdown file.
        tell: hears of each fence before it is run.
    """
    module = types.ModuleType("__main__")  # dataclasses and pickles look their module up by name
    sys.modules["__main__"] = module
    with asyncio.Runner() as runner:
        for fence in find_fences(page.read_text(encoding="utf-8")):
            if fence.no_run is not None or fence.language not in RUN_LANGUAGES:
                continue
            tell(f"--- {page.name}:{fence.line}")
            if fence.language == "python":
                _run_python(fence, page=page, namespace=module.__dict__, runner=runner)
            else:
                for line in fence.commands:
                    _run_command(line)


def _run_python(fence: Fence, *, page: Path, namespace: dict[str, object], runner: asyncio.Runner) -> None:
    padded = "\n" * (fence.line - 1) + fence.source  # so that a traceback names the line of the page
    code = compile(padded, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    async def run_cell() -> None:
        if code.co_flags & CO_COROUTINE:
            await types.FunctionType(code, namespace)()
        else:
            exec(code, namespace)

    runner.run(run_cell())


def _run_command(line: str) -> None:
    command, *arguments = shlex.split(line)
    program = Path(sysconfig.get_path("scripts")) / command
    subprocess.run([program, *arguments], check=True, stdin=subprocess.DEVNULL, timeout=COMMAND_SECONDS)


if __name__ == "__main__":
    run_page(Path(sys.argv[1]))
