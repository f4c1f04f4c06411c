"""The ids of the conversation on every span inside a turn, whoever starts it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langswarm_sessions import SessionManager
from langswarm_sessions.messages import ToolCall
from langswarm_sessions_otel import ConversationSpanProcessor, Telemetry, TelemetryConfigurationError

IDS = ("gen_ai.conversation.id", "session.id", "langswarm.session.id")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ConversationSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def ids_of(exporter: InMemorySpanExporter, name: str) -> list[object]:
    [span] = [span for span in exporter.get_finished_spans() if span.name == name]
    return [(span.attributes or {}).get(key) for key in IDS]


async def test_what_a_tool_does_is_part_of_the_conversation(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    tracer = provider.get_tracer("the user's")

    def look_up(city: str) -> str:
        """Look a city up."""
        with tracer.start_as_current_span("SELECT"), tracer.start_as_current_span("row"):
            pass
        with tracer.start_as_current_span("other", attributes={"session.id": "mine"}):
            pass
        tracer.start_span("elsewhere", Context()).end()
        return "found"

    async with SessionManager("memory", telemetry=Telemetry(tracer_provider=provider)) as manager:
        session = await manager.create_session("ada", "mock", "mock-model", session_id="s")
        session.provider_session.set_responses(
            [ToolCall(id="call_1", name="look_up", arguments={"city": "Rome"}), "done"]
        )
        with tracer.start_as_current_span("before"):
            pass
        await session.send_message("hi", tools=[look_up], run_tools=True)
        with tracer.start_as_current_span("after"):
            pass
    assert ids_of(exporter, "SELECT") == ids_of(exporter, "row") == ["s"] * 3
    assert ids_of(exporter, "elsewhere") == [None] * 3, "a trace of its own would be shown as another turn"
    assert ids_of(exporter, "other") == ["s", "mine", "s"], "what a span says of itself stays"
    assert ids_of(exporter, "before") == ids_of(exporter, "after") == [None] * 3
    assert ids_of(exporter, "langswarm.session.create") == [None, None, "s"], "else it would count as a turn"


async def test_a_backend_may_have_names_of_its_own(provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    provider.add_span_processor(ConversationSpanProcessor(attributes=["langsmith.metadata.session_id", "thread"]))
    tracer = provider.get_tracer("the user's")

    def look_up() -> str:
        """Look something up."""
        with tracer.start_as_current_span("SELECT", attributes={"thread": "mine"}):
            return "found"

    async with SessionManager("memory", telemetry=Telemetry(tracer_provider=provider)) as manager:
        session = await manager.create_session("ada", "mock", "mock-model", session_id="s")
        session.provider_session.set_responses([ToolCall(id="call_1", name="look_up"), "done"])
        await session.send_message("hi", tools=[look_up], run_tools=True)
    named = {span.name: dict(span.attributes or {}) for span in exporter.get_finished_spans()}
    assert named.pop("langswarm.session.create").keys().isdisjoint({"langsmith.metadata.session_id", "thread"})
    assert named.pop("SELECT")["thread"] == "mine"
    assert len(named) > 3
    assert all(
        (each["langsmith.metadata.session_id"], each["thread"]) == ("s", "s")
        for name, each in named.items()
        if name != "langswarm.storage.create"
    )


@pytest.mark.parametrize("names", ["thread.id", [""], [7]])
def test_wrong_names_are_refused(names: Any) -> None:
    with pytest.raises(TelemetryConfigurationError, match=r"^attributes must be a list of names"):
        ConversationSpanProcessor(attributes=names)


def test_a_provider_of_ours_has_it(tmp_path: Path) -> None:
    program = """
        from opentelemetry import trace
        from langswarm_sessions_otel import Telemetry, configure_telemetry
        handle = configure_telemetry(span_file="spans.jsonl")
        tracer = trace.get_tracer("the user's")
        with Telemetry().turn(session_id="s", agent_name="session", operation="send", mode="client", provider="mock",
                              model="m", stream=False):
            tracer.start_span("inside").end()
        tracer.start_span("outside").end()
        handle.shutdown()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=tmp_path, check=True, timeout=60)
    spans = [json.loads(line) for line in (tmp_path / "spans.jsonl").read_text().splitlines()]
    attributes = {span["name"]: span.get("attributes", {}) for span in spans}
    assert attributes["inside"].items() >= dict.fromkeys(IDS, "s").items()
    assert not attributes["outside"].keys() & set(IDS)
