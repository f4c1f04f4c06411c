"""Answers whose words are odd: characters no database likes, empty ones, numbers that cannot be."""

from __future__ import annotations

import re

from langswarm_sessions import ProviderError
from tests.bad_input.kit import Ask, Scene, discreet
from tests.session.kit import rows_of
from tests.support.relay import Answer, Change

CHARACTERS = {
    "NUL": (rb"\u0000", "\0"),
    "ends of lines in Unicode": ("\u2028\u0085".encode(), "\u2028\u0085"),
    "everything JSON escapes": (rb"\"\\\/\b\f\n\r\t", '"\\/\b\f\n\r\t'),
}
BROKEN = {"half a surrogate pair": rb"\ud83d", "the other half": rb"\ude00", "invalid UTF-8": b"\xff\xfe"}


async def test_odd_characters_are_stored_as_they_came(scene: Scene, ask: Ask) -> None:
    for sent, stored in CHARACTERS.values():
        scene.script(chunks=("before ODD ", "after"))
        scene.spoil(b"ODD", sent)
        answer = await ask("two")
        assert answer.content == f"before {stored} after"
        assert await scene.newest() == [("two", "completed"), (answer.content, "completed")]
        await scene.goes_on()


async def test_what_is_no_unicode_is_replaced_or_asked_for_again(scene: Scene, ask: Ask) -> None:
    """Some SDKs take such an answer, some call it no JSON; what is stored is text either way."""
    for sent in BROKEN.values():
        scene.script(chunks=("before ODD ", "after"))
        scene.spoil(b"ODD", sent)
        answer = await ask("two")
        taken = answer.content.startswith("before \ufffd") and answer.content.endswith(" after")
        assert taken or answer.content == "before ODD after" or answer.content.endswith("You said: two")
        assert await scene.newest() == [("two", "completed"), (answer.content, "completed")]
        await scene.goes_on()


COUNTS = re.compile(rb'("(?:[a-z]+_)*(?:tokens|[a-zA-Z]*TokenCount)":\s*)-?\d+(?:\.\d+)?')
NUMBERS = [b"-7", b"99999999999999999999999999", b'"12"', b"null"]
NO_NUMBERS = [b"1e400", b"1e30", b"2.5", b"NaN", b"true", b"{}", b"[3]"]


def _counted(number: bytes) -> Change:
    def change(answer: Answer) -> Answer:
        assert COUNTS.search(answer.body)
        return answer.with_body(COUNTS.sub(rb"\g<1>" + number, answer.body))

    return change


async def test_counts_that_cannot_be_are_no_reason_to_lose_an_answer(scene: Scene, ask: Ask) -> None:
    for number in NUMBERS:
        before = scene.relay.count
        scene.relay.change(_counted(number))
        answer = await ask("two")
        assert answer.content.endswith("You said: two")
        assert scene.relay.count == before + 1
        await _check_counts(scene)
        await scene.goes_on()


async def test_counts_that_are_none_spoil_no_session(scene: Scene, ask: Ask) -> None:
    """Where the SDK itself takes no such answer, it is asked for again, or the turn fails after what was shown."""
    for number in NO_NUMBERS:
        scene.relay.change(_counted(number))
        try:
            answer = await ask("two")
        except ProviderError as error:
            discreet(error)
            assert await scene.newest() == [("two", "failed")]
        else:
            assert answer.content.endswith("You said: two")
        await _check_counts(scene)
        await scene.goes_on()


async def _check_counts(scene: Scene) -> None:
    """Everything counted is a count, in the answer as in the database."""
    for message in await scene.session.get_messages(role="assistant"):
        counts = message.provider_metadata["usage"].values()
        assert all(type(count) is int and 0 <= count < 2**53 for count in counts)
    [turn] = await rows_of(scene.manager, "SELECT SUM(total_tokens) AS tokens FROM turns")
    assert 0 <= turn["tokens"] < 2**53
    assert (await scene.session.get_metrics()).total_tokens == turn["tokens"]


async def test_an_empty_answer_is_an_answer(scene: Scene, ask: Ask) -> None:
    scene.script(text="")
    answer = await ask("two")
    assert answer.content == ""
    assert await scene.newest() == [("two", "completed"), ("", "completed")]
    await scene.goes_on()
