"""A canary in everything that is said: unasked, none of it leaves the process by telemetry, whatever goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.support.recorded import Recorded
from tests.telemetry.canary_scenes import SCENES
from tests.telemetry.canary_stage import CANARY, played

pytestmark = pytest.mark.usefixtures("every_event")


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("langswarm"):
            logging.getLogger(name).setLevel(logging.DEBUG)
    yield caplog
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("langswarm"):
            logging.getLogger(name).setLevel(logging.NOTSET)


def _quotes_too(kind: str, text: str) -> str:
    raise RuntimeError(f"{kind} {text}")


@pytest.mark.parametrize("name", SCENES)
async def test_no_canary_gets_out_unasked(name: str, logged: pytest.LogCaptureFixture) -> None:
    stage = await played(SCENES[name], Recorded())
    exported = stage.exported()
    assert exported["spans"]
    assert exported["metrics"]
    assert {place for place, sent in exported.items() if CANARY.encode() in sent} == set()
    assert CANARY not in logged.text
    assert CANARY not in "".join(str(record.__dict__) for record in logged.records)


@pytest.mark.parametrize("name", SCENES)
async def test_none_gets_out_by_a_redaction_that_fails(name: str, logged: pytest.LogCaptureFixture) -> None:
    stage = await played(SCENES[name], Recorded(), capture_content="SPAN_AND_EVENT", redact=_quotes_too)
    assert {place for place, sent in stage.exported().items() if CANARY.encode() in sent} == set()
    assert CANARY not in logged.text


async def test_headers_hold_no_more_than_the_trace() -> None:
    stage = await played(SCENES["a_send"], Recorded())
    assert stage.tap.headers
    assert {name for carrier in stage.tap.headers for name in carrier} == {"traceparent"}
    assert stage.tap.baggage == [{}] * len(stage.tap.baggage)
