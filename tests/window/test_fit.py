"""The window as a whole: steady, whole, and the same whoever asks. Properties over random legal transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.messages import ReasoningPart, Role, SessionMessage, TextPart, ToolCall, ToolResult
from langswarm_sessions.window import fit, repair
from langswarm_sessions.window.fitting import low_mark

History = list[SessionMessage]


@st.composite
def transcripts(draw: st.DrawFn, most_turns: int = 40) -> History:
    """Stored turns: a question, maybe reasoning and rounds of tool calls, an answer; system messages in between."""
    history: History = []

    def say(role: Role, turn: str | None, *parts: object, tokens: int | None = None) -> None:
        cost = draw(st.integers(1, 40)) if tokens is None else tokens
        history.append(
            SessionMessage(role=role, parts=list(parts), turn_id=turn, seq=len(history) + 1, tokens=cost)  # type: ignore[arg-type]
        )

    for number in range(draw(st.integers(1, most_turns))):
        turn = str(number)
        if draw(st.integers(0, 9)) == 0:
            say(Role.SYSTEM, None, TextPart("s"), tokens=2)
        say(Role.USER, turn, TextPart("q"))
        for step in range(draw(st.integers(0, 1))):
            ids = [f"{turn}-{step}-{index}" for index in range(draw(st.integers(1, 2)))]
            say(Role.ASSISTANT, turn, ReasoningPart(text="r"), *(ToolCall(id=one, name="f") for one in ids))
            for one in ids:
                say(Role.TOOL, turn, ToolResult(tool_call_id=one, content="r"))
        say(Role.ASSISTANT, turn, ReasoningPart(text="r"), TextPart("a"))
    return history


bounds = st.integers(1, 400)


def kept(messages: Sequence[SessionMessage]) -> list[int]:
    return [message.seq or 0 for message in messages if message.role is not Role.SYSTEM]


def turns_of(messages: Sequence[SessionMessage]) -> list[tuple[str | None, int]]:
    spoken = [message for message in messages if message.role is not Role.SYSTEM]
    return [(turn, len(list(group))) for turn, group in groupby(spoken, key=lambda message: message.turn_id)]


@given(transcripts(), bounds, st.booleans())
def test_turns_calls_and_reasoning_are_never_parted_and_system_messages_stay(
    history: History, tokens: int, at_once: bool
) -> None:
    window = fit(history, max_tokens=tokens, at_once=at_once).messages
    whole = dict(turns_of(history))
    assert all(whole[turn] == count for turn, count in turns_of(window)), "a turn is in it as a whole or not at all"
    assert repair(window) == window, "every call has its result"
    assert [m for m in window if m.role is Role.SYSTEM] == [m for m in history if m.role is Role.SYSTEM]
    assert kept(window)[-1] == kept(history)[-1]


@given(transcripts(), bounds, bounds)
def test_more_room_never_means_less_window(history: History, one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert set(kept(fit(history, max_tokens=small).messages)) <= set(kept(fit(history, max_tokens=large).messages))
    assert set(kept(fit(history, max_messages=small).messages)) <= set(kept(fit(history, max_messages=large).messages))


@given(transcripts(), bounds, bounds, st.booleans())
def test_what_fits_fits(history: History, tokens: int, most: int, at_once: bool) -> None:
    window = fit(history, max_tokens=tokens, max_messages=most, at_once=at_once)
    again = fit(window.messages, max_tokens=tokens, max_messages=most)
    assert again.messages == window.messages
    assert again.left_out == ()
    assert sorted(kept(window.messages) + kept(window.left_out)) == kept(history)


@given(transcripts(), bounds)
def test_the_cut_never_moves_back_and_the_beginning_stays_until_it_moves(history: History, tokens: int) -> None:
    ends = [at for at, message in enumerate(history, start=1) if message.role is Role.USER]
    windows = [fit(history[:end], max_tokens=tokens).messages for end in ends]
    cuts = [kept(window)[0] for window in windows]
    assert cuts == sorted(cuts)
    for before, after in pairwise(windows):
        if kept(before)[0] == kept(after)[0]:
            assert after[: len(before)] == before


@given(transcripts(), bounds)
def test_it_is_the_same_window_whether_all_or_only_enough_of_the_transcript_was_read(
    history: History, tokens: int
) -> None:
    new = SessionMessage(role=Role.USER, content="q", turn_id="new", seq=len(history) + 1, tokens=5)
    newest, cost = 0, 0
    while newest < len(history) and cost < tokens:  # as a storage reads: newest first, until the bound is met
        newest += 1
        cost += (history[-newest].tokens or 0) * (history[-newest].role is not Role.SYSTEM)
    older = [message for message in history[: len(history) - newest] if message.role is Role.SYSTEM]
    read = [*older, *history[len(history) - newest :], new]
    assert kept(fit(read, max_tokens=tokens).messages) == kept(fit([*history, new], max_tokens=tokens).messages)


def question(seq: int, tokens: int = 10) -> History:
    return [
        SessionMessage(role=Role.USER, content="q", seq=seq, turn_id=str(seq), tokens=tokens),
        SessionMessage(role=Role.ASSISTANT, content="a", seq=seq + 1, turn_id=str(seq), tokens=tokens),
    ]


def cuts_of(turns: int, *, tokens: int) -> list[int]:
    history = [message for number in range(turns) for message in question(2 * number + 1)]
    ends = range(1, len(history), 2)
    return [kept(fit(history[:end], max_tokens=tokens).messages)[0] for end in ends]


def test_a_full_window_moves_in_steps() -> None:
    moves = sum(before != after for before, after in pairwise(cuts_of(400, tokens=2_000)))
    assert moves <= 400 / 15, "a window of a hundred turns moves by some thirty turns or half of them at a time"


def test_where_somebody_remembers_the_cut_it_goes_all_the_way() -> None:
    history = [message for number in range(100) for message in question(2 * number + 1)][:-1]
    low, high = low_mark(1_000) or 0, 1_000
    assert low - 20 < fit(history, max_tokens=high, at_once=True).tokens <= low
    assert low < fit(history, max_tokens=high).tokens <= high


def test_a_front_that_was_not_read_whole_does_not_count_as_full() -> None:
    half = [SessionMessage(role=Role.ASSISTANT, content="a", seq=6, turn_id="5", tokens=10)]
    whole = [message for number in range(4) for message in question(2 * number + 7)]
    assert kept(fit([*half, *whole], max_tokens=1_000).messages) == kept(whole)
