"""The strategies: native, client, hybrid, and a provider that remembers by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from langswarm_sessions.config import Strategy
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.provider import EVERY_MEDIUM, ProviderProfile
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import HistoryQuery, NativeKind, NativeState, SessionRecord
from langswarm_sessions.strategies.crossing import carried
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

    takes: frozenset[str] = EVERY_MEDIUM
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
            [*carried(history, self.takes), *inputs],
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


@dataclass(frozen=True, slots=True)
class NativeStrategy:
    """Continue from the provider's own state: only what it has not seen is sent.

    Args:
        provider: Whose state.
        kind: The kind of state it keeps now (None: whatever it is); one of another kind is not continued.
        takes: Types of content parts it takes.
    """

    provider: str
    kind: NativeKind | None = None
    takes: frozenset[str] = EVERY_MEDIUM

    @property
    def _first_request(self) -> ClientStrategy:
        return ClientStrategy(self.takes, keep_native=True)

    def needs(self, record: SessionRecord) -> HistoryQuery | None:
        """Ask for what was said since the cursor; without a state to continue from, for the window."""
        native = self._usable(record)
        if native is None:
            return self._first_request.needs(record) if record.next_seq > record.cleared_seq + 1 else None
        if record.next_seq == native.cursor + 1:
            return None
        return HistoryQuery(after_seq=native.cursor, not_turn=native.turn_id, with_system=False)

    def needs_for_rebuild(self, record: SessionRecord) -> HistoryQuery:
        """Ask for the window."""
        return self._first_request.needs_for_rebuild(record)

    def plan(
        self, record: SessionRecord, history: Sequence[SessionMessage], inputs: Sequence[SessionMessage]
    ) -> TurnPlan:
        """Send what the provider has not seen."""
        native = self._usable(record)
        if native is None:
            return self._anew(record, history, inputs)
        return TurnPlan(
            mode=Mode.NATIVE,
            messages=repair([*carried(history, self.takes), *inputs], open_calls=native.open_calls),
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
        return self._first_request.rebuild(record, history, inputs, max_tokens=max_tokens)

    def _anew(
        self, record: SessionRecord, history: Sequence[SessionMessage], inputs: Sequence[SessionMessage]
    ) -> TurnPlan:
        plan = self._first_request.plan(record, history, inputs)
        if not self._is_own(record.native):
            return plan
        return replace(
            plan,
            replaces=record.native,
            reason="what the provider kept may have grown unseen: it is given the window and keeps it anew",
        )

    def _usable(self, record: SessionRecord) -> NativeState | None:
        native = record.native
        if native is None or not self._is_own(native):
            return None
        # A suspect node is still the node it was; only a log may have grown behind our back.
        return None if native.suspect and native.kind is not NativeKind.NODE else native

    def _is_own(self, native: NativeState | None) -> bool:
        return native is not None and native.provider == self.provider and self.kind in (None, native.kind)


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
            "with provider_config={'store': False} or {'native': 'none'}). Use strategy='client' or 'hybrid'.",
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
        return ClientStrategy(profile.takes)
    return NativeStrategy(provider, profile.native, profile.takes)
