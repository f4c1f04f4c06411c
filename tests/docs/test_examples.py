"""Every file in examples/ runs to its end, in a process and a folder of its own, without a terminal.

Those of the demo are run, and looked at closely, by tests/demo. Those that compare who loses what in a kill are for
`make accept`; tests/agents and tests/chat_model kill the same programs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.programs import ProgramRunner

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted({*FOLDER.rglob("*.py")} - {*FOLDER.glob("demo*.py")})
EXAMPLE_SECONDS = 120


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(path, id=path.name, marks=[pytest.mark.accept] if path.stem.endswith("_killed") else [])
        for path in EXAMPLES
    ],
)
def test_the_example_runs(example: Path, run_program: ProgramRunner) -> None:
    output = run_program([sys.executable, str(example)], seconds=EXAMPLE_SECONDS)
    assert output.strip(), "an example shows something"
    assert "Traceback" not in output


def test_there_are_examples() -> None:
    assert EXAMPLES
