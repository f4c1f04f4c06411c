"""The answers of random transcripts are stored as the adapters store those of real runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from langswarm_sessions.messages import ToolCall
from tests.session.kit import OpenManager, open_manager
from tests.support.histories import SPEAKERS, Said, entries_in
from tests.support.sides import SIDES, converse

__all__ = ["open_manager"]

ASKED: Mapping[str, tuple[str, dict[str, Any]]] = {
    "anthropic": ("anthropic", {}),
    "cohere": ("cohere", {}),
    "gemini": ("gemini", {}),
    "gemini contents": ("gemini", {"native": "none"}),
    "langchain": ("langchain", {}),
    "mistral": ("mistral", {}),
    "openai": ("openai", {}),
    "openai chat": ("openai", {"api": "chat"}),
}

ONLY_SOMETIMES = {"signature", "thoughtSignature", "id", "reasoning_content", "model", "citations", "encrypted_content"}
"""What some servers or models leave out."""


def shape(value: Any) -> Any:
    """Return which keys stand where, without what is said."""
    if isinstance(value, dict):
        item = cast("dict[str, Any]", value)
        said = item.get("type") or item.get("role")
        kept = {key: shape(entry) for key, entry in item.items() if key not in {"args", "input", *ONLY_SOMETIMES}}
        return said, tuple(sorted((key, entry) for key, entry in kept.items()))
    held = entries_in(value)
    return tuple(sorted({repr(shape(entry)) for entry in held})) if held else None


def pieces(items: list[dict[str, Any]]) -> set[str]:
    """Return the shapes of the smallest pieces of an answer: items, and the blocks within them."""
    found: set[str] = set()
    for item in items:
        inner: object = item.get("content")
        found |= pieces(cast("list[dict[str, Any]]", inner)) if isinstance(inner, list) else set[str]()
        found.add(repr(shape({**item, "content": None} if "content" in item else item)))
    return found


def stored_items(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the provider's items; of a LangChain message the fields it has."""
    message: dict[str, Any] = payload.get("message", {}).get("data", {})
    told = ("content", "tool_calls", "invalid_tool_calls", "type")
    return [{name: message[name] for name in told}] if message else payload["items"]


@pytest.mark.parametrize("name", ASKED)
async def test_items_are_those_of_a_real_run(name: str, open_manager: OpenManager) -> None:
    side, config = ASKED[name]
    with SIDES[side].start() as counterpart:
        manager = open_manager("memory", providers={side: counterpart.credential})
        session = await manager.create_session("user", side, SIDES[side].model, provider_config=config)
        await converse(session, side, counterpart)
        answers = [message for message in await session.get_messages() if message.provider_payload is not None]
        await manager.close()
    real = {piece for answer in answers for piece in pieces(stored_items(answer.provider_payload or {}))}
    call = ToolCall(id="call_1", name="clock", arguments={"zone": "UTC"})
    made = [
        SPEAKERS[name].answer(said)
        for said in (
            Said(text="a"),
            Said(text="a", thought="t"),
            Said(calls=(call,)),
            Said(calls=(call, call)),
            Said(text="a", is_refusal=True),
            Said(calls=(call,), has_own_item=True),
        )
    ]
    built = {piece for answer in made for piece in pieces(stored_items(answer.provider_payload or {}))}
    assert real <= built, "a real answer holds what random ones never do"
    about = {key for answer in answers for key in answer.provider_payload or {}}
    assert about == set(made[0].provider_payload or {})


def test_every_speaker_was_heard() -> None:
    assert set(ASKED) == set(SPEAKERS) - {"langchain of others"}
