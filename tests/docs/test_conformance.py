"""The conformance suite as the docs say to run it: outside of this project, with pytest alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.docs import fences

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
USE = "tape = create_session_manager("


def _suite() -> str:
    sources = [fence.source for fence in fences.find_fences(PAGE.read_text()) if "Tape" in fence.source]
    return "\n".join(sources).partition(USE)[0]


def _run(folder: Path, suite: str) -> tuple[int, str]:
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    (folder / "test_tape.py").write_text(suite)
    asked = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_tape.py"]
    done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout


def test_the_provider_of_the_docs_keeps_the_contract(tmp_path: Path) -> None:
    status, told = _run(tmp_path, _suite())
    assert status == 0, told
    assert " passed" in told


def test_a_broken_promise_is_told_with_its_values(tmp_path: Path) -> None:
    broken = _suite().replace("total_tokens=5", "total_tokens=7")
    status, told = _run(tmp_path, broken)
    assert status == 1
    assert "assert 7 == (3 + 2)" in told, told


def test_what_is_not_inherited_is_told(tmp_path: Path) -> None:
    status, told = _run(tmp_path, _suite().replace("NativeKind.NONE", "NativeKind.NODE"))
    assert status == 1
    assert "profile.native is node: the test class must inherit what belongs to it" in told, told
