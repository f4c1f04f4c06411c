"""What consecutive requests have in common, byte for byte, and who holds the history. Over HTTP."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from langswarm_sessions import Session, SessionManager
from tests.window.kinds import CLIENTS, KINDS, NATIVES, Kind, beginning, held
from tests.window.tape import Tape

clients = pytest.mark.parametrize("kind", CLIENTS, ids=str, indirect=True)
everyone = pytest.mark.parametrize("kind", KINDS, ids=str, indirect=True)


@clients
async def test_a_request_begins_with_the_one_before_until_something_is_trimmed(
    kind: Kind, manager: SessionManager, tape: Tape
) -> None:
    session = await manager.create_session(
        "user",
        kind.provider,
        kind.model,
        strategy="client",
        provider_config={**kind.config, "instructions": "Be brief."},
        session_config={"max_messages": 40},
    )
    await session.send_system_message("Always.")
    for number in range(36):
        await session.send_message(f"question {number}")
    breaks = [
        at
        for at, (before, after) in enumerate(pairwise(tape.turns), start=1)
        if not after.raw.startswith(beginning(before, kind))
    ]
    full = 20
    assert breaks[0] == full, "nothing is trimmed before the window is full"
    assert len(breaks) <= 4, "some sixteen turns with a full window, and no more than four of them move the cut"


@clients
async def test_a_window_in_tokens_moves_in_steps_as_well(kind: Kind, manager: SessionManager, tape: Tape) -> None:
    session = await manager.create_session(
        "user",
        kind.provider,
        kind.model,
        strategy="client",
        provider_config=kind.config,
        session_config={"max_tokens_window": 1_000},
    )
    for number in range(24):
        await session.send_message(f"{number} " + "word " * 40)
    moves = sum(not after.raw.startswith(beginning(before, kind)) for before, after in pairwise(tape.turns))
    assert 2 <= moves <= 8


@everyone
async def test_a_turn_has_one_owner_of_the_history(kind: Kind, session: Session, tape: Tape) -> None:
    words = ["albatross", "badger", "cormorant", "dormouse"]
    for word in words:
        await session.send_message(word)
    owners = [held(sent, kind) for sent in tape.turns]
    for at, sent in enumerate(tape.turns):
        said = json.dumps(sent.body[kind.said])
        assert words[at] in said
        replayed = [word for word in words[:at] if word in said]
        if kind.strategy == "client" or at == 0:
            assert replayed == words[:at]
            assert kind.strategy == "native" or owners[at] is None
        else:
            assert owners[at] is not None, "the provider holds the history"
            assert replayed == [], "and so it is not sent"


@pytest.mark.parametrize("kind", NATIVES, ids=str, indirect=True)
async def test_a_native_turn_costs_the_same_bytes_however_long_the_conversation_is(
    kind: Kind, session: Session, tape: Tape
) -> None:
    for _ in range(25):
        await session.send_message("the same question")
    sizes = {len(sent.raw) for sent in tape.turns[1:]}
    assert max(sizes) - min(sizes) <= 8, "ids may differ in length"
