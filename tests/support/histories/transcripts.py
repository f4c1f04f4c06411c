"""Random transcripts, as sessions hold them: everything that can legally be in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from langswarm_sessions.messages import (
    MessageKind,
    Part,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
    TurnState,
)
from langswarm_sessions.records import TurnOptions

from .contents import Words, new_media, old_media
from .speakers import SPEAKERS, Said

__all__ = ["for_model", "options", "said_marks", "transcripts"]

_STATES = st.sampled_from([TurnState.COMPLETED] * 6 + [TurnState.INTERRUPTED, TurnState.FAILED])


@st.composite
def transcripts(
    draw: st.DrawFn, speakers: Sequence[str] = tuple(SPEAKERS), *, ends_with_input: bool = True
) -> list[SessionMessage]:
    """Draw a transcript of a few turns and, last, the input of a turn that is about to be asked.

    Args:
        draw: Hypothesis's.
        speakers: Who answered: names of `SPEAKERS`.
        ends_with_input: Whether the input of a new turn stands at the end.
    """
    writer = _Writer(draw, speakers)
    for _ in range(draw(st.integers(0, 4))):
        writer.turn()
    if ends_with_input:
        writer.new_input()
    for seq, message in enumerate(writer.messages, start=1):
        message.seq = seq
        message.message_id = f"m{seq}"
    return writer.messages


def for_model(transcript: Sequence[SessionMessage]) -> list[SessionMessage]:
    """Return what the storage loads for a model: inputs of failed turns are left out, and so are instructions."""
    return [message for message in transcript if message.status is not TurnState.FAILED]


def said_marks(messages: Sequence[SessionMessage]) -> list[str]:
    """Return the texts any model must be told, in order: all but reasoning."""
    told: list[str] = []
    for message in messages:
        if message.kind is MessageKind.INSTRUCTIONS:
            continue
        for part in message.parts:
            if isinstance(part, TextPart | RefusalPart) and not (message.role is Role.TOOL and message.tool_results):
                told.append(part.text)
            elif isinstance(part, ToolResult):
                told.append(part.content)
    return [text for text in told if text.startswith("<")]


options = st.sampled_from(
    [
        TurnOptions(),
        TurnOptions(tools=({"name": "clock"},), tool_choice="any"),
        TurnOptions(
            tools=(
                {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}},
                {"type": "function", "name": "weather", "strict": False},
                {"type": "web_search"},
            ),
            tool_choice="clock",
        ),
    ]
)
"""What a turn may ask of the model beside the conversation."""


class _Writer:
    """Writes one transcript, turn by turn."""

    def __init__(self, draw: st.DrawFn, speakers: Sequence[str]) -> None:
        self._draw = draw
        self._speakers = speakers
        self._words = Words(draw)
        self._turns = 0
        self._open: list[ToolCall] = []
        self.messages: list[SessionMessage] = []

    def turn(self) -> None:
        """Write a turn, and what was added before it outside any."""
        self._outside()
        self._turns += 1
        state = self._draw(_STATES)
        answered = self._input(state, old_media)
        if state is not TurnState.FAILED:
            self._answer(state)
        if state is TurnState.COMPLETED and answered:
            self._open = [call for call in self._open if call.id not in answered]

    def new_input(self) -> None:
        """Write the input of a turn that is about to be asked."""
        self._outside()
        self._turns += 1
        self._input(TurnState.PENDING, new_media)

    def _chance(self, one_in: int) -> bool:
        return bool(self._draw(st.integers(1, one_in)) == one_in)

    def _add(self, role: Role, *parts: Part, **fields: Any) -> None:
        self.messages.append(SessionMessage(role=role, parts=list(parts), **fields))

    def _outside(self) -> None:
        """Write what `send_system_message`, `add_message` and changed instructions leave behind."""
        if self._chance(5):
            self._add(Role.SYSTEM, TextPart(self._words.some("system")))
        if self._chance(8):
            self._add(Role.SYSTEM, TextPart("Be brief."), kind=MessageKind.INSTRUCTIONS)
        if self._chance(10):
            role = self._draw(st.sampled_from([Role.USER, Role.ASSISTANT]))
            drawn = [self._draw(old_media)] if self._chance(2) else []
            self._add(role, TextPart(self._words.some("added")), *drawn)
            if role is Role.ASSISTANT:
                self._open = []  # calls of an answer that is not the last are not waited for
        if self._chance(12):
            self._add(Role.TOOL, ToolResult(tool_call_id="orphan", content="of no call"))

    def _input(self, state: TurnState, media: st.SearchStrategy[Part]) -> set[str]:
        """Write the input of a turn; return the ids of the calls it answers."""
        turn_id = f"turn{self._turns}"
        if self._open and self._chance(2):
            return self._results(state, turn_id, media)
        for _ in range(1 + self._chance(6)):
            parts: list[Part] = [] if self._chance(8) and media is old_media else [TextPart(self._words.some("user"))]
            for _ in range(self._draw(st.sampled_from([0, 0, 1, 2]))):
                parts.append(self._draw(media))
            if self._chance(6):
                parts.append(TextPart(self._words.some("more")))
            self._add(Role.USER, *parts, status=state, turn_id=turn_id)
        return set()

    def _results(self, state: TurnState, turn_id: str, media: st.SearchStrategy[Part]) -> set[str]:
        kept = [call for call in self._open if not self._chance(5)] or self._open[:1]
        results = [self._result(call) for call in self._draw(st.permutations(kept))]
        if len(results) > 1 and self._chance(4):
            beside = [self._draw(media)] if self._chance(2) and media is old_media else []
            self._add(Role.TOOL, *results, *beside, status=state, turn_id=turn_id)
        else:
            for result in results:
                beside = [self._draw(media)] if media is old_media and self._chance(5) else []
                self._add(Role.TOOL, result, *beside, status=state, turn_id=turn_id)
        return {call.id for call in kept}

    def _result(self, call: ToolCall) -> ToolResult:
        content = "" if self._chance(6) else self._words.some("result")
        return ToolResult(
            tool_call_id=call.id,
            content=content,
            is_error=self._chance(4),
            name=call.name if self._chance(2) else None,
        )

    def _answer(self, state: TurnState) -> None:
        turn_id = f"turn{self._turns}"
        if state is TurnState.INTERRUPTED:
            if self._chance(2):
                self._add(Role.ASSISTANT, TextPart(self._words.some("partial")), status=state, turn_id=turn_id)
            return
        speaker = SPEAKERS[self._draw(st.sampled_from(self._speakers))]
        calls: dict[str, ToolCall] = {}
        for _ in range(self._draw(st.sampled_from([0, 0, 1, 2, 3]))):
            call = self._words.call(speaker.call_ids, speaker.call_names)
            calls.setdefault(call.id, call)
        said = Said(
            number=self._words.number(),
            text="" if self._chance(5) else self._words.some("answer"),
            is_refusal=self._chance(8),
            thought=self._words.some("thought") if self._chance(2) else "",
            is_sealed=not self._chance(4),
            calls=tuple(calls.values()),
            has_own_item=self._chance(4),
        )
        model = "another-model" if self._chance(6) else None
        answer = speaker.answer(said, model=model, turn_id=turn_id)
        self.messages.append(answer)
        self._open = list(answer.tool_calls)
