"""Every code fence of README.md and docs/ runs, page by page, each page in a process and a folder of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.docs import fences
from tests.docs.forked import run_forked

ROOT = Path(__file__).parents[2]
ELSEWHERE = {ROOT / "docs" / "google-adk.md"}  # it needs an environment of its own: `make adk` runs it there
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").rglob("*.md")} - ELSEWHERE)]
PAGE_SECONDS = 120


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_fence_runs(page: Path, program_env: dict[str, str]) -> None:
    problems = [
        f"{page.name}:{fence.line}: {problem}"
        for fence in fences.find_fences(page.read_text(encoding="utf-8"))
        if (problem := fences.problem_with(fence))
    ]
    assert problems == []
    run_forked(page, env=program_env, seconds=PAGE_SECONDS)


def test_fences_are_found_with_their_place_and_language() -> None:
    text = "# T\n\n```python\nx = 1\n```\n\n- item\n\n  ```text\n  a ``` b\n  ```\n\n````bash\n```\n````\n"
    found = [(fence.language, fence.line, fence.source) for fence in fences.find_fences(text)]
    assert found == [("python", 4, "x = 1\n"), ("text", 10, "a ``` b\n"), ("bash", 14, "```\n")]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("```\nx\n```", "name the language"),
        ("```py\nx\n```", "name the language"),
        ("```bash\nrm x\n```", "only langswarm-sessions"),
        ("<!-- no-run: why -->\n```python\nx\n```", "no-run is for"),
        ("<!-- no-run: why -->\n```bash\nlangswarm-sessions list\n```", "no-run is for"),
    ],
)
def test_a_fence_that_would_not_run_is_a_problem(text: str, word: str) -> None:
    [fence] = fences.find_fences(text)
    problem = fences.problem_with(fence)
    assert problem is not None
    assert word in problem


def test_set_up_lines_may_be_left_out() -> None:
    [fence] = fences.find_fences("<!-- no-run: sets up an environment -->\n\n```bash\nmake demo # see\n```")
    assert fences.problem_with(fence) is None


def test_fences_share_a_namespace_and_may_await(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nimport asyncio\nqueue = asyncio.Queue()\nqueue.put_nowait(1)\n```\n"
        "```python\nheard = await queue.get()\n```\n"
        "```text\nnot run\n```\n"
        f"```python\nimport pathlib\npathlib.Path({str(tmp_path / 'out')!r}).write_text(str(heard))\n```\n"
    )
    main = sys.modules["__main__"]
    try:
        fences.run_page(page, tell=lambda line: None)
    finally:
        sys.modules["__main__"] = main
    assert (tmp_path / "out").read_text() == "1"


def test_fences_without_await_run_in_a_loop_as_in_a_notebook(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nimport asyncio\n\nasyncio.get_running_loop()\n```\n")
    main = sys.modules["__main__"]
    try:
        fences.run_page(page, tell=lambda line: None)
    finally:
        sys.modules["__main__"] = main


def test_a_failing_fence_names_the_line_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# T\n\n```python\nok = 1\nraise LookupError('here')\n```\n")
    main = sys.modules["__main__"]
    try:
        with pytest.raises(LookupError) as caught:
            fences.run_page(page, tell=lambda line: None)
    finally:
        sys.modules["__main__"] = main
    assert caught.traceback[-1].lineno == 4
