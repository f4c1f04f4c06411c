"""Which steps a turn has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.kills.campaign import STORAGE_STEPS, Case, Step
from tests.kills.kinds import Kind

__all__ = ["FIRST", "SMOOTH", "case_of", "every_case", "steps_of", "telling_cases"]

SMOOTH, FIRST = "smooth", "first"
"""What befalls a turn when nothing does: one with another before it, and a session's first."""


def steps_of(requests: Sequence[bool]) -> list[Step]:
    """Return every step of a turn.

    Args:
        requests: The requests the turn takes: whether a text is streamed for each.
    """
    steps = [Step("begin commit"), Step("begun")]
    for number, has_text in enumerate(requests, 1):
        steps += [Step("request", number), Step("answer", number)]
        steps += [Step("text", number)] if has_text else []
    return [*steps, Step("finish commit"), Step("finished")]


def every_case(kind: Kind, turn: str, requests: Sequence[bool]) -> Iterator[Case]:
    """Return a kill at every step of a turn, sent and streamed.

    What comes next, the same key or something else, changes from case to case.

    Args:
        kind: Who answers.
        turn: What befalls the turn: "smooth", "first", or one of the kind's ruins.
        requests: The requests it takes: whether a text is streamed for each.
    """
    for number, step in enumerate(steps_of(requests)):
        for streamed in (False, True):
            same_key_first = (number + streamed) % 2 == 0
            yield case_of(kind, turn, step, streamed=streamed, same_key_first=same_key_first)


def case_of(kind: Kind, turn: str, step: Step, *, streamed: bool, same_key_first: bool = True) -> Case:
    """Return a case by what befalls its turn."""
    return Case(
        kind=kind,
        step=step,
        ruin=None if turn in (SMOOTH, FIRST) else turn,
        is_first=turn == FIRST,
        streamed=streamed,
        same_key_first=same_key_first,
    )


def telling_cases(kind: Kind) -> list[Case]:
    """Return the kills that tell most: what the provider has and nobody here knows, and what is half healed."""
    if kind.server is None:
        return [case_of(kind, SMOOTH, Step(place), streamed=False) for place in STORAGE_STEPS]
    cases = [case_of(kind, SMOOTH, Step("text", 1), streamed=True, same_key_first=False)]
    if "lost" in kind.ruins:
        cases.append(case_of(kind, SMOOTH, Step("answer", 1), streamed=False))
        cases.append(case_of(kind, "lost", Step("answer", 2), streamed=True))
    if "kept unseen" in kind.ruins:
        cases.append(case_of(kind, "kept unseen", Step("answer", 2), streamed=False, same_key_first=False))
    return cases
