"""The strategies: native, client, hybrid, and a provider that remembers by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from langswarm_sessions.config import Strategy
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.provider import EVERY_MEDIUM, ProviderProfile
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.records import HistoryQuery, NativeKind, NativeState, SessionRecord, SessionSummary
from langswarm_sessions.strategies.crossing import carried
from langswarm_sessions.strategies.plan import Mode, TurnPlan, TurnStrategy
from langswarm_sessions.strategies.summing import after_summary
from langswarm_sessions.window import WindowRoom, fit, repair

__all__ = ["ClientStrategy", "DelegatedStrategy", "NativeStrategy", "choose_strategy"]

_UNKNOWN_ROOM = WindowRoom()
_SUMMARY_SHARE = 4


@dataclass(frozen=True, slots=True)
class ClientStrategy:
    """Replay: the window is sent with every request.

    Args:
        takes: Types of content parts the provider takes.
        keep_native: Whether the provider is to keep the conversation.
        room: How large the window may be, unless the session says so.
    """

    takes: frozenset[str] = EVERY_MEDIUM
    keep_native: bool = False
    room: WindowRoom = _UNKNOWN_ROOM

    def needs(self, record: SessionRecord) -> HistoryQuery | None:
        """Ask for as much as the window may hold."""
        return self.needs_for_rebuild(record)

    def needs_for_rebuild(self, record: SessionRecord) -> HistoryQuery:
        """Ask for as much as the window may hold."""
        return HistoryQuery(max_messages=record.config.max_messages, max_tokens=self.room.tokens(record.config))

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
        summary: SessionSummary | None = None,
        at_once: bool = False,
    ) -> TurnPlan:
        """Send the window, smaller when asked, and the summary in front of it."""
        budget = self.room.tokens(record.config) if max_tokens is None else max_tokens
        told = after_summary(carried(history, self.takes), summary, at_most=budget // _SUMMARY_SHARE)
        window = fit(
            [*self._worth_sending(told), *inputs],
            max_messages=record.config.max_messages,
            max_tokens=budget,
            at_once=at_once,
        )
        return TurnPlan(
            mode=Mode.NATIVE if self.keep_native else Mode.CLIENT,
            messages=repair(window.messages),
            keep_native=self.keep_native,
            left_out=(*self._passed_over(told), *window.left_out),
            summary=summary,
            budget=budget,
            budget_source=self.room.source(record.config),
            reason="the provider is given the window and keeps it"
            if self.keep_native
            else "the provider keeps nothing: the window is sent",
        )

    def with_room(self, room: WindowRoom) -> Self:
        """Return the same planner for a window of another size."""
        return replace(self, room=room)

    def _worth_sending(self, told: Sequence[SessionMessage]) -> Iterator[SessionMessage]:
        return (message for message in told if not self._is_passed_over(message))

    def _passed_over(self, told: Sequence[SessionMessage]) -> Iterator[SessionMessage]:
        return filter(self._is_passed_over, told)

    def _is_passed_over(self, message: SessionMessage) -> bool:
        return message.role is not Role.SYSTEM and 0 < (message.seq or 0) <= self.room.begins_after


@dataclass(frozen=True, slots=True)
class NativeStrategy:
    """Continue from the provider's own state: only what it has not seen is sent.

    Args:
        provider: Whose state.
        kind: The kind of state it keeps now (None: whatever it is); one of another kind is not continued.
        takes: Types of content parts it takes.
        room: How large a window it is given at first, unless the session says so.
        forks: Whether a log that may have grown unseen is continued in a copy without that.
    """

    provider: str
    kind: NativeKind | None = None
    takes: frozenset[str] = EVERY_MEDIUM
    room: WindowRoom = _UNKNOWN_ROOM
    forks: bool = False

    @property
    def _first_request(self) -> ClientStrategy:
        return ClientStrategy(self.takes, keep_native=True, room=self.room)

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
        summary: SessionSummary | None = None,
        at_once: bool = False,
    ) -> TurnPlan:
        """Send the window and let the provider keep it anew."""
        return self._first_request.rebuild(
            record, history, inputs, max_tokens=max_tokens, summary=summary, at_once=at_once
        )

    def with_room(self, room: WindowRoom) -> Self:
        """Return the same planner for a window of another size."""
        return replace(self, room=room)

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
        is_sure = not native.suspect or native.kind is NativeKind.NODE or self.forks
        return native if is_sure else None

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
        summary: SessionSummary | None = None,
        at_once: bool = False,
    ) -> TurnPlan:
        """Send the new input: there is nothing else this provider could take."""
        return self.plan(record, history, inputs)

    def with_room(self, room: WindowRoom) -> Self:
        """Return itself: it makes no window."""
        return self


def choose_strategy(
    strategy: Strategy, *, provider: str, profile: ProviderProfile, room: WindowRoom = _UNKNOWN_ROOM
) -> TurnStrategy:
    """Return the planner for a strategy and what a provider can do.

    Args:
        strategy: The session's strategy.
        provider: The provider's name.
        profile: What it can do.
        room: How large its windows may be, unless the session says so.

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
        return ClientStrategy(profile.for_window(keep_native=False).takes, room=room)
    return NativeStrategy(provider, profile.native, profile.takes, room, profile.forks)
