"""The rows about what a provider keeps of a conversation, and about answers that decline or say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessageChunk

from tests.faults.parties import MockParty, ServerParty
from tests.faults.scene import Scene
from tests.faults.troubles import Plan, Served, Trouble, chat_says, mock_fails, said, served
from tests.faults.ways import Way
from tests.support import anthropic_server, gemini_server, openai_server
from tests.support.provider_server.faults import Fault, HttpFault

__all__ = ["answer_rows", "state_rows"]

_NOTHING = {"nothing": "keeps nothing"}
_KEEPS_NOTHING = "keeps nothing"
_ONE_WAY = "says it in one way"
_NO_LOCK = "a node is never locked"


_ATTEMPTS = 3
"""What the retry policy of the matrix allows."""

_LOST: Mapping[str, Mapping[str, Any]] = {
    "openai node": {"status": 400, "code": "previous_response_not_found"},
    "openai log": {"status": 404, "message": "Conversation with id 'conv_1' not found."},
    "anthropic": {"status": 404, "code": "thread_not_found"},
    "gemini": {"status": 404, "code": "not_found", "message": "previous_interaction_id not found."},
    "mistral": {"status": 404, "message": "Not found."},
}
_EXPIRED: Mapping[str, Mapping[str, Any]] = {
    "openai node": {"status": 404, "message": "Item with id 'msg_1' not found."},
    "anthropic": {"status": 400, "code": "thread_fingerprint_mismatch"},
    "gemini": {"status": 400, "code": "invalid_argument", "message": "The interaction has expired."},
}
_LOCKED: Mapping[str, Mapping[str, Any]] = {
    "openai log": {"status": 400, "code": "conversation_locked"},
    "anthropic": {"status": 400, "code": "thread_continue_in_flight"},
    "mistral": {"status": 409, "message": "The conversation is being used."},
}
_TORN: Mapping[str, Mapping[str, Any]] = {
    "openai": {"status": 400, "message": "No tool output found for function call call_1."},
    "anthropic": {"status": 400, "code": "thread_unsupported_request"},
    "gemini": {"status": 400, "code": "invalid_argument", "message": "function_call 'fc_1' has no function_result."},
    "mistral": {"status": 400, "message": "Not the same number of function calls and responses", "code": "3230"},
}


def state_rows() -> list[Trouble]:
    """Return the rows about native state."""
    return [
        _row("what it kept is gone", _loses, mock=mock_fails("lost")),
        _row("what it kept is gone, and again", _gone_twice, mock=mock_fails("lost", times=2)),
        _row(
            "expired: it says so in its own words",
            said(_EXPIRED, otherwise="says it in one way"),
            mock="says it in one way",
        ),
        _row("deleted behind our back", _deleted, mock="is ours alone"),
        _row("somebody else went on from there", _forked, mock="is ours alone"),
        _row(
            "locked by another request, once",
            said(_LOCKED, otherwise=_NO_LOCK),
            mock=mock_fails("busy"),
        ),
        Trouble(
            name="locked by another request, for good",
            served=_stays_locked,
            chat=_KEEPS_NOTHING,
            mock=mock_fails("busy", times=_ATTEMPTS),
            only_for={**_NOTHING, "node": _NO_LOCK, "thread": "is not waited for"},
        ),
        _row("does not take what it was given before", said(_TORN), mock="takes everything"),
    ]


def _stays_locked(way: Way) -> Plan:
    fault = said(_LOCKED)(way)
    assert isinstance(fault, HttpFault)
    return served(fault, times=_ATTEMPTS)


def _row(name: str, deed: Served, *, mock: Plan | str) -> Trouble:
    return Trouble(name=name, served=deed, chat=_KEEPS_NOTHING, mock=mock, only_for=_NOTHING)


def _server(scene: Scene) -> Any:
    assert isinstance(scene.party, ServerParty)
    return scene.party.server


def _loses(_: Way) -> Plan:
    return _forgotten


def _forgotten(scene: Scene) -> None:
    _server(scene).forget()


def _gone_twice(way: Way) -> Plan:
    fault = said(_LOST)(way)
    assert isinstance(fault, HttpFault)
    return served(fault, times=2)


def _deleted(way: Way) -> Plan | str:
    if way.keeps == "thread":
        return "has no way to delete a thread"
    return _delete


def _delete(scene: Scene) -> None:
    server, native = _server(scene), scene.session.provider_session_id
    if scene.way.name == "openai log":
        server.api.conversations.delete(native)
    elif scene.way.provider == "gemini":
        server.state.delete(native)
    else:
        server.api.delete(native)


def _forked(way: Way) -> Plan | Fault | str:
    if way.keeps == "node":
        return "a node never changes"
    return said({"anthropic": {"status": 400, "code": "thread_already_continued"}})(way) or _enter


def _enter(scene: Scene) -> None:
    server: Any = _server(scene)
    native = scene.session.provider_session_id
    if scene.way.provider == "openai":
        server.enter(native, {"type": "message", "role": "user", "content": "from elsewhere"})
        return
    entry = {"object": "entry", "type": "message.input", "role": "user", "content": "from elsewhere", "id": "msg_else"}
    server.conversations[-1].entries.append(entry)


def answer_rows() -> list[Trouble]:
    """Return the rows about whole answers that are not what was asked for."""
    return [
        Trouble(
            name="the model declines within the answer",
            served=_declines,
            chat=chat_says([AIMessageChunk(content="", additional_kwargs={"refusal": "I cannot."})]),
            mock="never declines",
        ),
        Trouble(
            name="the answer is stopped by the safety system",
            served=_stopped,
            chat=chat_says([AIMessageChunk(content="I ", response_metadata={"finish_reason": "content_filter"})]),
            mock="has no safety system",
        ),
        Trouble(
            name="an answer without a word",
            served=lambda way: _wordless,
            chat=chat_says([AIMessageChunk(content="", response_metadata={"finish_reason": "stop"})]),
            mock=_says_nothing,
        ),
    ]


def _scripted(reply: Any) -> Plan:
    return lambda scene: _server(scene).script(reply)


def _declines(way: Way) -> Plan | str:
    if way.provider == "openai":
        return _scripted(openai_server.Reply(refusal="I cannot."))
    if way.provider == "anthropic":
        return _scripted(anthropic_server.Reply(text="I ", refusal="I cannot."))
    return "has no word for it but its safety system's"


def _stopped(way: Way) -> Plan | str:
    if way.provider == "openai":
        return _scripted(openai_server.Reply(text="I ", incomplete="content_filter"))
    if way.name == "gemini client":
        return _scripted(gemini_server.Reply(text="I ", finish="SAFETY"))
    return "refuses the request, not the answer"


def _wordless(scene: Scene) -> None:
    reply: Any = _server(scene).make_reply("")
    _server(scene).script(replace(reply, text=None))


def _says_nothing(scene: Scene) -> None:
    assert isinstance(scene.party, MockParty)
    scene.party.live(scene.session).set_responses([""])
