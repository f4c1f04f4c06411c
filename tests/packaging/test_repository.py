"""Rules for every file of the repository."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = re.compile(r"\.git|\.venv.*|.*cache.*|node_modules|dist|build|htmlcov|\.hypothesis|.*\.egg-info")
PACKAGE_FOLDERS = ("integrations", "langswarm_sessions", "telemetry")
LINES_ALLOWED = 400

# Written in pieces, so that this file obeys the rules it enforces.
INDEX_HOSTS = ("py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "yarn" + "pkg.com")
INDEX_ADDRESS = re.compile("|".join(re.escape(host) for host in INDEX_HOSTS))
MACHINE_FOLDERS = ("ro" + "ot", "wo" + "rk", "ho" + "me", "Us" + "ers", "op" + "t")
MACHINE_PATH = re.compile(r"(?<![\w./:-])/(?:" + "|".join(MACHINE_FOLDERS) + r")/[\w.]")


def committed_files() -> Iterator[Path]:
    """Every text file of the tree that no tool generates."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not GENERATED.fullmatch(name))
        for name in sorted(names):
            path = Path(folder, name)
            # Coverage data and databases are written while the tests run.
            if not name.startswith(".coverage") and path.suffix not in {".pyc", ".db", ".db-wal", ".db-shm"}:
                yield path


def lines_that_match(pattern: re.Pattern[str]) -> list[str]:
    found: list[str] = []
    for path in committed_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        if pattern.search(text):
            lines = text.splitlines()
            hits = (number for number, line in enumerate(lines, 1) if pattern.search(line))
            found.extend(f"{path.relative_to(ROOT)}:{number}" for number in hits)
    return found


def test_no_file_names_a_package_index() -> None:
    assert lines_that_match(INDEX_ADDRESS) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert lines_that_match(MACHINE_PATH) == []


def test_the_locks_hold_versions_and_hashes_only() -> None:
    locks = sorted(ROOT.glob(".ci/locks/*.lock"))
    assert locks or not (ROOT / "Makefile").exists()
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text, lock
        pins = [line for line in text.splitlines() if line and line[0] not in " #"]
        assert pins, lock
        assert all("==" in line and line.endswith("\\") for line in pins), lock


def test_the_top_holds_the_packages_and_what_serves_them() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    generated = {name for name in folders if GENERATED.fullmatch(name)}
    assert folders - generated <= {*PACKAGE_FOLDERS, "docs", "examples", "tests"}


def test_no_module_is_long() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in committed_files()
        if path.suffix == ".py" and (lines := len(path.read_text(encoding="utf-8").splitlines())) > LINES_ALLOWED
    }
    assert long == {}


def test_every_module_postpones_annotations() -> None:
    defines = re.compile(r"^(async def|class|def|from|import) ", re.MULTILINE)
    without = [
        str(path.relative_to(ROOT))
        for path in committed_files()
        if path.suffix == ".py"
        and defines.search(text := path.read_text(encoding="utf-8"))
        and "from __future__ import annotations" not in text
    ]
    assert without == []


def test_no_test_is_skipped() -> None:
    words = re.compile(r"pytest\.(mark\." + "skip|mark\\." + "xfail|" + "skip|" + "xfail|" + r"importor" + r"skip)\b")
    assert [place for place in lines_that_match(words) if place.endswith(".py") or ".py:" in place] == []


def test_the_index_patterns_find_what_they_should() -> None:
    assert INDEX_ADDRESS.search("files.python" + "hosted.org/packages/x")
    assert MACHINE_PATH.search("see /ro" + "ot/.cache")
    assert not MACHINE_PATH.search("http://127.0.0.1/work/x or ./opt/x or a/home/b")


def test_the_version_is_written_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
