"""What a load did, as it is compared with what a backend shows: sessions, their turns, what each said and cost."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Account", "SessionAccount", "TurnAccount"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnAccount:
    """One send.

    Attributes:
        said: Its input; of a tool's result, its text.
        answered: The answer, as far as it was heard; None when there was none.
        failure: The class of the error that the caller got, or "abandoned"; None when all went well.
        input_tokens: Tokens that the provider's server told over the wire.
        output_tokens: Tokens that the provider's server told over the wire.
        chats: Requests for an answer that reached a provider's server.
        tools: Tools that were run.
        mended: Spans that failed although the turn went well: a call that was repeated, a tool, a hook.
        answers_tools: Whether the input is results of tools.
    """

    said: str
    answered: str | None
    failure: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    chats: int = 1
    tools: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    answers_tools: bool = False


@dataclass(slots=True, kw_only=True)
class SessionAccount:
    """One session.

    Attributes:
        session_id: Its id.
        turns: Its sends, oldest first.
        transitions: What else was done with it, none of which is a turn.
        metered_tokens: `total_tokens` of the session's own metrics at the end, None where they were not asked.
    """

    session_id: str
    turns: list[TurnAccount] = field(default_factory=list[TurnAccount])
    transitions: list[str] = field(default_factory=list[str])
    metered_tokens: int | None = None

    @property
    def tokens(self) -> tuple[int, int]:
        """Input and output tokens of all turns."""
        return sum(turn.input_tokens for turn in self.turns), sum(turn.output_tokens for turn in self.turns)


@dataclass(slots=True)
class Account:
    """What a load did, session by session."""

    sessions: dict[str, SessionAccount] = field(default_factory=dict[str, SessionAccount])

    def session(self, session_id: str) -> SessionAccount:
        """Return a session's account; it is opened when there is none."""
        return self.sessions.setdefault(session_id, SessionAccount(session_id=session_id))

    @property
    def spoken(self) -> dict[str, SessionAccount]:
        """The sessions in which anything was said."""
        return {name: session for name, session in self.sessions.items() if session.turns}

    def as_json(self) -> str:
        """Return it as JSON text."""
        return json.dumps({name: asdict(session) for name, session in self.sessions.items()})

    @classmethod
    def from_json(cls, text: str) -> Account:
        """Read what `as_json` wrote."""
        return cls({name: _session(told) for name, told in json.loads(text).items()})


def _session(told: dict[str, Any]) -> SessionAccount:
    turns = [_turn(turn) for turn in told.pop("turns")]
    return SessionAccount(turns=turns, **told)


def _turn(told: dict[str, Any]) -> TurnAccount:
    return TurnAccount(tools=tuple(told.pop("tools")), mended=tuple(told.pop("mended")), **told)
