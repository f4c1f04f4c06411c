"""What goes into a turn and what comes out of it: digest, answer, native state, captured content."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.config import Strategy
from langswarm_sessions.interfaces import Completed, EngineProvider, ProviderEvent, ProviderProfile, ProviderRequest
from langswarm_sessions.messages import (
    FilePart,
    ImagePart,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
    TurnState,
)
from langswarm_sessions.records import (
    Begun,
    Lease,
    NativeKind,
    NativeState,
    SessionRecord,
    TurnOptions,
    TurnRecord,
    Usage,
)
from langswarm_sessions.strategies import Mode, TurnPlan
from langswarm_sessions.turns.captured import captured_answer, captured_messages
from langswarm_sessions.turns.input import TurnInput, input_digest
from langswarm_sessions.turns.provider.answers import answer_of, native_after, partial_answer

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = st.text(max_size=10)


def build(role: Role, text: str, parts: list[Part]) -> SessionMessage:
    return SessionMessage(role=role, content=text, parts=parts)


OTHER_PARTS: st.SearchStrategy[Part] = st.builds(ToolResult, tool_call_id=TEXT, content=TEXT) | st.builds(
    ImagePart, url=TEXT
)
MESSAGES = st.lists(st.builds(build, st.sampled_from(Role), TEXT, st.lists(OTHER_PARTS, max_size=2)), max_size=3)


def said(messages: list[SessionMessage]) -> list[object]:
    return [(message.role, message.content, message.parts) for message in messages]


@given(MESSAGES, MESSAGES)
def test_two_inputs_have_one_digest_exactly_when_they_say_the_same(
    first: list[SessionMessage], second: list[SessionMessage]
) -> None:
    assert (input_digest(first) == input_digest(second)) is (said(first) == said(second))


@given(MESSAGES)
def test_the_digest_is_of_what_was_said_alone(messages: list[SessionMessage]) -> None:
    stored = [
        dataclasses.replace(message, message_id="m", seq=3, metadata={"a": 1}, timestamp=MOMENT) for message in messages
    ]
    assert input_digest(messages) == input_digest(stored)
    assert len(input_digest(messages)) == 64


def test_the_digest_is_the_same_in_every_process() -> None:
    message = SessionMessage(role=Role.USER, content="hi")
    written = '[["user", "hi", [{"text": "hi", "type": "text"}]]]'
    assert input_digest([message]) == hashlib.sha256(written.encode()).hexdigest()
    orders: list[dict[str, Any]] = [{"b": 1, "a": 2}, {"a": 2, "b": 1}]
    calls = [ToolCall(id="1", name="f", arguments=arguments) for arguments in orders]
    digests = {input_digest([SessionMessage(role=Role.ASSISTANT, tool_calls=[call])]) for call in calls}
    assert len(digests) == 1


def test_instructions_never_show() -> None:
    turn = TurnInput(messages=(SessionMessage(role=Role.USER, content="canary"),), instructions="canary")
    request = ProviderRequest(messages=turn.messages, instructions="canary")
    assert "canary" not in repr(turn) + repr(request)


# Answers

PARTS: tuple[Part, ...] = (
    ReasoningPart(text="why"),
    TextPart("an"),
    ToolCall(id="c1", name="f", arguments={"a": 1}),
    TextPart("swer"),
    ToolCall(id="c2", name="g"),
)


class Answering(EngineProvider):
    name = "p"
    profile = ProviderProfile(native=NativeKind.LOG, client=True, config_keys=frozenset(), otel_name="p")
    model = "m"

    def stream_turn(self, request: ProviderRequest) -> AsyncIterator[ProviderEvent]:
        raise AssertionError

    def translate(self, error: Exception) -> Exception:
        raise AssertionError


def completed(**changes: Any) -> Completed:
    usage = Usage(input_tokens=1, output_tokens=2, total_tokens=3)
    return dataclasses.replace(Completed(parts=PARTS, model="m1", usage=usage, native_id="n1"), **changes)


def begun(*, history: tuple[int, ...] = (), inputs: tuple[int, ...] = (7,)) -> Begun:
    session = SessionRecord(
        session_id="s",
        user_id="u",
        provider="p",
        model="m",
        strategy=Strategy.HYBRID,
        created_at=MOMENT,
        last_activity=MOMENT,
    )
    turn = TurnRecord(turn_id="t", session_id="s", index=1, state=TurnState.PENDING, started_at=MOMENT)
    return Begun(
        session=session,
        turn=turn,
        lease=Lease(session_id="s", turn_id="t", fence=1),
        inputs=tuple(SessionMessage(role=Role.USER, content="x", seq=seq) for seq in inputs),
        history=tuple(SessionMessage(role=Role.USER, content="x", seq=seq) for seq in history),
    )


def test_an_answer_keeps_parts_order_usage_and_ids() -> None:
    answer = answer_of(
        completed(provider_message_id="pm", finish_reason="stop", request_id="r", payload={"raw": 1}), provider="p"
    )
    assert (answer.role, answer.content, tuple(answer.parts)) == (Role.ASSISTANT, "answer", PARTS)
    assert [call.id for call in answer.tool_calls] == ["c1", "c2"]
    assert answer.provider_message_id == "pm"
    assert answer.provider_payload == {"raw": 1}
    metadata = answer.provider_metadata
    assert (metadata["model"], metadata["finish_reason"], metadata["request_id"]) == ("m1", "stop", "r")
    assert metadata["usage"]["total_tokens"] == 3
    always = {"input_tokens", "output_tokens", "total_tokens", "cached_tokens", "reasoning_tokens"}
    assert set(metadata["usage"]) == always


def test_a_partial_answer_says_so_and_has_a_usage_too() -> None:
    answer = partial_answer("half", provider="p", model="m")
    assert (answer.content, answer.provider_metadata["finish_reason"]) == ("half", "interrupted")
    assert set(answer.provider_metadata) == set(answer_of(completed(), provider="p").provider_metadata)
    assert isinstance(answer.provider_metadata["usage"], dict)


def state_after(answer: Completed, plan: TurnPlan, **given: Any) -> NativeState | None:
    message = answer_of(answer, provider="p")
    message.tool_calls = []  # as a middleware may leave it
    message.align()
    return native_after(answer, plan=plan, begun=begun(**given), provider=Answering())


KEEPING = TurnPlan(mode=Mode.NATIVE, messages=(), keep_native=True)


def test_the_state_after_an_answer_holds_all_that_was_sent() -> None:
    assert state_after(completed(), KEEPING, history=(4, 9), inputs=(7, 8)) == NativeState(
        provider="p", kind=NativeKind.LOG, id="n1", cursor=9, turn_id="t", model="m1", open_calls=("c1", "c2")
    )


def test_without_an_id_or_when_nothing_is_kept_there_is_no_state() -> None:
    assert state_after(completed(native_id=None), KEEPING) is None
    assert state_after(completed(), dataclasses.replace(KEEPING, keep_native=False)) is None


def test_captured_content_has_the_form_of_the_conventions() -> None:
    messages = [
        SessionMessage(
            role=Role.USER,
            parts=[
                TextPart("a"),
                ImagePart(url="https://example.org/a.png", media_type="image/png"),
                ImagePart(url="data:image/png;base64,canary"),
                FilePart(file_id="file-1"),
                FilePart(data="canary", name="a.pdf"),
            ],
        ),
        SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="c", content="r")]),
    ]
    assert captured_messages(messages) == [
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "a"},
                {"type": "uri", "modality": "image", "mime_type": "image/png", "uri": "https://example.org/a.png"},
                {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "", "size": 4},
                {"type": "file", "modality": "document", "file_id": "file-1"},
                {"type": "blob", "modality": "document", "name": "a.pdf", "content": "", "size": 4},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "r"}]},
    ]
    answer = completed(
        parts=(ReasoningPart(text="w"), ToolCall(id="c", name="f", arguments={"a": 1}), RefusalPart("no"))
    )
    broken = completed(parts=(ToolCall(id="c", name="f", raw_arguments="{a:"),))
    assert captured_answer(broken)[0]["parts"] == [{"type": "tool_call", "id": "c", "name": "f", "arguments": "{a:"}]
    assert captured_answer(answer) == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "w"},
                {"type": "tool_call", "id": "c", "name": "f", "arguments": {"a": 1}},
                {"type": "text", "content": "no", "refusal": True},
            ],
        }
    ]


def test_usage_and_options_as_json() -> None:
    usage = Usage(input_tokens=1, cached_tokens=2, reasoning_tokens=3, cache_write_tokens=4)
    everything = dataclasses.asdict(usage)
    told = {"input_tokens", "output_tokens", "total_tokens", "cached_tokens", "reasoning_tokens", "cache_write_tokens"}
    assert usage.to_json() == {name: everything[name] for name in told}
    whole = Usage(**{name: number for number, name in enumerate(everything, 1)})
    assert whole.to_json() == dataclasses.asdict(whole)
    assert (whole + usage).to_json() == {name: whole.to_json()[name] + everything[name] for name in everything}
    options = TurnOptions(tools=({"name": "f"},), tool_choice="auto")
    assert TurnOptions.from_json(options.to_json()) == options
