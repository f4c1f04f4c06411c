"""The pictures of the documentation: taken of what the load before left in the backends."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.accept.tracing.chromium import take_picture
from tests.accept.tracing.loads import Backends, Load
from tests.accept.tracing.processes import ROOT
from tests.accept.tracing.shown import Shown

pytestmark = pytest.mark.accept

FOLDER = ROOT / "docs" / "images" / "telemetry"
LARGEST_BYTES = 300_000
WIDTH = 1440


def _check(picture: Path) -> None:
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    (width,) = struct.unpack(">I", data[16:20])
    assert width == WIDTH
    assert 15_000 < len(data) < LARGEST_BYTES, f"{len(data)} bytes: an empty page, or one with too much in it"


@pytest.mark.parametrize("page", ["sessions", "session", "turn"])
def test_phoenix(page: str, backends: Backends, loads: dict[str, Load], all_shown: dict[str, Shown]) -> None:
    load = loads["phoenix over http"]
    project = backends.phoenix.project(load.name)
    assert project is not None
    pages = {
        "sessions": ("sessions", 900),
        "session": (f"sessions/{backends.phoenix.session(project, 'rebuild')}", 1000),
        "turn": (
            f"traces/{all_shown['phoenix over http'].sessions['tools'].turns[0].trace_id}",
            900,
        ),
    }
    place, height = pages[page]
    picture = FOLDER / f"phoenix-{page}.png"
    take_picture(f"{backends.phoenix.url}/projects/{project}/{place}", picture, width=WIDTH, height=height)
    _check(picture)


@pytest.mark.parametrize("page", ["sessions", "session", "turn"])
def test_mlflow(page: str, backends: Backends, loads: dict[str, Load], all_shown: dict[str, Shown]) -> None:
    load = loads["mlflow"]
    experiment = backends.mlflow.experiment(load.name)
    trace = all_shown["mlflow"].sessions["tools"].turns[0].trace_id
    pages = {
        "sessions": ("traces?groupBy=session&q=invoke_agent", 900),
        "session": ("chat-sessions/rebuild", 1000),
        "turn": (f"traces?selectedEvaluationId=tr-{trace}", 900),
    }
    place, height = pages[page]
    picture = FOLDER / f"mlflow-{page}.png"
    take_picture(f"{backends.mlflow.url}/#/experiments/{experiment}/{place}", picture, width=WIDTH, height=height)
    _check(picture)
