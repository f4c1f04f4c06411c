"""Plain data: exports, presets, pages, contexts; JSON-ready and quiet about what was said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.config import CleanupConfig, SessionConfig, Strategy
from langswarm_sessions.export import exported
from langswarm_sessions.hooks import LoggingHook, MonitoringHook
from langswarm_sessions.interfaces import (
    ProviderConnection,
    ProviderSession,
    SessionLifecycleHook,
    SessionMiddleware,
    SessionStorage,
)
from langswarm_sessions.messages import Role, SessionMessage, TextPart, ToolCall, parts_from_json
from langswarm_sessions.middleware import LoggingMiddleware
from langswarm_sessions.presets import PRESETS
from langswarm_sessions.records import Page, SessionContext, SessionFilter, SessionRecord, SessionStatus

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def record() -> SessionRecord:
    return SessionRecord(
        session_id="s",
        user_id="u",
        provider="p",
        model="m",
        strategy=Strategy.NATIVE,
        created_at=MOMENT,
        last_activity=MOMENT,
        config=SessionConfig(name="canary", auto_archive_after=timedelta(hours=1)),
        provider_config={"temperature": 0.5, "header": "canary"},
        context={"key": "canary"},
        instructions="canary",
    )


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)


def build(role: Role, text: str, calls: list[ToolCall], payload: dict[str, Any] | None) -> SessionMessage:
    return SessionMessage(
        role=role, content=text, tool_calls=calls, provider_payload=payload, message_id="m", metadata={"a": [1]}
    )


CALLS = st.lists(st.builds(ToolCall, id=TEXT, name=TEXT), max_size=2)
PAYLOAD: st.SearchStrategy[dict[str, Any] | None] = st.none() | st.just({"raw": True})
MESSAGES = st.lists(st.builds(build, st.sampled_from(Role), TEXT, CALLS, PAYLOAD), max_size=3)


@given(MESSAGES)
def test_an_export_is_plain_json_that_holds_everything(messages: list[SessionMessage]) -> None:
    data = exported(record(), messages)
    assert json.loads(json.dumps(data)) == data
    assert data["format"] == "langswarm-sessions"
    assert data["session"]["strategy"] == "native"
    assert SessionConfig.of(data["session"]["config"]) == record().config
    for message, entry in zip(messages, data["messages"], strict=True):
        again = SessionMessage(
            role=entry["role"],
            content=entry["content"],
            message_id=entry["message_id"],
            parts=parts_from_json(entry["parts"]),
            timestamp=datetime.fromisoformat(entry["timestamp"]),
            metadata=entry["metadata"],
            provider_payload=entry["provider_payload"],
        )
        assert again == message


def test_a_record_shows_nothing_that_was_said_or_configured() -> None:
    assert "canary" not in repr(record())
    assert "canary" not in repr(SessionFilter(text="canary"))
    context = SessionContext(session_id="s", user_id="u", provider="p", model="m", user_context={"k": "canary"})
    assert "canary" not in repr(context)
    assert (context.get("k"), context.get("x"), context.get("x", 1)) == ("canary", None, 1)


def test_a_page_is_a_list_with_a_cursor() -> None:
    page = Page([1, 2], next_cursor="c")
    assert page == [1, 2]
    assert page.next_cursor == "c"
    assert (Page[int](), Page[int]().next_cursor) == ([], None)


def test_deleted_sessions_are_in_no_listing_unless_asked_for() -> None:
    assert SessionFilter().statuses == (SessionStatus.ACTIVE, SessionStatus.ARCHIVED)


def test_the_presets() -> None:
    development, production = PRESETS["development"], PRESETS["production"]
    assert set(PRESETS) == {"development", "production"}
    assert development.storage == "memory"
    assert development.cleanup == CleanupConfig()
    assert [type(one) for one in development.middleware()] == [LoggingMiddleware]
    assert [type(one) for one in development.hooks()] == [LoggingHook]
    assert (production.storage, production.storage_config) == ("sqlite", {"enable_wal": True})
    assert (production.cleanup.archive_after_days, production.cleanup.delete_after_days) == (30, 90)
    assert production.middleware() == []
    assert [type(one) for one in production.hooks()] == [MonitoringHook]
    assert development.hooks()[0] is not development.hooks()[0]


@pytest.mark.parametrize("interface", [ProviderSession, SessionStorage, ProviderConnection])
def test_what_must_be_implemented_cannot_be_forgotten(interface: type[Any]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        interface()


def test_a_users_provider_needs_no_constructor() -> None:
    class Mine(ProviderSession):
        def __init__(self) -> None:
            self.asked: list[str] = []

        async def send_message(
            self, content: str, role: str = Role.USER, metadata: dict[str, Any] | None = None
        ) -> str:
            return content

        async def get_provider_metadata(self) -> dict[str, Any]:
            return {}

        async def update_provider_config(self, config: dict[str, Any]) -> None:
            """Take nothing."""

        async def cleanup_provider_resources(self) -> None:
            """Hold nothing."""

    assert Mine().provider_session_id is None


async def test_middleware_and_hooks_do_nothing_by_default() -> None:
    message = SessionMessage(role=Role.USER, parts=[TextPart("x")])
    context = SessionContext(session_id="s", user_id="u", provider="p", model="m")
    assert await SessionMiddleware().process_message("s", message, context) is message
    await SessionLifecycleHook().on_session_archived("s")
