"""What is passed on of an answer: text is Unicode, counts are counts, calls can be told apart."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions import NativeStateLostError, ProviderUnavailableError, ToolCall
from langswarm_sessions.interfaces.provider import Completed, ProviderEvent, ProviderRequest, TextDelta
from langswarm_sessions.messages import OtherPart, TextPart
from langswarm_sessions.providers.usable import UsableEvents
from langswarm_sessions.records import NativeKind, NativeState, Usage

FIRST, SECOND, SMILE, LOST = "\ud83d", "\ude00", "\U0001f600", "\ufffd"


def passed_on(*events: ProviderEvent, native: NativeState | None = None) -> list[ProviderEvent]:
    usable = UsableEvents("x", ProviderRequest(messages=(), native=native))
    return [passed for event in events for passed in usable.take(event)]


def whole(*parts: Any, usage: Usage | None = None, model: Any = "m", **fields: Any) -> Completed:
    return Completed(parts=parts, model=model, usage=usage or Usage(), **fields)


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["plain ", "text"], "plain text"),
        ([f"a{FIRST}", f"{SECOND}b"], f"a{SMILE}b"),
        ([f"a{FIRST}{SECOND}b"], f"a{SMILE}b"),
        ([FIRST, FIRST, SECOND, "b"], f"{LOST}{SMILE}b"),
        ([f"a{FIRST}", "b"], f"a{LOST}b"),
        ([f"a{SECOND}", "b"], f"a{LOST}b"),
        (["a", FIRST], f"a{LOST}"),
    ],
)
def test_the_pieces_make_the_text_of_the_whole(pieces: list[str], text: str) -> None:
    *deltas, completed = passed_on(*map(TextDelta, pieces), whole(TextPart("".join(pieces))))
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == text
    assert isinstance(completed, Completed)
    assert completed.parts == (TextPart(text),)


def test_everything_that_is_kept_is_unicode() -> None:
    call = ToolCall(id=f"c{FIRST}", name="clock", arguments={f"a{FIRST}": [f"b{FIRST}", 1]})
    odd = {"provider": "x", "items": [{"text": (FIRST, None)}]}
    [completed] = passed_on(
        whole(call, OtherPart(data={"x": FIRST}), payload=odd, native_id=FIRST, native_memo={"m": FIRST})
    )
    assert isinstance(completed, Completed)
    assert completed.parts[0] == ToolCall(id=f"c{LOST}", name="clock", arguments={f"a{LOST}": [f"b{LOST}", 1]})
    assert completed.parts[1] == OtherPart(data={"x": LOST})
    assert completed.payload == {"provider": "x", "items": [{"text": (LOST, None)}]}
    assert (completed.native_id, completed.native_memo) == (LOST, {"m": LOST})


@pytest.mark.parametrize("number", [-1, 2**53, True, 1.5, "7", None, float("nan")])
def test_what_is_no_count_counts_nothing(number: Any) -> None:
    [completed] = passed_on(whole(usage=Usage(input_tokens=number, output_tokens=3, total_tokens=number)))
    assert isinstance(completed, Completed)
    assert completed.usage == Usage(output_tokens=3)
    assert type(completed.usage.input_tokens) is int


def test_calls_of_one_id_or_none_get_their_own_and_are_not_built_upon() -> None:
    calls = [ToolCall(id=call_id, name="clock") for call_id in ("a", "a", "", "b")]
    [completed] = passed_on(whole(*calls, payload={"items": []}, native_id="n", native_memo={"m": "1"}))
    assert isinstance(completed, Completed)
    ids = [part.id for part in completed.parts if isinstance(part, ToolCall)]
    assert ids == ["a", "a_1", "call_2", "b"]
    assert (completed.payload, completed.native_id, dict(completed.native_memo)) == (None, None, {})


ODD: list[Any] = [7, None, ["a"], {"a": 1}]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_what_is_of_the_wrong_type_is_no_answer(odd: Any) -> None:
    for answer in (whole(TextPart(odd)), whole(ToolCall(id=odd, name="x")), whole(ToolCall(id="a", name=odd))):
        with pytest.raises(ProviderUnavailableError):
            passed_on(answer)
    with pytest.raises(ProviderUnavailableError):
        passed_on(whole(model=odd))
    if odd is not None:
        with pytest.raises(ProviderUnavailableError):
            passed_on(whole(native_id=odd))


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (None, ProviderUnavailableError),
        (NativeKind.NODE, ProviderUnavailableError),
        (NativeKind.LOG, NativeStateLostError),
    ],
)
def test_a_call_of_nothing_is_asked_for_again(kind: NativeKind | None, error: type[Exception]) -> None:
    native = None if kind is None else NativeState(provider="x", kind=kind, id="n", cursor=1, turn_id="t", model="m")
    with pytest.raises(error):
        passed_on(whole(ToolCall(id="a", name="")), native=native)
