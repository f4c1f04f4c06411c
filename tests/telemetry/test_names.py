"""The names that users build dashboards on: the documentation and the tables agree."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from langswarm_sessions_otel import Telemetry, configure_telemetry, semconv

if TYPE_CHECKING:
    from tests.support.recorded import Recorded

PAGE = Path(__file__).parents[2] / "docs" / "telemetry.md"
OURS = {value for value in vars(semconv).values() if isinstance(value, str) and value in semconv.BUCKETS}


def _first_column(heading: str) -> list[str]:
    section = PAGE.read_text(encoding="utf-8").split(heading, 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([^`=]+)", section, flags=re.MULTILINE)


def test_the_page_lists_every_metric(
    recorded: Recorded, telemetry: Telemetry, whole_turn: Callable[..., str | None]
) -> None:
    whole_turn(telemetry)
    with telemetry.lifecycle("create", session_id="s"):
        telemetry.session_opened("native")

    assert set(_first_column("## Metrics")) == {*recorded.all_points(), semconv.TELEMETRY_ERRORS}


def test_the_page_lists_every_argument_and_switch() -> None:
    assert _first_column("## See something") == sorted(
        inspect.signature(configure_telemetry).parameters, key=_first_column("## See something").index
    )
    variables = {value for name, value in vars(semconv).items() if name.startswith("ENV_")}
    assert set(_first_column("## Switches")) == variables


def test_every_histogram_of_ours_has_buckets() -> None:
    assert {name for name in OURS if name.startswith("langswarm.")} == {
        "langswarm.session.turn.duration",
        "langswarm.session.turn.time_to_first_chunk",
        "langswarm.session.rate_limit.wait",
        "langswarm.session.rebuild.tokens",
        "langswarm.storage.operation.duration",
    }
    for boundaries in semconv.BUCKETS.values():
        assert list(boundaries) == sorted(set(boundaries))
