"""The page on ADK runs, in a process and a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.docs import fences

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "google-adk.md"


def test_every_fence_runs(tmp_path: Path) -> None:
    problems = [fences.problem_with(fence) for fence in fences.find_fences(PAGE.read_text(encoding="utf-8"))]
    assert set(problems) == {None}
    done = subprocess.run(
        [sys.executable, "-P", fences.__file__, str(PAGE)],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sunny in Oslo" in done.stdout
