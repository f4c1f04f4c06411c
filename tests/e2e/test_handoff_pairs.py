"""Every ordered pair of providers, over HTTP, and LangChain chat models: a conversation is handed over, and back.

The servers judge each request: a body that the provider's own SDK could not have made, a call without its result or a
role out of turn fails the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import permutations
from pathlib import Path

import pytest

from langswarm_sessions import SessionManager
from langswarm_sessions.messages import FilePart
from langswarm_sessions.providers.media import told_instead
from langswarm_sessions.providers.registry import _BUILT_IN
from tests.session.kit import OpenManager
from tests.support.handoff_table import page
from tests.support.sides import PDF, SIDES, Counterpart, converse

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "handoff-table.md"


@pytest.fixture
def counterpart() -> Iterator[Callable[[str], Counterpart]]:
    """Start a side; it is judged when the test ends."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(SIDES[name].start())


def in_order(text: str, *pieces: str) -> bool:
    places = [text.find(piece) for piece in pieces]
    return -1 not in places and places == sorted(places)


@pytest.mark.parametrize("leave_call_open", [False, True], ids=["whole", "open call"])
@pytest.mark.parametrize(("first", "second"), list(permutations(SIDES, 2)))
async def test_there_and_back(
    first: str,
    second: str,
    leave_call_open: bool,
    open_manager: OpenManager,
    counterpart: Callable[[str], Counterpart],
) -> None:
    one, other = counterpart(first), counterpart(second)
    credentials = {first: one.credential, second: other.credential}
    manager: SessionManager = open_manager("memory", providers=credentials)
    session = await manager.create_session("user", first, SIDES[first].model)
    await converse(session, first, one, leave_call_open=leave_call_open)
    payloads = [message.provider_payload for message in await session.get_messages()]

    report = await session.handoff(second, SIDES[second].model)
    assert report.crossing.crossed["tool_call"] == 3
    refuses = SIDES[first].refuses is not None
    left_open = {"tool_call"} if leave_call_open else set[str]()
    assert {note.part for note in report.crossing.converted} == left_open | ({"refusal"} if refuses else set())
    other.say(SIDES[second].says(f"{second} goes on"))
    reply = await session.send_message("go on")
    assert reply.content == f"{second} goes on"
    given = other.requests()[-1]
    shown = ("look at this", f"{first} saw it", "read this")
    assert in_order(given, "question one", f"{first} thought and said this", *shown, "noon in UTC", "go on")
    assert "hidden thought" not in given, "reasoning is its own model's"
    assert given.count("question one") == 1
    assert (PDF in given) != (told_instead(FilePart()) in given), "the file, or a note that there was one"
    assert (f"{first} would rather not" in given) == refuses
    if not leave_call_open:
        assert in_order(given, "in CET and PST?", "noon in CET", "noon in PST", f"{first} knows both times", "go on")

    assert [message.provider_payload for message in await session.get_messages()][: len(payloads)] == payloads
    await session.handoff(first, SIDES[first].model)
    one.say(SIDES[first].says("back again"))
    assert (await session.send_message("and back")).content == "back again"
    back = one.requests()[-1]
    assert in_order(back, "question one", f"{first} thought and said this", "go on", f"{second} goes on", "and back")
    assert back.count("go on") == 1, "no item stands twice in what the model is given"


def test_every_provider_is_a_side() -> None:
    assert set(SIDES) == (set(_BUILT_IN) - {"mock"}) | {"langchain"}


async def test_the_page_of_what_crosses_is_up_to_date() -> None:
    """`make handoff-table` prints the page as it should be."""
    assert PAGE.read_text() == await page()
