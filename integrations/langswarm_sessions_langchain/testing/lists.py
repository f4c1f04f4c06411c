"""The lists that writers add at the same time, and what must have become of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import BaseMessage

from langswarm_sessions_langchain.testing.kit import expect
from langswarm_sessions_langchain.testing.ordering import numbered

__all__ = ["ROUNDS", "Round", "expect_whole_lists", "list_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """How all writers add one list each. One is held in the middle of its own, or all begin at the same moment.

    Args:
        length: Messages in each list.
        passes: Hold the first writer when it goes through its list for the time after these.
        part: Hold it after this part of the calls it makes.
    """

    length: int
    passes: int | None = None
    part: float | None = None


ROUNDS = (
    Round(length=40, passes=0),
    Round(length=40, passes=1),
    Round(length=40, passes=2),
    Round(length=40, part=1 / 3),
    Round(length=40, part=2 / 3),
    Round(length=200),
)
"""There are histories that go through a list up to three times: to check it, to build what is to be written, to write
it. And there are those whose database goes through it, while they send it."""


def list_of(writer: str, at: int) -> list[BaseMessage]:
    """Return the messages that one writer adds at once.

    Args:
        writer: Who writes.
        at: In which round, from 0.
    """
    messages = numbered(ROUNDS[at].length)
    for message, text in zip(messages, _texts(writer, at), strict=True):
        message.content = text
    return messages


def expect_whole_lists(said: Sequence[str], *, writers: int, rounds: int) -> None:
    """Check that all lists of all writers are there, once, in one piece and in each writer's order.

    Args:
        said: What the history holds.
        writers: How many wrote.
        rounds: How many lists each of them added.

    Raises:
        Broken: They are not.
    """
    lists = [[_texts(str(writer), at) for at in range(rounds)] for writer in range(writers)]
    added = {text for written in lists for texts in written for text in texts}
    expect(added <= {*said}, "messages were lost")
    expect(added >= {*said}, "messages came back that nobody added")
    expect(len(said) == len(added), "messages came back twice")
    place = {text: at for at, text in enumerate(said)}
    for written in lists:
        places = [[place[text] for text in texts] for texts in written]
        begun = [found[0] for found in places]
        expect(
            begun == sorted(begun) and all(found == sorted(found) for found in places),
            "the order in which one writer wrote was not kept",
        )
        torn = any(found[-1] - found[0] != len(found) - 1 for found in places)
        expect(not torn, "a list that was added in one call was torn: another writer's messages stand in it")


def _texts(writer: str, at: int) -> list[str]:
    return [f"{writer}:{at}:{number}" for number in range(ROUNDS[at].length)]
