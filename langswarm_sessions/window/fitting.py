"""Which whole turns fit. Pure functions.

A full window is not moved on by a turn every turn: the model would be given another beginning each time, and no prompt
cache could hold it. It is cut to some seven tenths instead and then grows again, so that many consecutive requests
begin alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, takewhile

from langswarm_sessions.messages import MessageKind, Role, SessionMessage
from langswarm_sessions.messages.tokens import estimate_tokens

__all__ = ["Window", "fit", "low_mark"]

Turn = list[SessionMessage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What fits, what was left out, and what the former costs.

    Args:
        messages: What fits, in order.
        left_out: What does not, in order.
        tokens: About how many tokens the messages cost.
    """

    messages: tuple[SessionMessage, ...]
    left_out: tuple[SessionMessage, ...] = ()
    tokens: int = 0

    @property
    def dropped(self) -> int:
        """How many messages were left out."""
        return len(self.left_out)


def fit(
    messages: Sequence[SessionMessage],
    *,
    max_messages: int | None = None,
    max_tokens: int | None = None,
    at_once: bool = False,
) -> Window:
    """Keep the newest whole turns that fit both bounds; the newest turn stays whatever it costs.

    Where not all of them fit, between 70 and 100 % of the bounds are used: the cut stays where it is, turn after turn,
    until it has to move, and then moves by several turns. Where it is follows from the messages alone. Instructions
    among them are passed over: those in force travel by themselves.

    Args:
        messages: In order, the new input last.
        max_messages: At most this many messages, system messages not counted.
        max_tokens: At most about this many tokens, system messages counted.
        at_once: Cut to 70 % in any case: somebody else remembers where the cut is.

    Returns:
        The window.
    """
    messages = [message for message in messages if message.kind is not MessageKind.INSTRUCTIONS]
    turns = _whole_turns([message for message in messages if not _is_system(message)])
    bounds = _Bounds(max_messages, max_tokens, fixed=_total(message for message in messages if _is_system(message)))
    oldest = 1 if len(turns) > 1 and _lacks_its_start(turns[0]) else 0
    if turns and not bounds.hold(turns):
        oldest, newest = max(oldest, bounds.oldest_of(turns)), bounds.lowered().oldest_of(turns)
        oldest = newest if at_once else _steadiest(turns, oldest, newest)
    chosen = {id(message) for turn in turns[oldest:] for message in turn}
    kept = tuple(message for message in messages if _is_system(message) or id(message) in chosen)
    left_out = tuple(message for message in messages if not _is_system(message) and id(message) not in chosen)
    return Window(messages=kept, left_out=left_out, tokens=_total(kept))


def low_mark(bound: int | None) -> int | None:
    """Return what of a bound is used up at least once the window was full.

    Example:
        >>> low_mark(100_000), low_mark(3)
        (70000, 3)
    """
    return None if bound is None else bound - bound * 3 // 10


@dataclass(frozen=True, slots=True)
class _Bounds:
    """How much fits, in messages and in tokens, of which `fixed` are taken."""

    messages: int | None
    tokens: int | None
    fixed: int

    def hold(self, turns: Sequence[Turn]) -> bool:
        """Whether all of the turns fit."""
        return self._hold(sum(map(len, turns)), sum(map(_total, turns)))

    def lowered(self) -> _Bounds:
        """Return the bounds a full window is cut to."""
        return replace(self, messages=low_mark(self.messages), tokens=low_mark(self.tokens))

    def oldest_of(self, turns: Sequence[Turn]) -> int:
        """Return the index of the first turn of the largest window that fits; the last turn always does."""
        counts = accumulate(len(turn) for turn in reversed(turns))
        sizes = accumulate(_total(turn) for turn in reversed(turns))
        fitting = sum(1 for _ in takewhile(lambda window: self._hold(*window), zip(counts, sizes, strict=True)))
        return len(turns) - max(1, fitting)

    def _hold(self, count: int, tokens: int) -> bool:
        few = self.messages is None or count <= self.messages
        return few and (self.tokens is None or tokens + self.fixed <= self.tokens)


def _steadiest(turns: Sequence[Turn], oldest: int, newest: int) -> int:
    """Return where to cut between two turns so that later windows will be cut there, too.

    Places in the transcript are ranked as the marks of a ruler are: every second is higher than its neighbours, every
    fourth higher still. The highest within reach stays the highest while the window moves on, until it falls out of
    it.
    """
    candidates = range(oldest, max(oldest, min(newest, len(turns) - 2)) + 1)
    return max(candidates, key=lambda index: _rank(turns, index))


def _rank(turns: Sequence[Turn], index: int) -> int:
    """Return the rank of the highest mark between the beginnings of a turn and the next."""
    begin = turns[index][0].seq
    end = turns[index + 1][0].seq if index + 1 < len(turns) else None
    if begin is None or end is None:  # not stored: told apart by their place
        begin, end = index + 1, index + 2
    return ((begin - 1) ^ (end - 1)).bit_length()


def _whole_turns(messages: Sequence[SessionMessage]) -> list[Turn]:
    turns: list[Turn] = []
    for message in messages:
        starts = message.role is Role.USER and (not turns or turns[-1][-1].role is not Role.USER)
        if starts or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def _lacks_its_start(turn: Sequence[SessionMessage]) -> bool:
    """Whether the beginning of a turn was not read: half a turn is none. What was added outside any turn is whole."""
    return turn[0].role is not Role.USER and turn[0].turn_id is not None


def _is_system(message: SessionMessage) -> bool:
    return message.role is Role.SYSTEM


def _total(messages: Iterable[SessionMessage]) -> int:
    return sum(estimate_tokens(message) for message in messages)
