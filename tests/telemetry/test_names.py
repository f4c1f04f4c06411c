"""The names that users build dashboards on: the documentation and the tables agree."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from langswarm_sessions_otel import Telemetry, TurnScope, configure_telemetry, semconv

if TYPE_CHECKING:
    from tests.support.recorded import Recorded

PAGE = Path(__file__).parents[2] / "docs" / "telemetry.md"
SETUP = PAGE.with_suffix("") / "setup.md"
OURS = {value for value in vars(semconv).values() if isinstance(value, str) and value in semconv.BUCKETS}


def _first_column(heading: str, page: Path = PAGE) -> list[str]:
    section = page.read_text(encoding="utf-8").split(heading, 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([^`=]+)", section, flags=re.MULTILINE)


def test_the_page_lists_every_metric(
    recorded: Recorded,
    telemetry: Telemetry,
    whole_turn: Callable[..., str | None],
    start_turn: Callable[..., TurnScope],
) -> None:
    whole_turn(telemetry)
    with telemetry.lifecycle("create", session_id="s"):
        telemetry.session_opened("native")
    with start_turn(telemetry) as turn, turn.summary(), turn.tool(name="clock", call_id="call_1"):
        turn.charged(0.25, provider="mock", model="m", source="table")
        turn.cost_is_partial()
    with telemetry.job("import"):
        pass

    assert set(_first_column("## Metrics")) == {*recorded.all_points(), semconv.TELEMETRY_ERRORS}


def test_the_page_lists_every_argument_and_switch() -> None:
    assert set(inspect.signature(configure_telemetry).parameters) <= set(_first_column("## Arguments", SETUP))
    variables = {value for name, value in vars(semconv).items() if name.startswith("ENV_")}
    assert {*_first_column("## Switches"), *_first_column("## Variables", SETUP)} >= variables


def test_every_histogram_of_ours_has_buckets() -> None:
    assert {name for name in OURS if name.startswith("langswarm.")} == {
        "langswarm.session.turn.duration",
        "langswarm.session.turn.time_to_first_chunk",
        "langswarm.session.rate_limit.wait",
        "langswarm.session.lease.wait",
        "langswarm.session.rebuild.tokens",
        "langswarm.job.duration",
        "langswarm.hook.duration",
        "langswarm.storage.operation.duration",
    }
    for boundaries in semconv.BUCKETS.values():
        assert list(boundaries) == sorted(set(boundaries))
