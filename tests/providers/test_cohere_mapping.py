"""Any legal history maps to a body that the SDK's request types and the API's rules accept."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.errors import InvalidInputError, ProviderError
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import (
    SessionMessage,
)
from langswarm_sessions.providers.cohere.answers import StreamedAnswer, call_arguments, usage_of
from langswarm_sessions.providers.cohere.mapping import Senses
from langswarm_sessions.providers.cohere.profile import COHERE_PROFILE
from langswarm_sessions.providers.cohere.request import request_body, senses_of
from langswarm_sessions.records import TurnOptions, Usage
from langswarm_sessions.strategies import carried
from langswarm_sessions.window import fit, repair
from tests.support.cohere_server.request_judge import find_type_errors
from tests.support.cohere_server.rules import find_broken_rule
from tests.support.histories import options, transcripts

MODEL = "command-a-03-2025"
ALL = Senses()

configs = st.fixed_dictionaries(
    {},
    optional={
        "reasoning_effort": st.sampled_from(["none", "low"]),
        "temperature": st.floats(0, 2),
        "top_k": st.integers(1, 500),
        "stop": st.just("END") | st.just(["a", "b"]),
    },
)


@given(history=transcripts(), options=options, config=configs)
def test_any_history_is_a_legal_request(
    history: list[SessionMessage], options: TurnOptions, config: dict[str, Any]
) -> None:
    window = fit([*carried(history[:-1], COHERE_PROFILE.takes), history[-1]], max_messages=7)
    messages, functions = repair(window.messages), [tool for tool in options.tools if tool.get("type") != "web_search"]
    options = replace(options, tools=tuple(functions))
    request = ProviderRequest(messages=messages, options=options, instructions="Be brief.")
    body = request_body(request, model=MODEL, config=config, senses=senses_of(config, sees=True))
    raw = json.dumps({**body, "stream": True}).encode()
    assert find_type_errors(raw) == []
    assert find_broken_rule(json.loads(raw), sees=True, window=None) is None


@pytest.mark.parametrize("tool", [{}, {"name": ""}, {"function": "clock"}, {"name": "clock", "parameters": "none"}])
def test_malformed_tools_are_refused(tool: dict[str, Any]) -> None:
    request = ProviderRequest(messages=(), options=TurnOptions(tools=(tool,)))
    with pytest.raises(InvalidInputError, match="tools"):
        request_body(request, model=MODEL, config={}, senses=ALL)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"tokens": {"input_tokens": 12.0, "output_tokens": 3.0}, "cached_tokens": 4.0}, (12, 3, 15, 4)),
        ({"billed_units": {"input_tokens": 9.0}}, (0, 0, 0, 0)),
        ({"tokens": {"input_tokens": float("nan"), "output_tokens": float("inf")}}, (0, 0, 0, 0)),
        ({"tokens": {"input_tokens": "12", "output_tokens": -1}, "cached_tokens": None}, (0, 0, 0, 0)),
        ({"tokens": 3}, (0, 0, 0, 0)),
    ],
)
def test_tokens_are_whole_numbers(usage: dict[str, Any], counted: tuple[int, int, int, int]) -> None:
    sent, made, total, cached = counted
    assert usage_of(usage) == Usage(
        input_tokens=sent, output_tokens=made, total_tokens=total, cached_tokens=cached, reasoning_tokens=0
    )


def test_a_call_without_parameters_may_be_null() -> None:
    assert [call_arguments(text) for text in ("", "null", " null ", "{}", "[]", "nul")] == [{}, {}, {}, {}, None, None]


@given(event=st.dictionaries(st.sampled_from(["index", "delta", "id"]), st.none() | st.integers() | st.text()))
def test_no_event_breaks_the_reading(event: dict[str, Any]) -> None:
    """Whatever an event holds, it is taken, left out, or an error of ours."""
    for kind in ("message-start", "content-delta", "tool-plan-delta", "tool-call-start", "citation-start", "debug"):
        with suppress(ProviderError):
            assert isinstance(StreamedAnswer(model=MODEL, request_id=None).read({**event, "type": kind}), str)
    answer = StreamedAnswer(model=MODEL, request_id=None)
    answer.read({**event, "type": "message-end"})
    assert answer.completed is not None
