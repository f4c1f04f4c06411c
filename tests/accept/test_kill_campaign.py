"""SIGKILL between every two steps of a turn: every kind of conversation, smooth and not, sent and streamed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kills.campaign import Case, Scene, Step, Zygote
from tests.kills.checks import check, outcome
from tests.kills.fixtures import zygote
from tests.kills.kinds import KINDS, Kind
from tests.kills.steps import FIRST, SMOOTH, case_of, every_case

__all__ = ["zygote"]

BEGUN = Step("begun")


@pytest.mark.accept
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_killed_at_every_step(zygote: Zygote, own_folder: Path, capsys: pytest.CaptureFixture[str], kind: Kind) -> None:
    for turn in (SMOOTH, FIRST, *kind.ruins):
        found: dict[str, list[str]] = {}
        for number, case in enumerate(every_case(kind, turn, _requests(zygote, own_folder / f"{turn}.db", kind, turn))):
            with Scene(zygote, kind, own_folder / f"{turn} {number}.db") as scene:
                found.setdefault(str(case.step), []).append(_outcome(scene, case))
        with capsys.disabled():
            _print(f"{kind}, {turn}", found)


def _requests(zygote: Zygote, path: Path, kind: Kind, turn: str) -> list[bool]:
    """Return the requests a turn takes when nobody dies: whether a text is streamed for each."""
    with Scene(zygote, kind, path) as scene:
        return scene.run_through(case_of(kind, turn, BEGUN, streamed=False))


def _outcome(scene: Scene, case: Case) -> str:
    scene.run_until_killed(case)
    killed = scene.go_on(case)
    try:
        check(case, killed)
    except AssertionError as error:
        error.add_note(f"{case}: {killed}")
        raise
    return outcome(case, killed)


def _print(title: str, found: dict[str, list[str]]) -> None:
    print(f"\n{title:34} {'send':12} stream")
    for step, (sent, streamed) in found.items():
        print(f"    killed at {step:20} {sent:12} {streamed}")
