"""The strategies: native, client, hybrid, and a provider that remembers by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langswarm_sessions.config import Strategy
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import HistoryQuery, NativeKind, NativeState, SessionRecord
from langswarm_sessions.strategies.plan import Mode, TurnPlan, TurnStrategy
from langswarm_sessions.window import fit, repair

__all__ = ["ClientStrategy", "DelegatedStrategy", "NativeStrategy", "choose_strategy"]


DEFAULT_WINDOW_TOKENS = 100_000
"""Budget of a window when the session's configuration names none; current models take at least 128,000 tokens."""


def _budget(record: SessionRecord) -> int:
    return record.config.max_tokens_window or DEFAULT_WINDOW_TOKENS


@dataclass(frozen=True, slots=True)
class ClientStrategy:
    """Replay: the window is sent with every request."""

    keep_native: bool = False

    def needs(self, record: SessionRecord) -> HistoryQuery | None:
        """Ask for as much as the window may hold."""
        return self.needs_for_rebuild(record)

    def needs_for_rebuild(self, record: SessionRecord) -> HistoryQuery:
        """Ask for as much as the window may hold."""
        return HistoryQuery(max_messages=record.config.max_messages, max_tokens=_budget(record))

    def plan(
        self, record: SessionRecord, history: Sequence[SessionMessage], inputs: Sequence[SessionMessage]
    ) -> TurnPlan:
        """Send the window."""
        return self.rebuild(record, history, inputs)

    def rebuild(
        self,
        record: SessionRecord,
        history: Sequence[SessionMessage],
        inputs: Sequence[SessionMessage],
        *,
        max_tokens: int | None = None,
    ) -> TurnPlan:
        """Send the window, smaller when asked."""
        config = record.config
        window = fit(
            [*history, *inputs],
            max_messages=config.max_messages,
            max_tokens=_budget(record) if max_tokens is None else max_tokens,
        )
        return TurnPlan(
            mode=Mode.NATIVE if self.keep_native else Mode.CLIENT,
            messages=repair(window.messages),
            keep_native=self.keep_native,
            dropped=window.dropped,
            reason="the provider is given the window and keeps it"
            if self.keep_native
            else "the provider keeps nothing: the window is sent",
        )


_FIRST_REQUEST = ClientStrategy(keep_native=True)


@dataclass(frozen=True, slots=True)
class NativeStrategy:
    """Continue from the provider's own state: only what it has not seen is sent."""

    provider: str

    def needs(self, record: SessionRecord) -> HistoryQuery | None:
        """Ask for what was said since the cursor; without a state to continue from, for the window."""
        native = self._usable(record)
        if native is None:
            return _FIRST_REQUEST.needs(record) if record.next_seq > record.cleared_seq + 1 else None
        if record.next_seq == native.cursor + 1:
            return None
        return HistoryQuery(after_seq=native.cursor, not_turn=native.turn_id, with_system=False)

    def needs_for_rebuild(self, record: SessionRecord) -> HistoryQuery:
        """Ask for the window."""
        return _FIRST_REQUEST.needs_for_rebuild(record)

    def plan(
        self, record: SessionRecord, history: Sequence[SessionMessage], inputs: Sequence[SessionMessage]
    ) -> TurnPlan:
        """Send what the provider has not seen."""
        native = self._usable(record)
        if native is None:
            return _FIRST_REQUEST.plan(record, history, inputs)
        return TurnPlan(
            mode=Mode.NATIVE,
            messages=repair([*history, *inputs], open_calls=native.open_calls),
            native=native,
            keep_native=True,
            reason="the provider keeps the conversation: only what is new is sent",
        )

    def rebuild(
        self,
        record: SessionRecord,
        history: Sequence[SessionMessage],
        inputs: Sequence[SessionMessage],
        *,
        max_tokens: int | None = None,
    ) -> TurnPlan:
        """Send the window and let the provider keep it anew."""
        return _FIRST_REQUEST.rebuild(record, history, inputs, max_tokens=max_tokens)

    def _usable(self, record: SessionRecord) -> NativeState | None:
        native = record.native
        if native is None or native.provider != self.provider:
            return None
        # A suspect node is still the node it was; only a log may have grown behind our back.
        return None if native.suspect and native.kind is not NativeKind.NODE else native


@dataclass(frozen=True, slots=True)
class DelegatedStrategy:
    """The provider object owns its history: it is given the new input only."""

    def needs(self, record: SessionRecord) -> HistoryQuery | None:
        """Nothing of the transcript is needed."""
        return None

    def needs_for_rebuild(self, record: SessionRecord) -> HistoryQuery:
        """Nothing can be rebuilt: ask for as little as possible."""
        return HistoryQuery(max_messages=1, with_system=False)

    def plan(
        self, record: SessionRecord, history: Sequence[SessionMessage], inputs: Sequence[SessionMessage]
    ) -> TurnPlan:
        """Send the new input."""
        return TurnPlan(mode=Mode.NATIVE, messages=tuple(inputs), reason="the provider keeps its own history")

    def rebuild(
        self,
        record: SessionRecord,
        history: Sequence[SessionMessage],
        inputs: Sequence[SessionMessage],
        *,
        max_tokens: int | None = None,
    ) -> TurnPlan:
        """Send the new input: there is nothing else this provider could take."""
        return self.plan(record, history, inputs)


def choose_strategy(strategy: Strategy, *, provider: str, profile: ProviderProfile) -> TurnStrategy:
    """Return the planner for a strategy and what a provider can do.

    Args:
        strategy: The session's strategy.
        provider: The provider's name.
        profile: What it can do.

    Raises:
        ConfigurationError: The provider cannot do what the strategy needs.
    """
    native = profile.native is not NativeKind.NONE
    if strategy is Strategy.NATIVE and not native and not profile.owns_history:
        raise ConfigurationError(
            f"strategy 'native' needs a provider that keeps conversations; {provider} does not (none does "
            "with provider_config={'store': False}). Use strategy='client' or 'hybrid'.",
            provider=provider,
        )
    if profile.owns_history:
        if strategy is Strategy.CLIENT:
            raise ConfigurationError(
                f"strategy 'client' needs a provider that takes the history; {provider}'s send_message has no "
                "'history' parameter. Add one, or use strategy='hybrid'.",
                provider=provider,
            )
        return DelegatedStrategy()
    if strategy is Strategy.CLIENT or not native:
        return ClientStrategy()
    return NativeStrategy(provider)
