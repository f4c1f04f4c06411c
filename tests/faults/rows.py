"""The rows of the matrix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx2
import openai

from tests.faults.parties import ServerParty
from tests.faults.scene import Scene
from tests.faults.troubles import Served, Trouble, chat_fails, mock_fails, said
from tests.faults.ways import Way
from tests.support.chat_model import api_error
from tests.support.provider_server import faults as common
from tests.support.provider_server.faults import Fault
from tests.support.provider_server.gates import Gate

__all__ = ["ROWS"]

_PATIENCE_SECONDS = 0.5
_FOR_GOOD = 30
_NO_WIRE = "the model's own SDK reads the wire"
_NO_HTTP = "answers without HTTP"
_NO_LOG: dict[str, str] = {"node": "keeps no log", "nothing": "keeps no log", "thread": "keeps no log"}
_NO_STATE = {"nothing": "keeps nothing"}
_REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/chat")


def _network() -> list[Trouble]:
    timed_out = openai.APITimeoutError(_REQUEST)
    broken = openai.APIConnectionError(request=_REQUEST)
    return [
        Trouble(
            name="connection refused",
            served=lambda way: _stopped,
            chat=chat_fails(broken, times=_FOR_GOOD),
            mock=mock_fails("unavailable", times=_FOR_GOOD),
        ),
        Trouble(
            name="timeout, the request was not received",
            served=lambda way: common.delay(Gate()),
            chat=chat_fails(timed_out),
            mock=mock_fails("timeout"),
            timeout=_PATIENCE_SECONDS,
        ),
        Trouble(
            name="timeout, the request was carried out",
            served=lambda way: common.delay(Gate(), keeps="turn"),
            chat="the same to a chat model",
            mock=mock_fails("timeout", stored="answer"),
            timeout=_PATIENCE_SECONDS,
        ),
        Trouble(
            name="connection broken before a byte, not received",
            served=lambda way: common.drop(),
            chat=chat_fails(broken),
            mock=mock_fails("drop", after_chunks=0),
        ),
        Trouble(
            name="connection broken before a byte, carried out",
            served=lambda way: common.drop(keeps="turn"),
            chat="the same to a chat model",
            mock=mock_fails("drop", after_chunks=0, stored="answer"),
        ),
        Trouble(
            name="connection broken before a byte, the question kept without an answer",
            served=lambda way: common.drop(keeps="inputs"),
            chat="keeps nothing",
            mock=mock_fails("drop", after_chunks=0, stored="input"),
            only_for=_NO_LOG,
        ),
        Trouble(
            name="connection broken before a byte, carried out once it was looked for",
            served=lambda way: _arrives_late,
            chat="keeps nothing",
            mock=mock_fails("drop", after_chunks=0, stored="later"),
            only_for=_NO_LOG,
        ),
    ]


def _arrives_late(scene: Scene) -> None:
    """Break the connection off; what was sent arrives while its second attempt is being answered."""
    assert isinstance(scene.party, ServerParty)
    server: Any = scene.party.server
    native, rule = scene.session.provider_session_id, server.replies.rule

    def answer(view: Any) -> Any:
        server.answer_with(rule)
        _enter(server, native)
        return rule(view)

    server.answer_with(answer)
    server.fault(common.drop(), on=scene.way.operation)


def _enter(server: Any, native: str | None) -> None:
    """Enter the second turn into what is kept."""
    if hasattr(server, "enter"):
        texts = (("user", "second"), ("assistant", "late"))
        server.enter(native, *({"type": "message", "role": role, "content": text} for role, text in texts))
        return
    [kept] = [conversation for conversation in server.conversations if conversation.id == native]
    for kind, role, text in (("input", "user", "second"), ("output", "assistant", "late")):
        entry = {"object": "entry", "type": f"message.{kind}", "role": role, "content": text, "id": f"msg_late_{kind}"}
        kept.entries.append(entry)


def _stopped(scene: Scene) -> None:
    assert isinstance(scene.party, ServerParty)
    scene.party.server.stop()


def _streams() -> list[Trouble]:
    broken = openai.APIConnectionError(request=_REQUEST)
    return [
        Trouble(
            name="connection broken before any text",
            served=lambda way: common.cut_stream(after_events=0),
            chat="the same as before a byte",
            mock="the same as before a byte",
        ),
        Trouble(
            name="connection broken within the text, carried out",
            served=lambda way: common.cut_stream(after_events=way.text_at),
            chat=chat_fails(broken, after=1),
            mock=mock_fails("drop", stored="answer"),
        ),
        Trouble(
            name="connection broken within the text, nothing kept",
            served=lambda way: common.cut_stream(after_events=way.text_at, keeps="nothing"),
            chat="keeps nothing",
            mock=mock_fails("drop", stored="nothing"),
            only_for=_NO_STATE,
        ),
        Trouble(
            name="stream ends before any text",
            served=lambda way: common.end_stream(after_events=0),
            chat=_NO_WIRE,
            mock=mock_fails("eof", after_chunks=0),
        ),
        Trouble(
            name="stream ends within the text, without its terminal event",
            served=lambda way: common.end_stream(after_events=way.text_at),
            chat=chat_fails(after=1),
            mock=mock_fails("eof"),
        ),
        Trouble(
            name="error event before any text",
            served=lambda way: _error_event(way, after_events=0),
            chat=chat_fails(api_error(500)),
            mock=mock_fails("unavailable"),
        ),
        Trouble(
            name="error event within the text",
            served=lambda way: _error_event(way, after_events=way.text_at),
            chat=chat_fails(api_error(500), after=1),
            mock=mock_fails("unavailable", after_chunks=1),
        ),
        Trouble(
            name="half an event before any text",
            served=lambda way: common.corrupt_event(after_events=0),
            chat=_NO_WIRE,
            mock=_NO_HTTP,
        ),
        Trouble(
            name="half an event within the text",
            served=lambda way: common.corrupt_event(after_events=way.text_at),
            chat=_NO_WIRE,
            mock=_NO_HTTP,
        ),
        Trouble(
            name="an event of no known form before any text",
            served=lambda way: common.corrupt_event(b'{"type":7,"id":[]}', after_events=0),
            chat=_NO_WIRE,
            mock=_NO_HTTP,
        ),
        Trouble(
            name="the caller leaves within the text", served=lambda way: _slow, chat=_slow, mock=_slow, leaves=True
        ),
    ]


def _error_event(way: Way, *, after_events: int) -> Fault:
    assert way.faults is not None
    make = way.faults.failed_answer if way.provider == "cohere" else way.faults.error_event
    made: Fault = make(after_events=after_events)
    return made


def _slow(scene: Scene) -> None:
    scene.party.speak_slowly(scene.session)


_ONCE = {408: "", 409: "busy", 500: "", 502: "", 503: "unavailable", 504: "", 529: ""}
"""Statuses, and which fault of the mock's says the same."""


def _statuses() -> list[Trouble]:
    once = [
        Trouble(
            name=f"{status} once",
            served=lambda way, status=status: _http(way).http_error(status),  # type: ignore[misc]
            chat=chat_fails(api_error(status)),
            mock=mock_fails(fault) if fault else _NO_HTTP,
        )
        for status, fault in (
            (408, ""),
            (409, "busy"),
            (500, ""),
            (502, ""),
            (503, "unavailable"),
            (504, ""),
            (529, ""),
        )
    ]
    return [
        *once,
        Trouble(
            name="429 once, with Retry-After",
            served=lambda way: _rate_limit(way),
            chat=chat_fails(api_error(429, headers={"retry-after": "0.01"})),
            mock=mock_fails("rate_limit", retry_after=0.01),
        ),
        Trouble(
            name="429 for good",
            served=lambda way: _rate_limit(way),
            chat=chat_fails(api_error(429), times=_FOR_GOOD),
            mock=mock_fails("rate_limit", times=_FOR_GOOD),
            times=_FOR_GOOD,
        ),
        Trouble(
            name="503 for good",
            served=lambda way: _http(way).http_error(503),
            chat=chat_fails(api_error(503), times=_FOR_GOOD),
            mock=mock_fails("unavailable", times=_FOR_GOOD),
            times=_FOR_GOOD,
        ),
    ]


def _http(way: Way) -> Any:
    return way.faults


def _rate_limit(way: Way) -> Fault:
    made: Fault = _http(way).rate_limit(0.01) if way.provider == "gemini" else _http(way).rate_limit(retry_after=0.01)
    return made


_KEYS: Mapping[str, Any] = {
    "openai": {"status": 401, "code": "invalid_api_key"},
    "anthropic": {"status": 401},
    "gemini": {"status": 401, "code": "UNAUTHENTICATED"},
    "mistral": {"status": 401},
    "cohere": {"status": 401},
}
_QUOTAS: Mapping[str, Any] = {
    "openai": {"status": 429, "code": "insufficient_quota"},
    "anthropic": {"status": 402},
    "mistral": {"status": 402},
    "cohere": {"status": 402},
}
_OVERFLOWS: Mapping[str, Any] = {
    "openai": {"status": 400, "code": "context_length_exceeded"},
    "anthropic": {"status": 400, "message": "prompt is too long: 200001 tokens > 200000 maximum"},
    "gemini": {
        "status": 400,
        "code": "INVALID_ARGUMENT",
        "message": "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
    },
    "mistral": {"status": 400, "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum"},
    "cohere": {"status": 400, "message": "too many tokens: size limit exceeded by 11326 tokens."},
}
_REFUSALS: Mapping[str, Any] = {
    "openai": {"status": 400, "code": "content_policy_violation"},
    "anthropic": {"status": 400, "message": "Output blocked by content filtering policy"},
    "gemini": {"status": 400, "code": "INVALID_ARGUMENT", "message": "The prompt was blocked: SAFETY."},
    "mistral": {"status": 403, "kind": "guardrail_violation"},
    "cohere": {"status": 498},
}
_MODELS: Mapping[str, Any] = {
    "openai": {"status": 404, "code": "model_not_found"},
    "anthropic": {"status": 404, "message": "model: claude-gone"},
    "gemini": {"status": 404, "code": "not_found", "message": "models/gemini-gone is not found."},
    "mistral": {"status": 400, "kind": "invalid_model"},
    "cohere": {"status": 404, "message": "model 'command-gone' not found"},
}
_MALFORMED: Mapping[str, Any] = {name: {"status": 400, "message": "No."} for name in _KEYS}


def _refusals() -> list[Trouble]:
    return [
        Trouble(
            name="the key is refused",
            served=said(_KEYS),
            chat=chat_fails(api_error(401)),
            mock=mock_fails("auth"),
        ),
        Trouble(
            name="the quota is used up",
            served=lambda way: _http(way).daily_quota() if way.provider == "gemini" else said(_QUOTAS)(way),
            chat=chat_fails(api_error(429, code="insufficient_quota")),
            mock=mock_fails("quota"),
        ),
        Trouble(
            name="too long for the window, once",
            served=said(_OVERFLOWS),
            chat=chat_fails(api_error(400, code="context_length_exceeded")),
            mock=mock_fails("overflow"),
            trims=True,
        ),
        Trouble(
            name="too long for the window, whatever is left out",
            served=said(_OVERFLOWS),
            chat=chat_fails(api_error(400, code="context_length_exceeded"), times=_FOR_GOOD),
            mock=mock_fails("overflow", times=_FOR_GOOD),
            times=_FOR_GOOD,
        ),
        Trouble(
            name="the request is refused by the safety system",
            served=said(_REFUSALS),
            chat=chat_fails(api_error(400, code="content_filter")),
            mock=mock_fails("refused"),
        ),
        Trouble(
            name="the request is called malformed",
            served=said(_MALFORMED),
            chat=chat_fails(api_error(400)),
            mock="never calls anything malformed",
        ),
        Trouble(
            name="the model is gone",
            served=said(_MODELS),
            chat=chat_fails(api_error(404)),
            mock="answers as any model",
        ),
    ]


def _bodies() -> list[Trouble]:
    def whole(body: bytes, content_type: str = "application/json", *, status: int = 200) -> Served:
        fault = common.whole_answer(body, content_type=content_type, status=status)
        return lambda way: fault

    def body(name: str, served: Served, *, times: int = _FOR_GOOD) -> Trouble:
        return Trouble(name=name, served=served, chat=_NO_WIRE, mock=_NO_HTTP, times=times)

    page = b"<html><body><h1>Sign in</h1></body></html>"
    huge = json.dumps({"data": "x" * 1_000_000}).encode()
    return [
        body("200 with a page of HTML", whole(page, "text/html")),
        body("502 with a proxy's page, once", lambda way: common.html_bad_gateway(), times=1),
        body("200 with JSON that is garbage", whole(b'{"id":"x","nonsense":[1,2')),
        body("200 with other JSON", whole(b'{"hello":"world"}')),
        body("200 with a huge body", whole(huge)),
        body("500 with a huge body, once", whole(huge, status=500), times=1),
        body("200 with an empty body", lambda way: common.empty_body()),
        body("redirect to another place", lambda way: common.redirect("http://127.0.0.1:9/elsewhere")),
    ]


def _all() -> dict[str, list[Trouble]]:
    from tests.faults.state_rows import answer_rows, state_rows

    return {
        "The way there": _network(),
        "Within the stream": _streams(),
        "Failures told by a status": _statuses(),
        "Refusals": [*_refusals(), *answer_rows()],
        "What the provider keeps": state_rows(),
        "Answers that are none": _bodies(),
    }


ROWS: Mapping[str, list[Trouble]] = _all()
"""The rows, under the headings of the page."""
