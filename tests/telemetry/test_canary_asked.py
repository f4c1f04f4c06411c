"""A canary in everything that is said: asked for, it is told where it was asked for, and nowhere else."""

from __future__ import annotations

import pytest

from tests.support.recorded import Recorded
from tests.telemetry.canary_scenes import SCENES
from tests.telemetry.canary_stage import CANARY, played

pytestmark = pytest.mark.usefixtures("every_event")

SAYS_NOTHING = {"a_middleware_that_quotes"}
OTHERS_CALL_THE_MODEL = {"a_wrapped_chain", "a_run_of_others"}
ALWAYS_KEPT_OUT = ("metrics", "headers", "baggage")


@pytest.mark.parametrize("name", sorted(set(SCENES) - SAYS_NOTHING))
async def test_asked_for_it_is_on_spans_and_in_events_alone(name: str) -> None:
    stage = await played(SCENES[name], Recorded(), capture_content="SPAN_AND_EVENT")
    exported = stage.exported()
    found = {place for place, sent in exported.items() if CANARY.encode() in sent}
    assert "spans" in found
    assert ("events" in found) is (name not in OTHERS_CALL_THE_MODEL)
    assert not found & set(ALWAYS_KEPT_OUT)
    # Content or not: whose session it is, and what it is called, is none of it.
    told = b"".join(exported.values())
    for private in (" user", " name", "-tag", " key"):
        assert f"{CANARY}{private}".encode() not in told


async def test_baggage_is_the_conversation_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSWARM_SESSIONS_BAGGAGE", "on")
    stage = await played(SCENES["a_send"], Recorded(), capture_content="SPAN_AND_EVENT")
    inside = [carrier for carrier in stage.tap.headers if "baggage" in carrier]
    assert inside
    assert {carrier["baggage"] for carrier in inside} == {"gen_ai.conversation.id=s-1"}
