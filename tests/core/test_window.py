"""The window: whole turns, tool pairs, bounds; and repair of what is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.messages import MessageKind, Role, SessionMessage, TextPart, ToolCall, ToolResult
from langswarm_sessions.window import INTERRUPTED_RESULT, LATE_RESULTS, Window, estimate_tokens, fit, repair
from langswarm_sessions.window.fitting import low_mark


def said(role: Role, text: str = "x", *, turn: str | None = None) -> SessionMessage:
    return SessionMessage(role=role, content=text, turn_id=turn)


def calling(*ids: str) -> SessionMessage:
    return SessionMessage(role=Role.ASSISTANT, tool_calls=[ToolCall(id=one, name="f") for one in ids])


def result(*ids: str) -> SessionMessage:
    return SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id=one, content="r") for one in ids])


@st.composite
def legal_histories(draw: st.DrawFn) -> list[SessionMessage]:
    """Whole turns: a user message, maybe rounds of tool calls with their results, an answer; system in between."""
    history: list[SessionMessage] = []
    for turn in range(draw(st.integers(1, 6))):
        if draw(st.booleans()):
            history.append(said(Role.SYSTEM))
        history += [said(Role.USER, draw(st.text("ab", max_size=30))) for _ in range(draw(st.integers(1, 2)))]
        for step in range(draw(st.integers(0, 2))):
            ids = [f"{turn}-{step}-{n}" for n in range(draw(st.integers(1, 3)))]
            history.append(calling(*ids))
            history += [result(one) for one in ids]
        history.append(said(Role.ASSISTANT, draw(st.text("ab", max_size=30))))
    return history


def in_turn(message: SessionMessage, turn: str | None) -> SessionMessage:
    return replace(message, turn_id=turn)


broken_messages = st.one_of(
    st.builds(said, st.sampled_from([Role.USER, Role.ASSISTANT, Role.SYSTEM])),
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True).map(lambda ids: calling(*ids)),
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=3).map(lambda ids: result(*ids)),
    st.builds(lambda: SessionMessage(role=Role.SYSTEM, content="i", kind=MessageKind.INSTRUCTIONS)),
)
broken_histories = st.lists(broken_messages, max_size=12)
resent_histories = st.lists(st.builds(in_turn, broken_messages, st.none() | st.sampled_from("wxyz")), max_size=12)
bounds = st.none() | st.integers(1, 60)


def spoken(messages: Sequence[SessionMessage]) -> list[SessionMessage]:
    return [message for message in messages if message.role is not Role.SYSTEM]


def newest_turn(messages: Sequence[SessionMessage]) -> list[SessionMessage]:
    talk = spoken(messages)
    after = len(list(takewhile(lambda message: message.role is not Role.USER, reversed(talk))))
    users = len(list(takewhile(lambda message: message.role is Role.USER, talk[: len(talk) - after][::-1])))
    return talk[len(talk) - after - users :]


# fit


@given(legal_histories(), bounds, bounds)
def test_a_window_is_the_newest_whole_turns_within_both_bounds(
    history: list[SessionMessage], most: int | None, tokens: int | None
) -> None:
    window = fit(history, max_messages=most, max_tokens=tokens)
    kept, all_said = spoken(window.messages), spoken(history)
    assert [id(one) for one in kept] == [id(one) for one in all_said[len(all_said) - len(kept) :]]
    assert kept[0].role is Role.USER
    assert len(kept) == len(all_said) or all_said[len(all_said) - len(kept) - 1].role is not Role.USER
    assert Counter(map(id, window.messages)) & Counter(map(id, history)) == Counter(map(id, window.messages))
    assert [m for m in history if m.role is Role.SYSTEM] == [m for m in window.messages if m.role is Role.SYSTEM]
    newest = newest_turn(history)
    assert [id(one) for one in kept[len(kept) - len(newest) :]] == [id(one) for one in newest]
    if len(kept) > len(newest):
        assert most is None or len(kept) <= most
        assert tokens is None or window.tokens <= tokens
    assert window.tokens == sum(map(estimate_tokens, window.messages))
    assert window.dropped == len(history) - len(window.messages)


@given(legal_histories(), bounds, bounds)
def test_a_full_window_is_cut_to_no_less_than_seven_tenths(
    history: list[SessionMessage], most: int | None, tokens: int | None
) -> None:
    window = fit(history, max_messages=most, max_tokens=tokens)
    left = spoken(history)[: len(spoken(history)) - len(spoken(window.messages))]
    if left:
        next_turn = newest_turn(left)
        count = len(spoken(window.messages)) + len(next_turn)
        cost = window.tokens + sum(map(estimate_tokens, next_turn))
        assert (most is not None and count > (low_mark(most) or 0)) or (
            tokens is not None and cost > (low_mark(tokens) or 0)
        )


@given(legal_histories(), bounds, bounds)
def test_a_window_never_parts_a_call_from_its_result(
    history: list[SessionMessage], most: int | None, tokens: int | None
) -> None:
    window = fit(history, max_messages=most, max_tokens=tokens).messages
    assert repair(window) == window


def test_a_bound_is_met_exactly() -> None:
    history = [said(Role.SYSTEM), *[said(role) for _ in range(3) for role in (Role.USER, Role.ASSISTANT)]]
    assert {estimate_tokens(message) for message in history} == {4}
    assert [fit(history, max_tokens=tokens).tokens for tokens in (12, 19, 20, 27, 28)] == [12, 12, 20, 20, 28]
    assert [len(spoken(fit(history, max_messages=most).messages)) for most in (1, 3, 4, 5, 6)] == [2, 2, 4, 4, 6]


def test_half_a_turn_at_the_front_is_left_out() -> None:
    cut = [said(Role.ASSISTANT, turn="t1"), said(Role.USER, turn="t2"), said(Role.ASSISTANT, turn="t2")]
    assert spoken(fit([*cut, said(Role.USER)]).messages)[0].role is Role.USER
    assert fit([*cut, said(Role.USER)]).dropped == 1


def test_a_greeting_is_a_turn_and_the_newest_half_stays() -> None:
    greeting = [said(Role.ASSISTANT, "welcome"), said(Role.USER)]
    assert fit(greeting).messages == tuple(greeting)
    half = [SessionMessage(role=Role.ASSISTANT, turn_id="t", tool_calls=[ToolCall(id="a", name="f")]), result("a")]
    assert fit(half, max_messages=1, max_tokens=1).messages == tuple(half)


def test_nothing_fits_into_nothing() -> None:
    assert fit([]) == Window(messages=())
    system = [said(Role.SYSTEM)]
    assert fit(system, max_messages=1, max_tokens=1).messages == tuple(system)


def test_tokens_are_the_stored_figure_or_a_quarter_of_the_characters() -> None:
    assert estimate_tokens(SessionMessage(role=Role.USER, content="x" * 400, tokens=7)) == 7
    assert estimate_tokens(SessionMessage(role=Role.USER, content="x" * 400)) == 104
    call = SessionMessage(role=Role.ASSISTANT, tool_calls=[ToolCall(id="1", name="f" * 38)])
    assert estimate_tokens(call) == 14
    assert estimate_tokens(SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="1", content="x" * 40)])) == 14


# repair


def well_formed(messages: Sequence[SessionMessage], open_calls: Sequence[str]) -> bool:
    """Every call, and nothing else, is answered, at once and in the order of the calls."""
    due = list(open_calls)
    for message in messages:
        if message.role is Role.TOOL and message.tool_results:
            if [one.tool_call_id for one in message.tool_results] != due[:1]:
                return False
            del due[0]
        else:
            if due:
                return False
            due = [call.id for call in message.tool_calls]
    return not due


@given(broken_histories | resent_histories, st.lists(st.sampled_from("abcd"), max_size=3, unique=True))
def test_a_repaired_history_is_well_formed_and_stays(history: list[SessionMessage], waiting: list[str]) -> None:
    repaired = repair(history, open_calls=waiting)
    assert well_formed(repaired, waiting)
    assert repair(repaired, open_calls=waiting) == repaired


@given(broken_histories)
def test_what_is_no_result_is_kept_in_order_but_instructions(history: list[SessionMessage]) -> None:
    def others(messages: Sequence[SessionMessage]) -> list[int]:
        kept = [one for one in messages if not one.tool_results and one.kind is not MessageKind.INSTRUCTIONS]
        return [id(one) for one in kept if one.content != LATE_RESULTS]

    repaired = repair(history)
    assert others(repaired) == others(history)
    assert all(message.kind is not MessageKind.INSTRUCTIONS for message in repaired)


@given(broken_histories)
def test_real_results_are_used_and_never_changed(history: list[SessionMessage]) -> None:
    before = [(message.content, list(message.parts)) for message in history]
    repaired = repair(history)
    assert [(message.content, list(message.parts)) for message in history] == before
    real = [one for message in history for one in message.tool_results]
    for message in repaired:
        for one in message.tool_results:
            assert any(one is given for given in real) or (one.content == INTERRUPTED_RESULT and one.is_error)


@given(legal_histories())
def test_a_legal_history_is_left_alone(history: list[SessionMessage]) -> None:
    repaired = repair(history)
    assert [id(one) for one in repaired] == [id(one) for one in history]


def results_of(messages: Sequence[SessionMessage]) -> list[tuple[str, str]]:
    return [(one.tool_call_id, one.content) for message in messages for one in message.tool_results]


def test_a_dangling_call_is_answered_right_after_it() -> None:
    repaired = repair([said(Role.USER), calling("a", "b"), result("b"), said(Role.USER)])
    assert [message.role for message in repaired] == [Role.USER, Role.ASSISTANT, Role.TOOL, Role.TOOL, Role.USER]
    assert results_of(repaired) == [("a", INTERRUPTED_RESULT), ("b", "r")]


def test_parallel_results_come_in_the_order_of_their_calls() -> None:
    assert results_of(repair([calling("a", "b", "c"), result("c"), result("a"), result("b")])) == [
        ("a", "r"),
        ("b", "r"),
        ("c", "r"),
    ]


def test_a_late_result_goes_to_its_call_and_an_early_one_is_none() -> None:
    late = repair([calling("a"), said(Role.USER), result("a")])
    assert [message.role for message in late] == [Role.ASSISTANT, Role.TOOL, Role.USER]
    assert results_of(repair([result("a"), calling("a")])) == [("a", INTERRUPTED_RESULT)]


def test_results_that_come_after_another_answer_are_announced() -> None:
    """The call's place is before that answer: without a word of the user the model would go on from its own."""
    sent = repair([calling("a"), said(Role.USER), said(Role.ASSISTANT, "half"), result("a")])
    assert [message.role for message in sent] == [Role.ASSISTANT, Role.TOOL, Role.USER, Role.ASSISTANT, Role.USER]
    assert sent[-1].content == LATE_RESULTS
    assert repair(sent) == sent
    assert repair([calling("a"), said(Role.ASSISTANT, "half")])[-1].role is Role.ASSISTANT


def test_ids_that_come_again_are_told_apart() -> None:
    first, second = result("call_0"), result("call_0")
    repaired = repair([calling("call_0"), first, calling("call_0"), second, calling("call_0")])
    assert repaired[1] is first
    assert repaired[3] is second
    assert results_of(repaired)[2] == ("call_0", INTERRUPTED_RESULT)


def test_a_second_result_and_an_orphan_within_one_message_are_left_out() -> None:
    assert results_of(repair([calling("a"), result("a"), result("a")])) == [("a", "r")]
    assert results_of(repair([calling("a"), result("x", "a", "y")])) == [("a", "r")]


def test_results_that_were_sent_again_replace_the_turn_they_were_first_sent_in() -> None:
    question, asked = said(Role.USER, turn="t0"), in_turn(calling("a"), "t0")
    first = [in_turn(result("a"), "t1"), said(Role.ASSISTANT, "half", turn="t1"), in_turn(calling("b"), "t1")]
    again = [in_turn(result("a"), "t2"), said(Role.ASSISTANT, "whole", turn="t2")]
    repaired = repair([question, asked, *first, in_turn(result("b"), "t3"), *again])
    assert [id(one) for one in repaired] == [id(one) for one in (question, asked, *again)]


def test_calls_the_provider_waits_for_are_answered_first() -> None:
    repaired = repair([said(Role.USER), result("b")], open_calls=("a", "b"))
    assert results_of(repaired) == [("a", INTERRUPTED_RESULT), ("b", "r")]
    assert repaired[-1].role is Role.USER


def test_a_tool_message_without_a_result_is_kept() -> None:
    message = SessionMessage(role=Role.TOOL, parts=[TextPart("x")])
    assert repair([message]) == (message,)
