"""What telemetry tells of tools: a span each under the send's one span, sums, errors, and no content unasked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from opentelemetry.trace import StatusCode

from langswarm_sessions import RetryPolicy, Session, SessionManager, ToolCall
from tests.support.recorded import Recorded
from tests.tool_calls.kit import Tools, called

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


async def fails(word: str) -> str:
    """Fail."""
    raise LookupError(f"canary {word}")


CALLS = [
    ToolCall(id="c1", name="add", arguments={"a": 1, "b": 2}),
    ToolCall(id="c2", name="fails", arguments={"word": "canary"}),
    ToolCall(id="c3", name="canary_tool"),
    ToolCall(id="c4", name="add", arguments={"a": "canary"}),
]


@pytest.fixture(params=[None, "SPAN_ONLY"])
async def recorded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    if request.param:
        monkeypatch.setenv(CAPTURE, request.param)
    return Recorded()


@pytest.fixture
async def session(recorded: Recorded) -> AsyncIterator[Session]:
    retry = RetryPolicy(max_attempts=2, initial_delay=0, jitter=0)
    async with SessionManager("memory", telemetry=recorded.telemetry(), retry=retry) as manager:
        yield await manager.create_session("user", "mock", "m", session_id="s")


async def test_every_call_is_a_span_under_the_send(session: Session, recorded: Recorded) -> None:
    session.provider_session.set_responses([CALLS, called("place"), "done"])
    await session.send_message("go", tools=[*Tools().all, fails], run_tools=True)
    [send] = [span for span in recorded.spans if span.name == "invoke_agent session"]
    own = send.get_span_context()
    assert own is not None
    spans = {
        str((span.attributes or {}).get("gen_ai.tool.call.id")): span
        for span in recorded.spans
        if span.name.startswith("execute_tool")
    }
    by_round = [span for span in recorded.spans if span.name.startswith("execute_tool")]
    assert len(by_round) == 5
    assert {span.parent.span_id for span in by_round if span.parent} == {own.span_id}
    names = [span.name for span in by_round]
    assert sorted(names) == [
        "execute_tool",
        "execute_tool add",
        "execute_tool add",
        "execute_tool fails",
        "execute_tool place",
    ]
    failed = spans["c2"]
    assert failed.status.status_code is StatusCode.ERROR
    attributes = dict(failed.attributes or {})
    assert attributes["error.type"] == "LookupError"
    assert attributes["gen_ai.operation.name"] == "execute_tool"
    assert attributes["gen_ai.tool.name"] == "fails"
    assert attributes["gen_ai.tool.type"] == "function"
    assert attributes["gen_ai.tool.description"] == "Fail."
    assert attributes["gen_ai.conversation.id"] == attributes["session.id"] == "s"
    assert dict(spans["c3"].attributes or {})["error.type"] == "UnknownTool"
    assert dict(spans["c4"].attributes or {})["error.type"] == "InvalidArguments"
    assert send.status.status_code is StatusCode.UNSET


async def test_the_send_sums_its_turns(session: Session, recorded: Recorded) -> None:
    session.provider_session.set_responses([called("place"), called("place"), "done"])
    await session.send_message("go", tools=Tools().all, run_tools=True)
    [send] = [span for span in recorded.spans if span.name == "invoke_agent session"]
    chats = [dict(span.attributes or {}) for span in recorded.spans if span.name == "chat m"]
    assert len(chats) == 3
    told = dict(send.attributes or {})
    for name in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
        assert told[name] == sum(int(str(chat[name])) for chat in chats)
    assert told["gen_ai.response.finish_reasons"] == ("tool_calls", "tool_calls", "stop")
    assert told["langswarm.history.messages_sent"] == 3
    [duration] = recorded.points("langswarm.session.turn.duration")
    assert getattr(duration, "count", None) == 1
    steps = [span.name for span in recorded.spans if span.name.startswith("langswarm.storage")]
    assert (steps.count("langswarm.storage.load"), steps.count("langswarm.storage.append")) == (3, 5)


async def test_content_is_told_only_when_asked_for(session: Session, recorded: Recorded) -> None:
    session.provider_session.set_responses([CALLS, "done"])
    await session.send_message("go", tools=[*Tools().all, fails], run_tools=True)
    everything = " ".join(span.to_json() for span in recorded.spans)
    assert ("canary" in everything) is (CAPTURE in os.environ)
    if CAPTURE in os.environ:
        tool = dict(recorded.span("execute_tool fails").attributes or {})
        assert tool["gen_ai.tool.call.arguments"] == '{"word":"canary"}'
        assert tool["gen_ai.tool.call.result"] == "LookupError: canary canary"
        send = dict(recorded.span("invoke_agent session").attributes or {})
        assert (send["input.value"], send["output.value"]) == ("go", "done")


async def test_a_send_cut_in_its_tools_ends_every_span_once(session: Session, recorded: Recorded) -> None:
    tools = Tools(held=True)
    session.provider_session.set_responses([[ToolCall(id="c1", name="add", arguments={"a": 1, "b": 2})]])
    send = asyncio.ensure_future(session.send_message("go", tools=tools.all, run_tools=True))
    await tools.started.wait()
    send.cancel()
    with pytest.raises(asyncio.CancelledError):
        await send
    told = dict(recorded.span("invoke_agent session").attributes or {})
    assert told["error.type"] == "cancelled"
    assert told["gen_ai.usage.input_tokens"]
    assert dict(recorded.span("execute_tool add").attributes or {})["error.type"] == "cancelled"
