"""SIGKILL at the steps of a turn that tell most; `make accept` kills at every step, in each kind of conversation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kills.campaign import Scene, Step, Zygote
from tests.kills.checks import check, outcome
from tests.kills.kinds import KINDS, Kind
from tests.kills.steps import SMOOTH, case_of, telling_cases
from tests.support.provider_server import faults
from tests.support.provider_server.gates import Gate

LOGS = [kind for kind in KINDS if kind.held is not None]
TELLING = [kind for kind in KINDS if kind.name in {"openai log", "mistral log", "anthropic client"}]


@pytest.mark.parametrize("kind", TELLING, ids=str)
def test_killed_where_it_tells_most(zygote: Zygote, own_folder: Path, kind: Kind) -> None:
    for number, case in enumerate(telling_cases(kind)):
        with Scene(zygote, kind, own_folder / f"{number}.db") as scene:
            scene.run_until_killed(case)
            check(case, scene.go_on(case))


@pytest.mark.parametrize("kind", LOGS, ids=str)
@pytest.mark.parametrize("same_key_first", [True, False], ids=["again", "next"])
def test_what_the_provider_still_says_to_the_dead_is_not_built_upon(
    zygote: Zygote, own_folder: Path, kind: Kind, same_key_first: bool
) -> None:
    """The provider enters turn and answer into its log only after another process has gone on."""
    gate = Gate()
    case = case_of(kind, SMOOTH, Step("request", 1), streamed=False, same_key_first=same_key_first)
    with Scene(zygote, kind, own_folder / "sessions.db") as scene:
        pid = scene.start(case)
        scene.server.fault(faults.run_on(gate, after_events=None))
        scene.let_go()
        gate.wait_for_arrivals()
        scene.kill(pid)
        killed = scene.go_on(case)
        gate.open()
        scene.server.wait_until_idle()
        assert kind.held is not None
        assert kind.held(scene.server)[0] == ["one", "two"], "the old log, which nobody uses any more"
    check(case, killed)
    assert outcome(case, killed) == ("run again" if kind.forks else "rebuilt")
