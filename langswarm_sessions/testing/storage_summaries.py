"""What the turn engine relies on when it keeps summaries beside a transcript."""

# ruff: noqa: D102 - the name of a test says what holds

from __future__ import annotations

import pytest

from langswarm_sessions.errors import SessionNotFoundError
from langswarm_sessions.ids import now
from langswarm_sessions.records import SessionSummary
from langswarm_sessions.testing.storage_kit import StorageFixtures, StorageKit, texts

__all__ = ["SummaryContract"]


class SummaryContract(StorageFixtures):
    """Summaries: the newest counts, none of them is a message."""

    async def test_a_session_has_no_summary_at_first(self, kit: StorageKit) -> None:
        await kit.turn("question", "answer")
        assert await kit.storage.load_summary(kit.session_id) is None

    async def test_the_newest_summary_counts_and_the_transcript_stays(self, kit: StorageKit) -> None:
        for number in range(2):
            await kit.turn(f"question {number}", f"answer {number}")
        newer = _summary(up_to=4, text="two turns")
        for summary in (newer, _summary(up_to=2, text="one turn")):
            await kit.storage.save_summary(kit.session_id, summary)
        assert await kit.storage.load_summary(kit.session_id) == newer
        assert texts(await kit.transcript()) == ["question 0", "answer 0", "question 1", "answer 1"]

    async def test_the_first_summary_up_to_a_message_stays(self, kit: StorageKit) -> None:
        await kit.turn("question", "answer")
        first = _summary(up_to=2, text="first")
        for summary in (first, _summary(up_to=2, text="second")):
            await kit.storage.save_summary(kit.session_id, summary)
        assert await kit.storage.load_summary(kit.session_id) == first

    async def test_a_summary_of_what_was_cleared_is_gone(self, kit: StorageKit) -> None:
        await kit.turn("question", "answer")
        await kit.storage.save_summary(kit.session_id, _summary(up_to=2, text="cleared"))
        await kit.clear()
        assert await kit.storage.load_summary(kit.session_id) is None

    async def test_a_summary_of_no_session_is_refused(self, kit: StorageKit) -> None:
        with pytest.raises(SessionNotFoundError):
            await kit.storage.save_summary("no such session", _summary(up_to=1, text="of nothing"))
        assert await kit.storage.load_summary("no such session") is None


def _summary(*, up_to: int, text: str) -> SessionSummary:
    return SessionSummary(
        up_to_seq=up_to, text=text, tokens=3, created_at=now(), provider="somebody", model="some-model"
    )
