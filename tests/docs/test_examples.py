"""Every file in examples/ runs to its end, in a process and a folder of its own, without a terminal.

Those of the demo are run, and looked at closely, by tests/demo.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.programs import ProgramRunner

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted({*FOLDER.rglob("*.py")} - {*FOLDER.glob("demo*.py")})
EXAMPLE_SECONDS = 120


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_example_runs(example: Path, run_program: ProgramRunner) -> None:
    output = run_program([sys.executable, str(example)], seconds=EXAMPLE_SECONDS)
    assert output.strip(), "an example shows something"
    assert "Traceback" not in output


def test_there_are_examples() -> None:
    assert EXAMPLES
