"""Entries to the messages of a chat completion. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from langswarm_sessions.providers.mistral.mapping import Entry
from langswarm_sessions.providers.mistral.replay import chunks_of

__all__ = ["chat_messages"]

Message = dict[str, Any]


def chat_messages(entries: Iterable[Entry], *, system: Sequence[str]) -> list[Message]:
    """Return the messages that say what the entries say.

    Args:
        entries: As `entries_of` wrote them for chat completions.
        system: What goes in front: the models take a system message nowhere else.
    """
    messages: list[Message] = [{"role": "system", "content": text} for text in system]
    answer: Message | None = None
    for entry in entries:
        if entry["type"] in {"message.output", "function.call"}:
            if answer is None:
                answer = {"role": "assistant"}
                messages.append(answer)
            _add(answer, entry)
            continue
        answer = None
        messages.append(_message(entry))
    return messages


def _add(answer: Message, entry: Entry) -> None:
    """Add an entry to the assistant's message it belongs to."""
    if entry["type"] == "function.call":
        function = {"name": entry["name"], "arguments": entry["arguments"]}
        calls: list[Message] = answer.setdefault("tool_calls", [])
        calls.append(
            {"id": entry["tool_call_id"], "type": "function", "function": function, "index": len(calls)},
        )
    elif "content" in answer:
        answer["content"] = [*chunks_of(answer), *chunks_of(entry)]
    else:
        answer["content"] = entry["content"]


def _message(entry: Entry) -> Message:
    if entry["type"] == "function.result":
        return {"role": "tool", "content": entry["result"], "tool_call_id": entry["tool_call_id"]}
    return {"role": "user", "content": entry["content"]}
