"""Bad input: a typed error that names the field and the remedy, and nothing half-written."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from langswarm_sessions import (
    ConfigurationError,
    InvalidInputError,
    MessageNotFoundError,
    MissingDependencyError,
    Role,
    Session,
    SessionArchivedError,
    SessionError,
    SessionExistsError,
    SessionManager,
    SessionMessage,
    SessionNotFoundError,
)
from tests.session.kit import OpenManager, rows_of

Attempt = Callable[[SessionManager, Session], Awaitable[Any]]
CANARY = "canary-4711"


def create(user_id: Any = "user", provider: Any = "mock", model: Any = "m", **options: Any) -> Attempt:
    return lambda manager, _: manager.create_session(user_id, provider, model, **options)


def send(content: Any = "hi", **options: Any) -> Attempt:
    return lambda _, session: session.send_message(content, **options)


def send_edited(**edits: Any) -> Attempt:
    message = SessionMessage(role=Role.USER, content="hi")
    for field, value in edits.items():
        setattr(message, field, value)
    return send(message)


def search(tags: Any) -> Attempt:
    return lambda manager, _: manager.search_sessions(tags=tags)


def update_settings(config: Any) -> Attempt:
    return lambda _, session: session.provider_session.update_provider_config(config)


def answer_with(pattern: Any) -> Attempt:
    async def attempt(_: SessionManager, session: Session) -> None:
        session.provider_session.set_response_pattern(pattern)

    return attempt


CASES: dict[str, tuple[Attempt, type[SessionError], str]] = {
    "unknown provider": (create(provider="nobody"), ConfigurationError, r"'nobody'.*Known providers:.*mock"),
    "missing key of another": (create(provider="claude"), ConfigurationError, r"ANTHROPIC_API_KEY"),
    "missing key": (create(provider="openai"), ConfigurationError, r"OPENAI_API_KEY"),
    "empty user": (create(user_id=""), InvalidInputError, r"user_id must be a non-empty string"),
    "blank user": (create(user_id="  "), InvalidInputError, r"user_id"),
    "user of another type": (create(user_id=5), InvalidInputError, r"user_id"),
    "endless user": (create(user_id="x" * 256), InvalidInputError, r"user_id must have at most 255"),
    "null in user": (create(user_id="a\x00b"), InvalidInputError, r"user_id must hold printable"),
    "empty model": (create(model=""), InvalidInputError, r"model"),
    "no provider": (create(provider=None), InvalidInputError, r"provider"),
    "empty session id": (create(session_id=""), InvalidInputError, r"session_id"),
    "session id of another type": (create(session_id=7), InvalidInputError, r"session_id"),
    "taken session id": (create(session_id="s"), SessionExistsError, r"another id"),
    "unknown strategy": (create(strategy="magic"), ConfigurationError, r"strategy must be one of"),
    "unknown setting": (create(provider_config={"temprature": 1}), ConfigurationError, r"temprature.*temperature"),
    "setting of another type": (create(provider_config={"temperature": "hot"}), ConfigurationError, r"temperature"),
    "settings that are no dict": (create(provider_config=[1]), InvalidInputError, r"provider_config must be a dict"),
    "settings of nothing": (create(provider_config=0), InvalidInputError, r"provider_config must be a dict"),
    "settings as text": (create(provider_config=""), InvalidInputError, r"provider_config must be a dict"),
    "settings as a list": (create(provider_config=[]), InvalidInputError, r"provider_config must be a dict"),
    "settings JSON cannot hold": (
        create(provider_config={"thread_metadata": {"o": object()}}),
        InvalidInputError,
        r"provider_config must hold only what JSON can",
    ),
    "unknown config key": (create(session_config={"tag": []}), ConfigurationError, r"'tag'.*tags"),
    "tags as text": (create(session_config={"tags": "a"}), ConfigurationError, r"tags must be a list"),
    "max_messages of zero": (create(session_config={"max_messages": 0}), ConfigurationError, r"max_messages"),
    "auto_archive_after as text": (
        create(session_config={"auto_archive_after": "1d"}),
        ConfigurationError,
        r"timedelta",
    ),
    "config that is no dict": (create(session_config=5), ConfigurationError, r"session_config must be a dict"),
    "unknown session": (
        lambda manager, _: manager.get_session("nope"),
        SessionNotFoundError,
        r"'nope'.*create_session",
    ),
    "unknown session to send to": (
        lambda manager, _: manager.send_message("nope", "hi"),
        SessionNotFoundError,
        r"'nope'",
    ),
    "unknown session to archive": (lambda manager, _: manager.archive_session("nope"), SessionNotFoundError, r"'nope'"),
    "unknown session to delete": (lambda manager, _: manager.delete_session("nope"), SessionNotFoundError, r"'nope'"),
    "empty id to get": (lambda manager, _: manager.get_session(""), InvalidInputError, r"session_id"),
    "id of another type to get": (lambda manager, _: manager.get_session(None), InvalidInputError, r"session_id"),  # type: ignore[arg-type]
    "id of another type to send to": (
        lambda manager, _: manager.send_message([], "hi"),  # type: ignore[arg-type]
        InvalidInputError,
        r"session_id",
    ),
    "unknown status": (
        lambda manager, _: manager.get_user_sessions("user", status="sleeping"),
        InvalidInputError,
        r"status must be one of",
    ),
    "limit of zero": (lambda manager, _: manager.get_user_sessions("user", limit=0), InvalidInputError, r"limit"),
    "broken cursor": (lambda manager, _: manager.get_user_sessions("user", cursor="???"), InvalidInputError, r"cursor"),
    "since as text": (
        lambda manager, _: manager.get_user_sessions("user", since="today"),  # type: ignore[arg-type]
        InvalidInputError,
        r"since must be a datetime",
    ),
    "tags to search as text": (search("a"), InvalidInputError, r"tags must be a list of non-empty strings"),
    "tags to search as number": (search(5), InvalidInputError, r"tags must be a list of non-empty strings"),
    "list among tags to search": (search([[]]), InvalidInputError, r"tags must be a list of non-empty strings"),
    "number among tags to search": (search([1]), InvalidInputError, r"tags must be a list of non-empty strings"),
    "nothing among tags to search": (search([None]), InvalidInputError, r"tags must be a list of non-empty strings"),
    "negative days": (lambda manager, _: manager.cleanup_inactive_sessions(-1), InvalidInputError, r"days"),
    "start_date as text": (
        lambda manager, _: manager.get_analytics(start_date="2020"),  # type: ignore[arg-type]
        InvalidInputError,
        r"start_date",
    ),
    "empty content": (send(""), InvalidInputError, r"content must not be empty"),
    "no content": (send([]), InvalidInputError, r"content must not be empty"),
    "content of another type": (send(5), InvalidInputError, r"content must be a string.*not int"),
    "content of bytes": (send(b"hi"), InvalidInputError, r"content must be.*not bytes"),
    "no part": (send(["ok", 5]), InvalidInputError, r"part must be a string.*not int"),
    "half a character": (send("a\ud800b"), InvalidInputError, r"content.*surrogate"),
    "metadata that is no dict": (send(metadata=[1]), InvalidInputError, r"metadata must be a dict"),
    "metadata JSON cannot hold": (send(metadata={"o": object()}), InvalidInputError, r"metadata must hold only"),
    "metadata that is no number": (send(metadata={"n": float("nan")}), InvalidInputError, r"metadata must hold only"),
    "timeout of zero": (send(timeout=0), InvalidInputError, r"timeout must be a positive number"),
    "timeout as text": (send(timeout="1"), InvalidInputError, r"timeout"),
    "instructions of another type": (send(instructions=5), InvalidInputError, r"instructions must be a string"),
    "parts edited to a number": (send_edited(parts=5), InvalidInputError, r"parts must be a list of content parts"),
    "parts edited to text": (send_edited(parts="x"), InvalidInputError, r"parts must be a list of content parts"),
    "text among edited parts": (send_edited(parts=["x"]), InvalidInputError, r"parts must be a list of content parts"),
    "calls edited to a number": (
        send_edited(tool_calls=5),
        InvalidInputError,
        r"tool_calls must be a list of ToolCall",
    ),
    "dict among edited calls": (send_edited(tool_calls=[{}]), InvalidInputError, r"tool_calls must be a list of Tool"),
    "message id of bytes": (send_edited(message_id=b"b"), InvalidInputError, r"message_id must be a string"),
    "message id as list": (send_edited(message_id=["x"]), InvalidInputError, r"message_id must be a string"),
    "provider's id as list": (
        send_edited(provider_message_id=["x"]),
        InvalidInputError,
        r"provider_message_id must be",
    ),
    "another role than the message's": (
        lambda _, session: session.add_message("user", SessionMessage(role=Role.ASSISTANT, content="x")),
        InvalidInputError,
        r"role is user, but the message says assistant; make them agree",
    ),
    "unknown role": (lambda _, session: session.add_message("robot", "hi"), InvalidInputError, r"role must be one of"),
    "role to read": (lambda _, session: session.get_messages(role="robot"), InvalidInputError, r"role must be one of"),
    "limit to read": (lambda _, session: session.get_messages(limit=-1), InvalidInputError, r"limit"),
    "limit as bool": (lambda _, session: session.get_messages(limit=True), InvalidInputError, r"limit"),
    "cursor to read": (lambda _, session: session.get_messages(cursor="???"), InvalidInputError, r"cursor"),
    "time as text": (
        lambda _, session: session.add_message("user", "hi", timestamp="now"),  # type: ignore[arg-type]
        InvalidInputError,
        r"timestamp must be a datetime",
    ),
    "unknown message": (lambda _, session: session.get_message("nope"), MessageNotFoundError, r"'nope'.*get_messages"),
    "empty message id": (lambda _, session: session.get_message(""), InvalidInputError, r"message_id"),
    "export format": (
        lambda _, session: session.export_conversation("pdf"),
        InvalidInputError,
        r"format must be 'json'",
    ),
    "context that is no dict": (
        lambda _, session: session.update_context([1]),  # type: ignore[arg-type]
        InvalidInputError,
        r"context must be a dict",
    ),
    "context JSON cannot hold": (
        lambda _, session: session.update_context({"o": object()}),
        InvalidInputError,
        r"context must hold only",
    ),
    "config key to update": (lambda _, session: session.update_config({"nam": 1}), ConfigurationError, r"'nam'.*name"),
    "config value to update": (
        lambda _, session: session.update_config({"name": 1}),
        ConfigurationError,
        r"name must be",
    ),
    "config to update that is no dict": (
        lambda _, session: session.update_config(5),  # type: ignore[arg-type]
        InvalidInputError,
        r"changes must be a dict",
    ),
    "setting to update": (
        lambda _, session: session.provider_session.update_provider_config({"temprature": 1}),
        ConfigurationError,
        r"temprature.*temperature",
    ),
    "settings to update of nothing": (
        update_settings(None),
        ConfigurationError,
        r"provider_config of mock must be",
    ),
    "settings to update as number": (update_settings(5), ConfigurationError, r"provider_config of mock must be a dict"),
    "settings to update as text": (update_settings(""), ConfigurationError, r"provider_config of mock must be a dict"),
    "settings to update as list": (update_settings([]), ConfigurationError, r"provider_config of mock must be a dict"),
    "pattern of another type": (answer_with(5), InvalidInputError, r"pattern must be a string"),
    "pattern of nothing": (answer_with(None), InvalidInputError, r"pattern must be a string"),
    "pattern with another name": (answer_with("{inptu}"), InvalidInputError, r"{inptu} stands for nothing; .*{input}"),
    "pattern without a name": (answer_with("{}"), InvalidInputError, r"{} stands for nothing"),
}


@pytest.mark.parametrize("case", CASES)
async def test_bad_input_is_named_and_writes_nothing(manager: SessionManager, session: Session, case: str) -> None:
    attempt, error, message = CASES[case]
    before = await _everything(manager)
    with pytest.raises(error, match=message) as caught:
        await attempt(manager, session)
    assert type(caught.value) is error
    assert str(caught.value).rstrip().endswith((".", ")")), "a message is a sentence"
    assert await _everything(manager) == before
    assert (await session.send_message("works?")).content == "Mock response to: works?"


async def test_a_missing_extra_is_named(open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch) -> None:
    from langswarm_sessions.providers import credentials

    monkeypatch.delitem(sys.modules, "openai", raising=False)
    monkeypatch.setattr(credentials, "find_spec", dict[str, object]().get)
    manager = open_manager("memory", providers={"openai": "sk-canary-4711"})
    with pytest.raises(MissingDependencyError, match=r"langswarm-sessions\[openai\]") as caught:
        await manager.create_session("user", "openai", "gpt-5")
    assert CANARY not in str(caught.value)
    assert await manager.get_user_sessions("user") == []


async def test_keys_show_up_nowhere(open_manager: OpenManager, own_folder: Path) -> None:
    manager = open_manager(providers={"openai": f"sk-{CANARY}"})
    session = await manager.create_session("user", "openai", "gpt-5")
    with pytest.raises(ConfigurationError, match="providers=") as caught:
        await manager.create_session("user", "openai", "gpt-5", provider_config={"api_key": f"sk-{CANARY}"})
    shown = [repr(manager), repr(session), repr(session.provider_session), str(caught.value)]
    shown.append(repr(await session.get_provider_metadata()))
    assert not [text for text in shown if CANARY in text]
    for name in os.listdir(own_folder):
        assert CANARY.encode() not in (own_folder / name).read_bytes()


async def test_an_archived_session_says_how_to_go_on(session: Session) -> None:
    await session.archive()
    with pytest.raises(SessionArchivedError, match="Restore it") as caught:
        await session.send_message("hi")
    assert caught.value.session_id == session.session_id


async def _everything(manager: SessionManager) -> list[Any]:
    return [await rows_of(manager, f"SELECT * FROM {table}") for table in ("sessions", "turns", "messages")]
