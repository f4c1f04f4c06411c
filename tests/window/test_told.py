"""What providers tell of a model and count of a request, by their own endpoints. Over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions import ProviderError, Session, SessionManager
from langswarm_sessions.interfaces.provider import ModelLimits
from tests.window.kinds import CLIENTS, NATIVES, Kind
from tests.window.tape import Tape

COUNTING = [kind for kind in CLIENTS if kind.config.get("api") != "chat"]
each = pytest.mark.parametrize("kind", CLIENTS, ids=str, indirect=True)
counting = pytest.mark.parametrize("kind", COUNTING, ids=str, indirect=True)

COUNTS: dict[str, tuple[str, dict[str, Any], int]] = {
    "openai": ("/responses/input_tokens", {"object": "response.input_tokens", "input_tokens": 77}, 77),
    "anthropic": ("/messages/count_tokens", {"input_tokens": 77}, 77),
    "gemini": (":countTokens", {"totalTokens": 77}, 77),
    "mistral": ("/responses/input_tokens", {"object": "response.input_tokens", "input_tokens": 77}, 77),
    "cohere": ("/tokenize", {"tokens": [1] * 77, "token_strings": []}, 77),
}
MODELS: dict[str, tuple[dict[str, Any], ModelLimits]] = {
    "anthropic": (
        {
            "id": "claude-haiku-5-5",
            "type": "model",
            "display_name": "x",
            "created_at": "2026-01-01T00:00:00Z",
            "max_input_tokens": 200_000,
            "max_tokens": 64_000,
        },
        ModelLimits(context_tokens=200_000, output_tokens=64_000),
    ),
    "gemini": (
        {"name": "models/gemini-4-argon", "inputTokenLimit": 1_000_000, "outputTokenLimit": 60_000},
        ModelLimits(context_tokens=1_000_000, output_tokens=60_000),
    ),
    "mistral": (
        {
            "id": "mistral-medium-3-5",
            "object": "model",
            "type": "base",
            "capabilities": {},
            "max_context_length": 128_000,
        },
        ModelLimits(context_tokens=128_000),
    ),
    "cohere": (
        {"name": "command-a-03-2025", "context_length": 256_000.0, "endpoints": ["chat"], "finetuned": False},
        ModelLimits(context_tokens=256_000),
    ),
}


@counting
async def test_a_request_is_counted_where_the_provider_can(kind: Kind, session: Session, tape: Tape) -> None:
    end, answer, count = COUNTS[kind.provider]
    tape.told = {end: answer}
    await session.send_message("albatross")
    plan = await session.explain("badger", count=True)
    assert plan.counted_tokens == count
    assert "the provider counts 77 tokens" in str(plan)
    asked = next(sent for sent in tape.all if sent.path.partition("?")[0].endswith(end))
    assert b"albatross" in asked.raw
    assert b"badger" in asked.raw
    assert len(tape.turns) == 1, "nothing was sent for an answer"
    assert (await session.explain("badger")).counted_tokens is None


@pytest.mark.parametrize("kind", [kind for kind in CLIENTS if kind not in COUNTING], ids=str, indirect=True)
async def test_chat_completions_have_no_counter(session: Session) -> None:
    assert (await session.explain("badger", count=True)).counted_tokens is None


@counting
async def test_a_counter_that_fails_is_told_when_it_was_asked_for(kind: Kind, session: Session, tape: Tape) -> None:
    tape.told = {COUNTS[kind.provider][0]: None}
    with pytest.raises(ProviderError):
        await session.explain("badger", count=True)


@each
async def test_a_model_tells_its_limits(kind: Kind, session: Session, tape: Tape) -> None:
    told = MODELS.get(kind.provider)
    tape.told = {} if told is None else {f"/{kind.model}": told[0]}
    limits = await session.engine_provider.model_limits()
    assert limits == (None if told is None else told[1])


@pytest.mark.parametrize("kind", NATIVES, ids=str, indirect=True)
async def test_what_the_provider_holds_is_counted_by_openai_alone(kind: Kind, session: Session, tape: Tape) -> None:
    end, answer, count = COUNTS[kind.provider]
    tape.told = {end: answer}
    await session.send_message("albatross")
    plan = await session.explain("badger", count=True)
    assert plan.counted_tokens == (count if kind.provider == "openai" else None)
    if kind.provider == "openai":
        asked = next(sent for sent in tape.all if sent.path.endswith(end)).body
        assert asked.get("previous_response_id") or asked.get("conversation")


@pytest.mark.parametrize("kind", [kind for kind in CLIENTS if kind.provider in MODELS], ids=str, indirect=True)
async def test_a_long_conversation_asks_once_and_is_cut_to_what_the_model_takes(
    kind: Kind, manager: SessionManager, tape: Tape
) -> None:
    small = {
        "max_input_tokens": 2_000,
        "max_tokens": 250,
        "inputTokenLimit": 2_000,
        "outputTokenLimit": 250,
        "max_context_length": 2_000,
        "context_length": 2_000.0,
    }
    known = MODELS[kind.provider][0]
    end, _, _ = COUNTS[kind.provider]
    tape.told = {
        "/tiny-model": {name: small.get(name, value) for name, value in known.items()},
        end: None,
    }
    session = await manager.create_session("user", kind.provider, "tiny-model", strategy="client")
    for number in range(9):
        await session.send_message(f"{number} " + "word " * 150)
    asked = [sent for sent in tape.all if sent.path.partition("?")[0].endswith("/tiny-model") and sent.method == "GET"]
    assert len(asked) == 1
    assert max(len(sent.raw) for sent in tape.turns) < 4 * 2_000 * 1.1
    assert (await session.explain("next")).budget_source == "provider"
    counts = [sent for sent in tape.all if sent.path.partition("?")[0].endswith(end)]
    assert len(counts) == 1, "a counter that failed rests"
