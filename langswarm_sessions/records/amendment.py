"""A change of a transcript outside any turn, as one unit of work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records.session import SessionRecord
from langswarm_sessions.records.units import Lease

__all__ = ["Amendment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """Take messages back, append others and change the session's row, all or nothing.

    Args:
        append: What to append, oldest first.
        retract: Ids of messages to take back: they stay stored, and no reader or model is given them any more.
        change: Pure; given the row as it is, it returns it as it shall be, or refuses everything by raising.
        also: Pure, like `change`: changes of the rows of other sessions that go with this, by their ids.
        skip_known: Leave out what the session already holds under the same message id: it was appended before.
        held: Only while this lease is in force.

    Example:
        >>> Amendment(retract=("m1",), append=(SessionMessage(role="user", content="again"),)).retract
        ('m1',)
    """

    append: tuple[SessionMessage, ...] = ()
    retract: tuple[str, ...] = ()
    change: Callable[[SessionRecord], SessionRecord] | None = field(default=None, repr=False)
    also: Mapping[str, Callable[[SessionRecord], SessionRecord]] = field(
        default_factory=dict[str, Callable[[SessionRecord], SessionRecord]], repr=False
    )
    skip_known: bool = False
    held: Lease | None = None
