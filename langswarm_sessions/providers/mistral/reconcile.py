"""What became of a request whose answer did not come: read off the conversation's history. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from langswarm_sessions.providers.mistral.mapping import Entry
from langswarm_sessions.providers.mistral.replay import chunks_of, text_of_entry

__all__ = ["answer_to", "entries_after"]

_OUTPUTS = frozenset({"message.output", "function.call", "tool.execution", "agent.handoff"})
_ENDS = frozenset({"message.output", "function.call"})

_Trace = tuple[str, str, tuple[str, ...]]


def entries_after(history: Sequence[Entry], newest: str) -> list[Entry] | None:
    """Return the entries after the newest one that was known; None if that one is not there.

    Args:
        history: All entries, in order.
        newest: Id of the newest entry that was known.
    """
    for index, entry in enumerate(history):
        if entry.get("id") == newest:
            return list(history[index + 1 :])
    return None


def answer_to(new: Sequence[Entry], inputs: Sequence[Entry]) -> list[Entry] | None:
    """Return the answer among new entries: all the inputs first, once, then outputs alone; None where it is not so.

    Args:
        new: The entries nobody knew of.
        inputs: The input entries of the request.
    """
    count = len(inputs)
    if [_trace(entry) for entry in new[:count]] != [_trace(entry) for entry in inputs]:
        return None
    answer = list(new[count:])
    if not answer or answer[-1].get("type") not in _ENDS or any(entry.get("type") not in _OUTPUTS for entry in answer):
        return None
    return answer if _says_something(answer) else None


def _says_something(answer: Sequence[Entry]) -> bool:
    return any(entry.get("type") == "function.call" or chunks_of(entry) for entry in answer)


def _trace(entry: Entry) -> _Trace:
    """Return what tells whether two entries are one: the provider may rewrite the address of an image."""
    kind = entry.get("type")
    if kind == "function.result":
        return "result", str(entry.get("result")), (str(entry.get("tool_call_id")),)
    if kind == "function.call":
        return "call", str(entry.get("name")), (str(entry.get("tool_call_id")),)
    role = "assistant" if kind == "message.output" else str(entry.get("role"))
    other = tuple(str(chunk.get("type")) for chunk in chunks_of(entry) if chunk.get("type") != "text")
    return role, text_of_entry(entry), other
