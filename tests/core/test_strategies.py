"""Strategies: what is asked of the storage and what is sent, as data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.config import SessionConfig, Strategy
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces import ProviderProfile
from langswarm_sessions.messages import FilePart, ImagePart, Role, SessionMessage, TextPart, ToolCall
from langswarm_sessions.records import HistoryQuery, NativeKind, NativeState, SessionRecord
from langswarm_sessions.strategies import (
    ClientStrategy,
    DelegatedStrategy,
    Mode,
    NativeStrategy,
    TurnStrategy,
    choose_strategy,
)

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
NATIVE = NativeState(provider="p", kind=NativeKind.NODE, id="n1", cursor=4, turn_id="t2")
HISTORY = [
    SessionMessage(role=Role.USER, content="one", seq=1),
    SessionMessage(role=Role.ASSISTANT, content="two", seq=2),
]
INPUT = [SessionMessage(role=Role.USER, content="new", seq=3)]


def record(native: NativeState | None = None, *, next_seq: int = 6, cleared: int = 0) -> SessionRecord:
    return SessionRecord(
        session_id="s",
        user_id="u",
        provider="p",
        model="m",
        strategy=Strategy.HYBRID,
        created_at=MOMENT,
        last_activity=MOMENT,
        native=native,
        next_seq=next_seq,
        cleared_seq=cleared,
    )


def profile(
    native: NativeKind = NativeKind.NODE, *, client: bool = True, owns_history: bool = False
) -> ProviderProfile:
    return ProviderProfile(
        native=native, client=client, config_keys=frozenset(), otel_name="p", owns_history=owns_history
    )


# Choosing


@pytest.mark.parametrize(
    ("strategy", "native", "owns", "expected"),
    [
        (Strategy.NATIVE, NativeKind.NODE, False, NativeStrategy),
        (Strategy.HYBRID, NativeKind.NODE, False, NativeStrategy),
        (Strategy.HYBRID, NativeKind.LOG, False, NativeStrategy),
        (Strategy.CLIENT, NativeKind.NODE, False, ClientStrategy),
        (Strategy.CLIENT, NativeKind.NONE, False, ClientStrategy),
        (Strategy.HYBRID, NativeKind.NONE, False, ClientStrategy),
        (Strategy.HYBRID, NativeKind.NONE, True, DelegatedStrategy),
        (Strategy.NATIVE, NativeKind.NONE, True, DelegatedStrategy),
    ],
)
def test_the_planner_follows_from_strategy_and_provider(
    strategy: Strategy, native: NativeKind, owns: bool, expected: type[TurnStrategy]
) -> None:
    chosen = choose_strategy(strategy, provider="p", profile=profile(native, owns_history=owns))
    assert type(chosen) is expected


def test_what_a_provider_cannot_do_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        ConfigurationError, match="'native' needs a provider that keeps conversations; p does not"
    ) as no:
        choose_strategy(Strategy.NATIVE, provider="p", profile=profile(NativeKind.NONE))
    assert no.value.provider == "p"
    with pytest.raises(ConfigurationError, match="no 'history' parameter"):
        choose_strategy(Strategy.CLIENT, provider="p", profile=profile(NativeKind.NONE, owns_history=True))


# Native


def test_without_a_state_the_window_is_sent_and_kept() -> None:
    planner = NativeStrategy("p")
    assert planner.needs(record()) == HistoryQuery(max_tokens=100_000)
    plan = planner.plan(record(), HISTORY, INPUT)
    assert (plan.mode, plan.native, plan.keep_native) == (Mode.NATIVE, None, True)
    assert [message.content for message in plan.messages] == ["one", "two", "new"]


def test_a_new_or_cleared_session_needs_no_history() -> None:
    assert NativeStrategy("p").needs(record(next_seq=1)) is None
    assert NativeStrategy("p").needs(record(next_seq=9, cleared=8)) is None
    assert NativeStrategy("p").needs(record(next_seq=10, cleared=8)) is not None


def test_with_a_state_only_what_came_after_the_cursor_is_asked_for() -> None:
    planner = NativeStrategy("p")
    assert planner.needs(record(NATIVE, next_seq=5)) is None
    asked = planner.needs(record(NATIVE, next_seq=6))
    assert asked == HistoryQuery(after_seq=4, not_turn="t2", with_system=False)


def test_with_a_state_only_the_delta_is_sent() -> None:
    added = SessionMessage(role=Role.SYSTEM, content="added", seq=5)
    plan = NativeStrategy("p").plan(record(NATIVE), [added], INPUT)
    assert (plan.native, plan.keep_native, plan.dropped) == (NATIVE, True, 0)
    assert [message.content for message in plan.messages] == ["added", "new"]
    assert "added" not in repr(plan)


def test_open_calls_of_the_state_are_answered() -> None:
    waiting = replace(NATIVE, open_calls=("c1",))
    plan = NativeStrategy("p").plan(record(waiting), [], INPUT)
    assert [message.role for message in plan.messages] == [Role.TOOL, Role.USER]
    assert plan.messages[0].tool_results[0].tool_call_id == "c1"


def test_another_providers_state_is_not_used() -> None:
    plan = NativeStrategy("q").plan(record(NATIVE), HISTORY, INPUT)
    assert plan.native is None
    assert len(plan.messages) == 3


@pytest.mark.parametrize(
    ("kind", "suspect", "used"),
    [
        (NativeKind.NODE, False, True),
        (NativeKind.NODE, True, True),
        (NativeKind.LOG, False, True),
        (NativeKind.LOG, True, False),
        (NativeKind.EPHEMERAL, True, False),
    ],
)
def test_a_suspect_log_is_rebuilt_and_a_node_is_still_the_node(kind: NativeKind, suspect: bool, used: bool) -> None:
    native = replace(NATIVE, kind=kind, suspect=suspect)
    planner = NativeStrategy("p")
    plan = planner.plan(record(native), HISTORY, INPUT)
    assert (plan.native is native) is used
    asked = planner.needs(record(native))
    assert asked is not None
    assert (asked.after_seq == 4) is used


def test_a_rebuild_sends_the_window_whatever_the_state() -> None:
    planner = NativeStrategy("p")
    plan = planner.rebuild(record(NATIVE), HISTORY, INPUT)
    assert (plan.native, plan.keep_native, len(plan.messages)) == (None, True, 3)
    assert planner.needs_for_rebuild(record(NATIVE)) == HistoryQuery(max_tokens=100_000)


# Client


def test_a_client_asks_for_what_its_window_holds() -> None:
    bounded = replace(record(NATIVE), config=SessionConfig(max_messages=3, max_tokens_window=50))
    assert ClientStrategy().needs(bounded) == HistoryQuery(max_messages=3, max_tokens=50)
    plan = ClientStrategy().plan(bounded, [replace(message) for message in HISTORY * 3], INPUT)
    assert (plan.mode, plan.native, plan.keep_native) == (Mode.CLIENT, None, False)
    assert [message.content for message in plan.messages] == ["one", "two", "new"]
    assert plan.dropped == 4


def test_a_rebuild_can_be_trimmed_harder() -> None:
    for planner in (ClientStrategy(), NativeStrategy("p")):
        plan = planner.rebuild(record(), HISTORY, INPUT, max_tokens=1)
        assert [message.content for message in plan.messages] == ["new"]
        assert plan.dropped == 2


def test_a_dangling_call_is_repaired_in_what_is_sent_only() -> None:
    broken = [
        SessionMessage(role=Role.USER, content="q"),
        SessionMessage(role=Role.ASSISTANT, tool_calls=[ToolCall(id="c", name="f")]),
    ]
    plan = ClientStrategy().plan(record(), broken, INPUT)
    assert [message.role for message in plan.messages] == [Role.USER, Role.ASSISTANT, Role.TOOL, Role.USER]
    assert len(broken) == 2


# Delegated


def test_a_provider_with_its_own_history_gets_the_new_input_only() -> None:
    planner = DelegatedStrategy()
    assert planner.needs(record(NATIVE)) is None
    assert planner.needs_for_rebuild(record()) == HistoryQuery(max_messages=1, with_system=False)
    for plan in (planner.plan(record(NATIVE), HISTORY, INPUT), planner.rebuild(record(NATIVE), HISTORY, INPUT)):
        assert plan.messages == tuple(INPUT)
        assert (plan.native, plan.keep_native) == (None, False)


@given(
    st.sampled_from(Strategy),
    st.sampled_from(NativeKind),
    st.booleans(),
    st.none() | st.builds(replace, st.just(NATIVE), suspect=st.booleans(), kind=st.sampled_from(NativeKind)),
)
def test_a_conversation_has_exactly_one_owner(
    strategy: Strategy, kind: NativeKind, owns: bool, native: NativeState | None
) -> None:
    try:
        planner = choose_strategy(strategy, provider="p", profile=profile(kind, owns_history=owns))
    except ConfigurationError:
        return
    row = record(native, next_seq=3 if native is None else 6)
    asked = planner.needs(row)
    given_history = [] if asked is None or asked.after_seq else HISTORY
    plan = planner.plan(row, given_history, INPUT)
    owners = {
        "provider object": isinstance(planner, DelegatedStrategy),
        "native state": plan.native is not None,
        "window": len(plan.messages) == 3,
    }
    assert sum(owners.values()) == 1, owners
    if plan.native is not None or isinstance(planner, DelegatedStrategy):
        assert plan.messages == tuple(INPUT)


def test_in_place_of_a_medium_that_is_not_taken_a_text_says_that_it_was_there() -> None:
    shown = SessionMessage(role=Role.USER, parts=[TextPart("look "), ImagePart(url="u"), FilePart(file_id="f")], seq=1)
    new = [SessionMessage(role=Role.USER, parts=[ImagePart(url="new")])]
    for planner in (
        ClientStrategy(frozenset({"text", "file"})),
        NativeStrategy("p", takes=frozenset({"text", "file"})),
    ):
        told, *rest = planner.plan(record(), [shown], new).messages
        assert [part.type for part in told.parts] == ["text", "text", "file"]
        assert told.content == "look \n[An image was here that this model cannot be given.]"
        assert rest == new, "what is new is for the provider to refuse"
    assert [part.type for part in shown.parts] == ["text", "image", "file"], "the transcript is as it was"
    assert ClientStrategy().plan(record(), [shown], new).messages[0] is shown
