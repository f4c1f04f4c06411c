"""Any legal history maps to a body the SDK's own request types accept, with calls and reasoning paired."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.providers.openai.mapping import input_items
from langswarm_sessions.providers.openai.request import Dialect, request_body
from langswarm_sessions.records import TurnOptions
from langswarm_sessions.window import fit, repair
from tests.providers.openai_histories import MODEL, histories, options, texts
from tests.support.openai_server.request_judge import find_type_errors


@settings(max_examples=300)
@given(history=histories(), options=options, dialect=st.builds(Dialect, encrypts=st.booleans(), replays=st.booleans()))
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


@given(history=histories(), more=texts)
def test_the_prefix_of_a_growing_conversation_stays_the_same(history: list[SessionMessage], more: str) -> None:
    before = input_items(repair(history), model=MODEL)
    grown = [*history, SessionMessage(role=Role.ASSISTANT, content="ok"), SessionMessage(role=Role.USER, content=more)]
    assert input_items(repair(grown), model=MODEL)[: len(before)] == before


@pytest.mark.parametrize("tool", [{}, {"name": ""}, {"function": "clock"}, {"name": "clock", "parameters": "none"}])
def test_malformed_tools_are_refused(tool: dict[str, Any]) -> None:
    request = ProviderRequest(messages=(), options=TurnOptions(tools=(tool,)))
    with pytest.raises(InvalidInputError, match="tools"):
        request_body(request, session_id="s", model=MODEL, config={}, dialect=Dialect())
