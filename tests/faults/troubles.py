"""What goes wrong: the rows of the matrix, and how each counterparty does it.

What a provider's server, the chat model and the mock do is told apart; a text in place of a deed says why there is no
such thing there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.parties import ChatModelParty, MockParty, ServerParty
from tests.faults.scene import Scene
from tests.faults.ways import Way
from tests.support.provider_server.faults import Fault

__all__ = ["Plan", "Trouble", "chat_fails", "chat_says", "mock_fails", "plan_of", "said", "served"]

Plan = Callable[[Scene], None]
"""Lets something go wrong with the next turn."""

Served = Callable[[Way], Fault | Plan | str]
"""What a way's server is to do, or why there is no such thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One row of the matrix.

    Args:
        name: As it stands in the table.
        served: What a provider's server does.
        chat: What the chat model does.
        mock: What the mock provider does.
        times: How many requests in a row it befalls.
        timeout: The client's patience in seconds; None waits.
        leaves: Whether it is the caller that goes, after the first word of the answer.
        trims: Whether the window is smaller from then on.
        only_for: The kinds of conversation that know such a thing, and what is said of the others.
    """

    name: str
    served: Served
    chat: Plan | str
    mock: Plan | str
    times: int = 1
    timeout: float | None = None
    leaves: bool = False
    trims: bool = False
    only_for: Mapping[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        return self.name


def plan_of(trouble: Trouble, way: Way) -> Plan | str:
    """Return how a trouble comes about for a way, or in words why it does not."""
    if way.keeps in trouble.only_for:
        return trouble.only_for[way.keeps]
    if way.provider == "mock":
        return trouble.mock
    if way.faults is None:
        return trouble.chat
    deed = trouble.served(way)
    if isinstance(deed, str) or callable(deed):
        return deed
    return served(deed, times=trouble.times)


def served(fault: Fault, *, times: int = 1) -> Plan:
    """Return the plan of a fault of the server's."""

    def plan(scene: Scene) -> None:
        assert isinstance(scene.party, ServerParty)
        scene.party.server.fault(fault, times=times, on=scene.way.operation)

    return plan


def said(table: Mapping[str, Mapping[str, Any]], *, otherwise: str = "") -> Served:
    """Return how servers say what a table has for them.

    Args:
        table: Status and fields of an error, by the way's or its provider's name.
        otherwise: Why there is no such thing where the table has nothing.
    """

    def say(way: Way) -> Fault | str:
        told = dict(table.get(way.name) or table.get(way.provider) or {})
        if not told:
            return otherwise
        faults: Any = way.faults
        made: Fault = faults.http_error(told.pop("status"), **told)
        return made

    return say


def chat_fails(error: Exception | None = None, *, after: int = 0, times: int = 1) -> Plan:
    """Return the plan of a chat model that raises an error, or just ends, after so many words."""

    def plan(scene: Scene) -> None:
        assert isinstance(scene.party, ChatModelParty)
        for _ in range(times):
            scene.party.strings.fail(error, after=after)

    return plan


def chat_says(reply: Any) -> Plan:
    """Return the plan of a chat model that says something."""

    def plan(scene: Scene) -> None:
        assert isinstance(scene.party, ChatModelParty)
        scene.party.strings.say(reply)

    return plan


def mock_fails(fault: str, **how: Any) -> Plan:
    """Return the plan of a fault of the mock's."""

    def plan(scene: Scene) -> None:
        assert isinstance(scene.party, MockParty)
        scene.party.live(scene.session).fail_next(fault, **how)

    return plan
