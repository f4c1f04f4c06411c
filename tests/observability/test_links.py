"""Links from turn to turn: over processes, failures, handoffs and lost threads, to the turn directly before or none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from sqlalchemy import Connection, text

from langswarm_sessions import ConfigurationError, ProviderUnavailableError, RetryPolicy, Session, SessionManager
from langswarm_sessions_otel import Telemetry
from tests.support.recorded import Recorded

ROOT = Path(__file__).parents[2]
TURN = "invoke_agent session"

SAYS = """
import asyncio, sys
from langswarm_sessions import SessionManager
from langswarm_sessions_otel import configure_telemetry

handle = configure_telemetry(span_file=sys.argv[1])

async def main(text):
    async with SessionManager("sqlite", storage_config={"db_path": "linked.db"}) as manager:
        session = await manager.open_session("s", user_id="user", provider="mock", model="mock-model")
        if text == "handoff":
            await session.handoff("mock", "other-model")
        else:
            await session.send_message(text)

asyncio.run(main(sys.argv[2]))
handle.shutdown()
"""


def spot_of(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def links_of(span: ReadableSpan) -> dict[object, tuple[int, int]]:
    return {
        (link.attributes or {})["langswarm.link.kind"]: (link.context.trace_id, link.context.span_id)
        for link in span.links
    }


def _expire(connection: Connection) -> None:
    connection.execute(text("UPDATE sessions SET lease_expires_at = created_at"))


def last(recorded: Recorded, name: str = TURN) -> ReadableSpan:
    return [span for span in recorded.spans if span.name == name][-1]


async def new_session(manager: SessionManager, strategy: str | None = None) -> Session:
    return await manager.create_session("user", "mock", "mock-model", strategy=strategy)


def spans_of_process(text: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Say something in a process of its own; return its spans by name."""
    path = folder / f"{text}.jsonl"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LANGSWARM_"))}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "telemetry"), environment.get("PYTHONPATH", "")])
    subprocess.run([sys.executable, "-c", SAYS, str(path), text], cwd=folder, env=environment, check=True, timeout=60)
    return {span["name"]: span for span in map(json.loads, path.read_text(encoding="utf-8").splitlines())}


def test_links_survive_processes(tmp_path: Path) -> None:
    one = spans_of_process("one", tmp_path)[TURN]
    two = spans_of_process("two", tmp_path)[TURN]
    moved = spans_of_process("handoff", tmp_path)["langswarm.session.handoff"]
    three = spans_of_process("three", tmp_path)[TURN]

    def linked(span: dict[str, Any]) -> dict[str, tuple[str, str]]:
        return {link["attributes"]["langswarm.link.kind"]: (link["trace"], link["span"]) for link in span["links"]}

    assert "links" not in one
    assert linked(two) == {"previous_turn": (one["trace"], one["span"])}
    assert linked(moved) == {"source_turn": (two["trace"], two["span"])}
    assert linked(three) == {
        "previous_turn": (two["trace"], two["span"]),
        "handoff": (moved["trace"], moved["span"]),
    }
    assert len({span["trace"] for span in (one, two, moved, three)}) == 4


async def test_a_turn_links_to_one_that_failed(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager)
    session.provider_session.fail_next("unavailable", times=2)
    with pytest.raises(ProviderUnavailableError):
        await session.send_message("one")
    failed = last(recorded)
    await session.send_message("two")
    assert links_of(last(recorded)) == {"previous_turn": spot_of(failed)}


UNRECORDED = {
    "not sampled": Telemetry(tracer_provider=TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)),
    "switched off": Telemetry(enabled=False),
}


@pytest.mark.parametrize("telemetry", UNRECORDED.values(), ids=UNRECORDED)
async def test_nothing_links_past_a_turn_that_was_not_recorded(recorded: Recorded, telemetry: Telemetry) -> None:
    place = {"db_path": "sampled.db"}
    async with (
        SessionManager("sqlite", storage_config=place, telemetry=recorded.telemetry()) as seen,
        SessionManager("sqlite", storage_config=place, telemetry=telemetry) as unseen,
    ):
        session = await new_session(seen)
        await session.send_message("one")
        await session.handoff("mock", "second-model")
        await unseen.send_message(session.session_id, "two")
        await session.refresh()
        await session.send_message("three")
        assert links_of(last(recorded)) == {}, "neither to the turn before the last, nor to a handoff before that"
        three = last(recorded)
        await session.send_message("four")
        assert links_of(last(recorded)) == {"previous_turn": spot_of(three)}


@pytest.mark.parametrize("telemetry", UNRECORDED.values(), ids=UNRECORDED)
async def test_a_handoff_that_was_not_recorded_is_linked_to_by_nobody(recorded: Recorded, telemetry: Telemetry) -> None:
    place = {"db_path": "sampled.db"}
    async with (
        SessionManager("sqlite", storage_config=place, telemetry=recorded.telemetry()) as seen,
        SessionManager("sqlite", storage_config=place, telemetry=telemetry) as unseen,
    ):
        session = await new_session(seen)
        await session.send_message("one")
        one = last(recorded)
        await session.handoff("mock", "second-model")
        await unseen.handoff(session.session_id, "mock", "third-model")
        await session.refresh()
        await session.send_message("two")
    assert links_of(last(recorded)) == {"previous_turn": spot_of(one)}, "the first handoff is not the last one"


async def test_nothing_links_past_a_turn_that_died(recorded: Recorded) -> None:
    place = {"db_path": "died.db"}
    async with (
        SessionManager("sqlite", storage_config=place, telemetry=recorded.telemetry()) as dying,
        SessionManager("sqlite", storage_config=place, telemetry=recorded.telemetry()) as manager,
    ):
        session = await new_session(manager)
        await session.send_message("one")
        async with (await dying.get_session(session.session_id)).hold_turn():
            runner: Any = manager._services.storage
            await runner._runner.write(_expire)
            await session.send_message("two")
            assert links_of(last(recorded)) == {}


async def test_only_the_first_turn_after_a_handoff_links_to_it(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager)
    await session.handoff("mock", "second-model")
    await session.handoff("mock", "third-model")
    moved = last(recorded, "langswarm.session.handoff")
    await session.send_message("one")
    assert links_of(last(recorded)) == {"handoff": spot_of(moved)}
    one = last(recorded)
    await session.send_message("two")
    assert links_of(last(recorded)) == {"previous_turn": spot_of(one)}


async def test_a_handoff_outside_a_turn_is_no_part_of_the_conversation(
    manager: SessionManager, recorded: Recorded
) -> None:
    session = await new_session(manager)
    await session.send_message("one")
    await session.handoff("mock", "second-model")
    attributes = dict(last(recorded, "langswarm.session.handoff").attributes or {})
    assert "gen_ai.conversation.id" not in attributes
    assert attributes["langswarm.handoff.to.model"] == "second-model"
    assert attributes["langswarm.handoff.messages"] == 2
    assert attributes["langswarm.handoff.from.mode"] == "native"
    assert attributes["langswarm.handoff.to.mode"] == "native"
    assert attributes["gen_ai.agent.name"] == "session"


async def test_a_handoff_that_fails_says_to_whom_it_was_to_be(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager)
    with pytest.raises(ConfigurationError):
        await session.handoff("nobody", "any-model")
    attributes = dict(last(recorded, "langswarm.session.handoff").attributes or {})
    assert {name: value for name, value in attributes.items() if name.startswith("langswarm.handoff.")} == {
        "langswarm.handoff.from.provider": "mock",
        "langswarm.handoff.from.model": "mock-model",
        "langswarm.handoff.to.provider": "nobody",
        "langswarm.handoff.to.model": "any-model",
    }


async def test_a_dry_run_leaves_nothing(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager)
    recorded.exporter.clear()
    before = recorded.all_points()
    await session.handoff("mock", "second-model", dry_run=True)
    assert recorded.spans == ()
    assert recorded.all_points().keys() == before.keys()


async def test_a_rebuild_links_to_the_last_turn_that_the_thread_holds(recorded: Recorded) -> None:
    retry = RetryPolicy(max_attempts=1)
    async with SessionManager("memory", telemetry=recorded.telemetry(), retry=retry) as manager:
        session = await new_session(manager, "hybrid")
        await session.send_message("one")
        good = last(recorded)
        session.provider_session.fail_next("auth")
        with pytest.raises(Exception, match="key"):
            await session.send_message("two")
        failed = last(recorded)
        session.provider_session.forget()
        await session.send_message("three")
    rebuild = last(recorded, "langswarm.session.rebuild")
    assert links_of(rebuild) == {"last_good_turn": spot_of(good)}
    assert links_of(last(recorded)) == {"previous_turn": spot_of(failed)}
    attributes = dict(rebuild.attributes or {})
    assert attributes["langswarm.rebuild.reason"] == "not_found"
    assert attributes["langswarm.rebuild.messages"] == 3, "one, its answer, three"
    assert isinstance(attributes["langswarm.rebuild.tokens"], int)
    [point] = recorded.points("langswarm.session.rebuild.tokens")
    assert point.sum == attributes["langswarm.rebuild.tokens"]  # type: ignore[union-attr]


def test_what_a_session_keeps_of_its_traces_fits_its_column(recorded: Recorded) -> None:
    with recorded.telemetry().lifecycle("handoff", session_id="s") as span:
        kept = span.kept_with(None)
    assert kept is not None
    assert kept.startswith(";handoff=00-")
    assert len(f"00-{'a' * 32}-{'b' * 16}-01{kept}") <= 128
