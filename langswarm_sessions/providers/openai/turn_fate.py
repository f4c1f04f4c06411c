"""What the items of a conversation say about a turn whose end nobody heard. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, cast

from langswarm_sessions.providers.openai.mapping import Item

__all__ = ["Fate", "fate_of"]

_ROLES_OF_INPUT = frozenset({"developer", "system", "user"})
_HAS_ENDED_WELL = frozenset({"completed", "incomplete"})
_LEAD_TO_ANSWERS = frozenset({"compaction", "reasoning"})


class Fate(Enum):
    """What became of a turn."""

    ABSENT = "absent"
    """Nothing of it is there."""
    WHOLE = "whole"
    """Its input and its answer are there, and nothing else."""
    TORN = "torn"
    """What is there is neither."""


def fate_of(sent: Sequence[Item], found: Sequence[Item], *, status: str | None = None) -> Fate:
    """Return what became of a turn.

    Args:
        sent: The input items of the request.
        found: The conversation's items after the newest one that was known before the turn.
        status: How the turn's response ended, as far as that could be found out.

    Example:
        >>> fate_of([{"type": "message", "role": "user", "content": "hi"}], [])
        <Fate.ABSENT: 'absent'>
    """
    if not found:
        # An answer that was completed and is not there: the conversation has lost it.
        return Fate.TORN if status in _HAS_ENDED_WELL else Fate.ABSENT
    inputs, answer = found[: len(sent)], found[len(sent) :]
    is_ours = list(map(_content, inputs)) == list(map(_content, sent))
    ended_well = status is None or status in _HAS_ENDED_WELL
    return Fate.WHOLE if is_ours and ended_well and _is_answer(answer) else Fate.TORN


def _is_answer(items: Sequence[Item]) -> bool:
    if not items or items[-1].get("type") in _LEAD_TO_ANSWERS:
        return False
    return not any(_is_input(item) or item.get("status") == "in_progress" for item in items)


def _is_input(item: Item) -> bool:
    return item.get("role") in _ROLES_OF_INPUT or str(item.get("type")).endswith("_output")


def _content(item: Item) -> tuple[Any, ...]:
    """Return what an item says, however it is written: the provider adds ids and writes text as blocks."""
    kind = item.get("type")
    if kind == "message":
        role = "system" if item.get("role") == "developer" else item.get("role")
        return (kind, role, *_blocks(item.get("content")))
    if kind == "function_call_output":
        return (kind, item.get("call_id"), *_blocks(item.get("output")))
    if kind == "function_call":
        return (kind, item.get("call_id"), item.get("name"), item.get("arguments"))
    return (kind, item.get("encrypted_content"))


def _blocks(content: object) -> tuple[str, ...]:
    """Return the texts of a content, then the types of what is no text."""
    if isinstance(content, str):
        return (content,)
    blocks = cast(list[Item], content) if isinstance(content, list) else []
    told = [str(block.get("text") or block.get("refusal") or "") for block in blocks]
    others = [str(block.get("type")) for block in blocks if "text" not in block and "refusal" not in block]
    return ("".join(told), *others)
