"""The wheel holds the four packages, whole, and nothing else; what is tested is what is meant to be."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "langswarm_sessions": ".",
    "langswarm_sessions_frameworks": "integrations",
    "langswarm_sessions_langchain": "integrations",
    "langswarm_sessions_otel": "telemetry",
}
# `make wheel` copies the tests away from the checkout and sets this: then the installed wheel itself is judged.
INSTALLED_AS_WHEEL = os.environ.get("INSTALLED_AS") == "wheel"


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The paths inside the wheel: of the installed one, or of one built from this checkout."""
    if INSTALLED_AS_WHEEL:
        files = distribution("langswarm-sessions").files or []
        inside = (file.as_posix() for file in files if file.suffix != ".pyc")
        return frozenset(path for path in inside if not path.startswith(".."))
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target], cwd=ROOT, check=True)
    [wheel] = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


def test_the_wheel_holds_the_four_packages_and_nothing_else(wheel_files: frozenset[str]) -> None:
    top = {path.split("/")[0] for path in wheel_files}
    assert {name for name in top if not name.endswith(".dist-info")} == set(FOLDERS)


@pytest.mark.parametrize("package", FOLDERS)
def test_each_package_is_typed(package: str, wheel_files: frozenset[str]) -> None:
    assert {f"{package}/__init__.py", f"{package}/py.typed"} <= wheel_files


def test_the_wheel_holds_licence_and_command(wheel_files: frozenset[str]) -> None:
    assert [path for path in wheel_files if path.endswith(".dist-info/licenses/LICENSE")]
    [script] = [entry for entry in distribution("langswarm-sessions").entry_points if entry.group == "console_scripts"]
    assert (script.name, script.value) == ("langswarm-sessions", "langswarm_sessions.cli:main")


@pytest.mark.parametrize("package", FOLDERS)
def test_what_is_imported_is_what_is_meant_to_be_tested(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    expected = Path(sysconfig.get_path("purelib")) if INSTALLED_AS_WHEEL else ROOT / FOLDERS[package]
    assert Path(module.__file__).resolve().parent == (expected / package).resolve()


@pytest.mark.parametrize("package", FOLDERS)
def test_no_file_of_a_package_is_left_out(package: str, wheel_files: frozenset[str]) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    folder = Path(module.__file__).parent
    there = {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    expected = {f"{package}/{path.relative_to(folder).as_posix()}" for path in there}
    assert expected <= wheel_files
