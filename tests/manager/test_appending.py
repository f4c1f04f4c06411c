"""Messages stored outside any turn, by a session's id: what cannot be stored is named, and nothing is half-written."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions import InvalidInputError, Role, Session, SessionManager, SessionMessage, SessionNotFoundError

SAID = SessionMessage(role=Role.USER, content="said")

WRONG: dict[str, tuple[Any, str]] = {
    "no list": (SAID, r"messages must be a list of SessionMessage"),
    "None": (None, r"messages must be a list of SessionMessage"),
    "text": ([SAID, "text"], r"messages\[1\] must be a SessionMessage, not str"),
    "metadata": (
        [SAID, SessionMessage(role=Role.USER, metadata={"o": object()})],
        r"messages\[1\].metadata must hold only what JSON can",
    ),
    "payload": (
        [SAID, SessionMessage(role=Role.USER, provider_payload={"n": float("nan")})],
        r"messages\[1\].provider_payload must hold only what JSON can",
    ),
    "half a character": (
        [SAID, SessionMessage(role=Role.USER, content="a\ud800b")],
        r"messages\[1\].content holds half of a surrogate pair",
    ),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_cannot_be_stored_is_named(manager: SessionManager, session: Session, case: str) -> None:
    messages, told = WRONG[case]
    with pytest.raises(InvalidInputError, match=told):
        await manager.append_messages(session.session_id, messages)
    assert await session.get_messages() == []


@pytest.mark.parametrize("session_id", ["", None, 5])
async def test_an_id_that_is_none_is_named(manager: SessionManager, session_id: Any) -> None:
    with pytest.raises(InvalidInputError, match="session_id must be a non-empty string"):
        await manager.append_messages(session_id, [SAID])


async def test_an_unknown_session_is_named(manager: SessionManager) -> None:
    with pytest.raises(SessionNotFoundError):
        await manager.append_messages("nope", [SAID])


async def test_what_can_be_stored_is(manager: SessionManager, session: Session) -> None:
    empty = SessionMessage(role=Role.ASSISTANT)
    stored = await manager.append_messages(session.session_id, [SAID, empty])
    assert [message.content for message in stored] == ["said", ""]
    assert session.message_count == 2
