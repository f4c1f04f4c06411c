"""Any legal history maps to a body the SDK's own request types accept, with calls and reasoning paired."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.providers.openai.request import Dialect, request_body
from langswarm_sessions.records import TurnOptions
from langswarm_sessions.window import fit, repair
from tests.support.histories import SPEAKERS, for_model, options, transcripts
from tests.support.openai_server.request_judge import find_type_errors

MODEL = SPEAKERS["openai"].model


@st.composite
def compacted(draw: st.DrawFn) -> list[SessionMessage]:
    """Draw a transcript in which the provider summed up, here and there, what came before."""
    transcript = draw(transcripts(("openai", "openai", "anthropic")))
    for message in transcript:
        payload = message.provider_payload or {}
        if payload.get("provider") == "openai" and draw(st.sampled_from([True, False, False])):
            sealed = {"type": "compaction", "id": f"cmp_{message.seq}", "encrypted_content": "gAAAA"}
            payload["items"].insert(draw(st.integers(0, len(payload["items"]))), sealed)
    return for_model(transcript)


@given(history=compacted(), options=options, dialect=st.builds(Dialect, encrypts=st.booleans(), replays=st.booleans()))
def test_any_history_is_a_legal_request(history: list[SessionMessage], options: TurnOptions, dialect: Dialect) -> None:
    messages = repair(fit(history, max_messages=7).messages)
    body = cast(
        dict[str, Any],
        request_body(
            ProviderRequest(messages=messages, options=options),
            session_id="session",
            model=MODEL,
            config={"temperature": 1.0},
            dialect=dialect,
        ),
    )
    raw = json.dumps(body).encode()
    assert find_type_errors(raw, json.loads(raw)) == []
    _calls_are_paired(body["input"])
    _reasoning_is_paired(body["input"])


def _calls_are_paired(items: list[dict[str, Any]]) -> None:
    waiting: set[str] = set()
    for item in items:
        if item["type"] == "function_call":
            waiting.add(item["call_id"])
        elif item["type"] == "function_call_output":
            assert item["call_id"] in waiting
            waiting.discard(item["call_id"])
    assert not waiting


def _reasoning_is_paired(items: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    for item, follower in zip(items, [*items[1:], {"type": "end"}], strict=True):
        if item["type"] == "reasoning":
            assert item["encrypted_content"]
            assert item["id"] not in seen, "sent twice"
            seen.add(item["id"])
            assert follower["type"] in {"reasoning", "function_call"} or follower.get("role") == "assistant"
        else:
            assert "id" not in item


@pytest.mark.parametrize("tool", [{}, {"name": ""}, {"function": "clock"}, {"name": "clock", "parameters": "none"}])
def test_malformed_tools_are_refused(tool: dict[str, Any]) -> None:
    request = ProviderRequest(messages=(), options=TurnOptions(tools=(tool,)))
    with pytest.raises(InvalidInputError, match="tools"):
        request_body(request, session_id="s", model=MODEL, config={}, dialect=Dialect())
