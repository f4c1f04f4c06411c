"""An export that is none, was spoiled, or comes from a later release: named by its field, and nothing is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langswarm_sessions import InvalidInputError, SessionError, SessionManager
from langswarm_sessions.errors import ConfigurationError, ImportFormatError
from langswarm_sessions.importing.exports import Overrides, read_export
from tests.session.kit import backend, manager, open_manager, rows_of

__all__ = ["backend", "manager", "open_manager"]

CANARY = "canary-4711"
MOMENT = "2026-01-31T12:00:00+00:00"


def an_export() -> dict[str, Any]:
    """An export that is right, with something in every place."""
    message = {
        "role": "user",
        "kind": "said",
        "content": CANARY,
        "parts": [{"type": "text", "text": CANARY}],
        "timestamp": MOMENT,
        "status": "completed",
        "metadata": {"k": CANARY},
        "turn_id": "t",
        "parent_id": None,
        "group_id": None,
        "provider_message_id": None,
        "provider_metadata": {},
        "provider_payload": None,
    }
    return {
        "format": "langswarm-sessions",
        "version": 1,
        "exported_at": MOMENT,
        "session": {
            "session_id": "s",
            "user_id": "ada",
            "provider": "mock",
            "model": "m",
            "strategy": "hybrid",
            "status": "active",
            "created_at": MOMENT,
            "last_activity": MOMENT,
            "archived_at": None,
            "config": {"name": CANARY},
            "provider_config": {},
            "context": {"k": CANARY},
        },
        "cost": {"total": None},
        "figures": {"turns": 1, "cost": "0.5", "response_ms": 2.5},
        "messages": [{**message, "message_id": "m0"}, {**message, "message_id": "m1", "role": "assistant"}],
        "summary": {"up_to_message_id": "m0", "text": CANARY, "tokens": 1, "created_at": MOMENT, "up_to_seq": 1},
    }


Edit = Callable[[dict[str, Any]], object]


def put(*path: str | int, value: Any) -> Edit:
    """Put a value somewhere."""

    def edit(data: dict[str, Any]) -> None:
        place: Any = data
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return edit


def drop(*path: str | int) -> Edit:
    """Take something away."""

    def edit(data: dict[str, Any]) -> None:
        place: Any = data
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return edit


SURROGATE = "\ud800"
SPOILED: dict[str, tuple[Edit, str]] = {
    "no format": (drop("format"), r"format must be 'langswarm-sessions'.*import_from"),
    "another format": (put("format", value="chatml"), r"format must be 'langswarm-sessions'"),
    "no version": (drop("version"), r"version is missing"),
    "a later version": (put("version", value=2), r"version is 2, .* up to version 1. Upgrade it: pip install"),
    "version as text": (put("version", value="1"), r"version must be a whole number"),
    "version as bool": (put("version", value=True), r"version must be a whole number"),
    "no session": (drop("session"), r"session is missing"),
    "session as text": (put("session", value=CANARY), r"session must be an object, not str"),
    "no messages": (drop("messages"), r"messages is missing"),
    "messages as object": (put("messages", value={}), r"messages must be a list, not dict"),
    "no session id": (drop("session", "session_id"), r"session\.session_id is missing"),
    "empty session id": (put("session", "session_id", value=" "), r"session\.session_id must be a non-empty string"),
    "user as number": (put("session", "user_id", value=5), r"session\.user_id must be a non-empty string"),
    "no provider": (drop("session", "provider"), r"session\.provider is missing"),
    "model of nothing": (put("session", "model", value=None), r"session\.model is missing"),
    "no time": (drop("session", "created_at"), r"session\.created_at is missing"),
    "time as number": (put("session", "created_at", value=12), r"session\.created_at must be a time in ISO 8601"),
    "no such day": (put("session", "last_activity", value="2026-02-30"), r"session\.last_activity must be a time"),
    "the end of time": (put("session", "created_at", value="9999-12-31T23:59:59-05:00"), r"session\.created_at must"),
    "strategy": (put("session", "strategy", value="magic"), r"session\.strategy: .*must be one of"),
    "status": (put("session", "status", value="lost"), r"session\.status: it must be one of active, archived"),
    "status as list": (put("session", "status", value=[]), r"session\.status: it must be one of"),
    "deleted": (put("session", "status", value="deleted"), r"session\.status is 'deleted': make it 'active'"),
    "setting nobody knows": (put("session", "config", value={"nam": 1}), r"session\.config: .*'nam'.*name"),
    "setting of another type": (put("session", "config", value={"tags": "a"}), r"session\.config: .*tags must be"),
    "config as list": (put("session", "config", value=[1]), r"session\.config: .*must be a dict"),
    "provider's settings": (put("session", "provider_config", value=[]), r"session\.provider_config must be a dict"),
    "context": (put("session", "context", value=3), r"session\.context must be a dict"),
    "context JSON cannot hold": (put("session", "context", "k", value=float("nan")), r"session\.context must hold"),
    "field nobody knows": (put("session", "nickname", value="x"), r"session\.nickname: no such field; known: .*Remove"),
    "figures as list": (put("figures", value=[]), r"figures must be an object"),
    "negative figure": (put("figures", "turns", value=-1), r"figures\.turns must be a whole number"),
    "endless figure": (put("figures", "total_tokens", value=10**30), r"figures\.total_tokens must be a whole number"),
    "figure as text": (put("figures", "retries", value="1"), r"figures\.retries must be a whole number"),
    "time that took for ever": (put("figures", "response_ms", value=float("inf")), r"figures\.response_ms must be"),
    "cost as number": (put("figures", "cost", value=0.5), r"figures\.cost must be a string"),
    "cost as words": (put("figures", "cost", value="much"), r"figures\.cost must be an amount of 0 to"),
    "cost of a country": (put("figures", "cost", value="1e30"), r"figures\.cost must be an amount of 0 to"),
    "message as text": (put("messages", 1, value=CANARY), r"messages\[1\] must be an object, not str"),
    "no message id": (drop("messages", 1, "message_id"), r"messages\[1\]\.message_id is missing"),
    "message id of another": (
        put("messages", 1, "message_id", value="m0"),
        r"messages\[1\]\.message_id is that of mes",
    ),
    "no role": (drop("messages", 0, "role"), r"messages\[0\]\.role: it must be one of user, assistant"),
    "role": (put("messages", 0, "role", value="robot"), r"messages\[0\]\.role: it must be one of user"),
    "kind": (put("messages", 0, "kind", value="sung"), r"messages\[0\]\.kind: it must be one of"),
    "taken back": (put("messages", 0, "kind", value="retracted"), r"messages\[0\]\.kind is 'retracted'"),
    "instructions of a user": (
        put("messages", 0, "kind", value="instructions"),
        r"messages\[0\]\.role must be 'system'",
    ),
    "content as number": (put("messages", 0, "content", value=1), r"messages\[0\]\.content must be a string"),
    "half a pair": (
        put("messages", 0, "content", value=SURROGATE),
        r"messages\[0\]\.content holds half of a surrogate",
    ),
    "half a pair in a part": (
        put("messages", 0, "parts", 0, value={"type": "reasoning", "text": SURROGATE}),
        r"messages\[0\]\.",
    ),
    "half a pair in an id": (
        put("messages", 0, "provider_message_id", value=SURROGATE),
        r"messages\[0\]\.provider_message_id holds half",
    ),
    "words that differ": (put("messages", 0, "content", value="x"), r"messages\[0\]\.content is not the text of the m"),
    "parts as object": (put("messages", 0, "parts", value={"a": 1}), r"messages\[0\]\.parts must be a list"),
    "part as text": (put("messages", 0, "parts", value=["x"]), r"messages\[0\]\.parts\[0\] must be an object"),
    "part nobody knows": (
        put("messages", 0, "parts", 0, "type", value="smell"),
        r"messages\[0\]\.parts\[0\]: .*'type'",
    ),
    "part without its text": (drop("messages", 0, "parts", 0, "text"), r"messages\[0\]\.parts\[0\]: .*missing"),
    "no timestamp": (drop("messages", 0, "timestamp"), r"messages\[0\]\.timestamp is missing"),
    "timestamp": (put("messages", 0, "timestamp", value="noon"), r"messages\[0\]\.timestamp must be a time"),
    "state": (put("messages", 0, "status", value="lost"), r"messages\[0\]\.status: it must be one of pending"),
    "states that differ": (put("messages", 1, "status", value="failed"), r"messages\[1\]\.status is not that of"),
    "failed outside of turns": (
        lambda data: data["messages"][1].update(turn_id=None, status="failed"),
        r"messages\[1\]\.turn_id is missing: only a turn can be failed",
    ),
    "turn as number": (put("messages", 0, "turn_id", value=3), r"messages\[0\]\.turn_id must be a string"),
    "empty turn": (put("messages", 0, "turn_id", value=""), r"messages\[0\]\.turn_id must be a non-empty string"),
    "empty message id": (put("messages", 0, "message_id", value=""), r"messages\[0\]\.message_id must be a non-empty"),
    "metadata": (put("messages", 0, "metadata", value="x"), r"messages\[0\]\.metadata must be a dict"),
    "provider's metadata": (
        put("messages", 0, "provider_metadata", value=[]),
        r"messages\[0\]\.provider_metadata must",
    ),
    "payload": (put("messages", 0, "provider_payload", value=0), r"messages\[0\]\.provider_payload must be a dict"),
    "answer beyond price": (
        put("messages", 1, "provider_metadata", value={"cost_usd": "1e30"}),
        r"messages\[1\]\.provider_metadata",
    ),
    "message field": (put("messages", 1, "mood", value="x"), r"messages\[1\]\.mood: no such field"),
    "summary as text": (put("summary", value=CANARY), r"summary must be an object"),
    "summary of others": (
        put("summary", "up_to_message_id", value="m9"),
        r"summary\.up_to_message_id is the id of none",
    ),
    "summary without words": (drop("summary", "text"), r"summary\.text is missing"),
    "summary of no time": (drop("summary", "created_at"), r"summary\.created_at is missing"),
}


@pytest.mark.parametrize("case", SPOILED)
async def test_what_is_wrong_is_named_and_nothing_is_stored(manager: SessionManager, case: str) -> None:
    edit, message = SPOILED[case]
    data = an_export()
    edit(data)
    with pytest.raises(ImportFormatError, match=message) as caught:
        await manager.import_conversation(data)
    assert type(caught.value) is ImportFormatError
    assert CANARY not in str(caught.value)
    assert str(caught.value).endswith((".", ")"))
    for table in ("sessions", "messages", "turns"):
        assert await rows_of(manager, f"SELECT * FROM {table}") == []
    assert (await manager.import_conversation(an_export())).message_count == 2


ARGUMENTS: dict[str, tuple[Any, dict[str, Any], type[SessionError], str]] = {
    "JSON text": (json.dumps(an_export()), {}, InvalidInputError, r"data must be the dict .* not str; .*json\.load"),
    "nothing": (None, {}, InvalidInputError, r"data must be the dict"),
    "a list": ([an_export()], {}, InvalidInputError, r"data must be the dict .* not list"),
    "session id": (an_export(), {"session_id": ""}, InvalidInputError, r"session_id must be a non-empty string"),
    "user id": (an_export(), {"user_id": 5}, InvalidInputError, r"user_id must be a non-empty string"),
    "settings": (an_export(), {"provider_config": [1]}, InvalidInputError, r"provider_config must be a dict"),
    "setting": (an_export(), {"provider_config": {"temprature": 1}}, ConfigurationError, r"temprature.*temperature"),
    "provider alone": (an_export(), {"provider": "mock"}, ConfigurationError, r"name both, or neither"),
    "model alone": (an_export(), {"model": "m"}, ConfigurationError, r"name both, or neither"),
    "unknown provider": (an_export(), {"provider": "nobody", "model": "m"}, ConfigurationError, r"'nobody'"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
async def test_an_argument_is_named(manager: SessionManager, case: str) -> None:
    data, options, error, message = ARGUMENTS[case]
    with pytest.raises(error, match=message) as caught:
        await manager.import_conversation(data, **options)
    assert type(caught.value) is error
    assert await rows_of(manager, "SELECT * FROM sessions") == []


async def test_what_is_given_beside_the_export_need_not_be_in_it(manager: SessionManager) -> None:
    data = an_export()
    for name in ("session_id", "user_id", "provider", "model"):
        del data["session"][name]
    session = await manager.import_conversation(data, session_id="x", user_id="bob", provider="mock", model="m")
    assert (session.session_id, session.user_id) == ("x", "bob")


Place = tuple[str | int, ...]


def _places(value: Any, path: Place = ()) -> list[Place]:
    inner: list[tuple[str | int, Any]] = []
    if hasattr(value, "items"):
        inner = list(value.items())
    elif hasattr(value, "append"):
        inner = list(enumerate(list[Any](value)))
    return [path, *(place for key, one in inner for place in _places(one, (*path, key)))]


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
    st.just([[{}]]),
    st.just({"": {"a": [None]}}),
    st.just(SURROGATE),
)


@given(st.sampled_from([place for place in _places(an_export()) if place]), ODD)
@settings(max_examples=150, deadline=None)
def test_whatever_stands_anywhere_is_taken_or_refused_by_its_type(place: Place, value: Any) -> None:
    data = an_export()
    put(*place, value=value)(data)
    told = ""
    try:
        read_export(data, Overrides())
    except ImportFormatError as error:
        told = str(error)
    assert CANARY not in told


ELSEWHERE = [
    "https://collects-keys.example/v1",
    "http://localhost@collects-keys.example",
    "http://10.0.0.1",
    "http://[",
]


@pytest.mark.parametrize("address", ELSEWHERE)
def test_an_export_does_not_say_where_a_key_is_sent(address: str) -> None:
    export = an_export()
    export["session"]["provider_config"] = {"base_url": address, "temperature": 0.5}
    with pytest.raises(ImportFormatError, match=r"^session\.provider_config\.base_url: .*provider_config= with it"):
        read_export(export, Overrides())
    said = read_export(export, Overrides(provider_config={"base_url": address}))
    assert said.record.provider_config == {"base_url": address}
    assert read_export(export, Overrides(provider="mock", model="m")).record.provider_config == {}


@pytest.mark.parametrize("address", ["http://localhost:8000/v1", "http://127.0.0.1:8000/v1", "http://[::1]:8000"])
def test_a_server_on_this_machine_comes_along(address: str) -> None:
    export = an_export()
    export["session"]["provider_config"] = {"base_url": address}
    assert read_export(export, Overrides()).record.provider_config == {"base_url": address}
