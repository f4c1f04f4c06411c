"""Sessions that let OpenAI compact what it is told: asked for with a setting, kept with the answer it came with."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions import ConfigurationError, SessionManager
from tests.e2e.openai_kit import Say, kinds, said, sent
from tests.support.openai_server import OpenAIServer, Reply, faults

THRESHOLD: dict[str, Any] = {"compact_threshold": 50_000}
ASKED_FOR = [{"type": "compaction", "compact_threshold": 50_000}]
COMPACTED = Reply(text="what matters", is_compacted=True)


async def test_it_is_not_asked_for_by_itself(manager: SessionManager, server: OpenAIServer) -> None:
    session = await manager.create_session("user", "openai", "gpt-6-astra")
    await session.send_message("one")
    assert "context_management" not in sent(server)


@pytest.mark.parametrize("native", ["node", "log"])
async def test_where_openai_keeps_the_conversation_it_compacts_in_place(
    native: str, manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    settings = {**THRESHOLD, "native": native}
    session = await manager.create_session("user", "openai", "gpt-6-astra", provider_config=settings)
    server.script(COMPACTED, "fine")
    assert (await say(session, "one")).content == "what matters"
    assert (await say(session, "two")).content == "fine"
    assert [sent(server, at)["context_management"] for at in (0, 1)] == [ASKED_FOR] * 2
    assert sent(server)["input"] == [said("user", "two")], "only what is new is sent, compacted or not"
    server.forget()
    assert (await say(session, "three")).content
    assert kinds(sent(server)) == ["compaction", "message", "message", "message", "message"], "healed from the item"
    assert (await session.get_metrics()).rebuilds == 1


@pytest.mark.parametrize("settings", [{"store": False}, {"native": "none"}])
async def test_where_nothing_is_kept_the_item_stands_for_what_was_before(
    settings: dict[str, Any], manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    settings = {**THRESHOLD, **settings}
    session = await manager.create_session("user", "openai", "gpt-6-astra", provider_config=settings, strategy="client")
    server.script("long ago", COMPACTED, "fine")
    for text in ("one", "two", "three"):
        await say(session, text)
    body = sent(server)
    assert body["context_management"] == ASKED_FOR
    assert (body["store"], "previous_response_id" in body) == (False, False)
    compaction, *after = body["input"]
    assert (compaction["type"], bool(compaction["encrypted_content"])) == ("compaction", True)
    assert after == [said("assistant", "what matters"), said("user", "three")]
    assert [message.content for message in await session.get_messages()][:2] == ["one", "long ago"], (
        "stored all the same"
    )


async def test_a_compacted_answer_that_got_lost_is_adopted(
    manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    settings = {**THRESHOLD, "native": "log"}
    session = await manager.create_session("user", "openai", "gpt-6-astra", provider_config=settings)
    await say(session, "one")
    server.script(COMPACTED)
    server.fault(faults.drop(stored=True))
    assert (await say(session, "two")).content == "what matters"
    assert len(server.creates) == 2, "it is not asked again"
    assert (await say(session, "three")).content
    assert sent(server)["input"] == [said("user", "three")]


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "50000"])
async def test_what_is_no_number_of_tokens_is_refused(value: object, manager: SessionManager) -> None:
    with pytest.raises(ConfigurationError, match="provider_config of openai: compact_threshold must be a whole number"):
        await manager.create_session("user", "openai", "m", provider_config={"compact_threshold": value})


async def test_no_other_provider_has_it(manager: SessionManager) -> None:
    with pytest.raises(ConfigurationError, match="compact_threshold"):
        await manager.create_session("user", "mock", "m", provider_config=THRESHOLD)
    session = await manager.create_session("user", "openai", "m", provider_config=THRESHOLD)
    report = await session.handoff("mock", "m", dry_run=True)
    assert list(report.settings_left) == ["compact_threshold"]
