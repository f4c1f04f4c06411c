"""What the provider finds too long is trimmed and sent once more; what cannot be trimmed is told. Over HTTP."""

from __future__ import annotations

import pytest

from langswarm_sessions import ContextOverflowError, Session
from tests.support.recorded import Recorded
from tests.window.conftest import Ask
from tests.window.kinds import CLIENTS, KINDS, Kind, held
from tests.window.tape import Tape

each = pytest.mark.parametrize("kind", KINDS, ids=str, indirect=True)
LONG = "x" * 800


@each
async def test_a_window_that_is_too_long_is_trimmed_and_sent_once_more(
    kind: Kind, session: Session, tape: Tape, ask: Ask, recorded: Recorded
) -> None:
    for number in range(6):
        await session.send_message(f"{number} {LONG}")
    whole = await session.get_messages()
    sent_before = len(tape.turns)
    tape.window = len(tape.turns[-1].raw) * 3 // 4 if kind.strategy == "client" else None
    tape.refusals = int(kind.strategy == "native")
    answer = await ask(session, "six")
    assert "six" in answer
    refused, taken = tape.turns[sent_before:][:2]
    if kind.strategy == "client":
        assert len(taken.raw) < len(refused.raw)
    else:
        assert held(taken, kind) != held(refused, kind), "what the provider keeps is given up for a window"
    assert [message.content for message in (await session.get_messages())[: len(whole)]] == [
        message.content for message in whole
    ], "the transcript is whole"
    events = [event.name for span in recorded.spans for event in span.events]
    assert events.count("langswarm.session.window_trimmed") == 1


@pytest.mark.parametrize("kind", CLIENTS, ids=str, indirect=True)
async def test_the_next_turn_remembers_what_fits(session: Session, tape: Tape) -> None:
    for number in range(6):
        await session.send_message(f"{number} {LONG * 10}")
    tape.window = len(tape.turns[-1].raw) * 3 // 4
    await session.send_message("six")
    before = len(tape.turns)
    await session.send_message("seven")
    assert max(len(sent.raw) for sent in tape.turns[before:]) <= tape.window, "it was not tried with too much again"


@each
async def test_what_is_longer_than_any_window_is_an_error_with_a_remedy(
    kind: Kind, session: Session, tape: Tape, ask: Ask
) -> None:
    await session.send_message("one")
    tape.window = 0
    before = len(tape.turns)
    with pytest.raises(ContextOverflowError, match="Send less of it") as refused:
        await ask(session, LONG)
    assert refused.value.provider == kind.provider
    assert len(tape.turns) - before <= 2
    tape.window = None
    assert "three" in await ask(session, "three")
    said = await session.get_messages()
    assert [(message.role.value, message.status.value) for message in said] == [
        ("user", "completed"),
        ("assistant", "completed"),
        ("user", "failed"),
        ("user", "completed"),
        ("assistant", "completed"),
    ]
    assert LONG not in str(tape.turns[-1].body), "what failed is not sent again"
