"""What the model sees: entries, whichever API they came over. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from tests.support.provider_server.json_types import JsonObject, objects, string

from .replies import Reply

_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """The whole context one request put before the model.

    Args:
        conversation_id: The conversation it stands in, None for a chat completion.
        continued: Whether the request continued a conversation.
        model: The model or agent that was asked for.
        instructions: The system prompt.
        tool_names: The tools on offer, in order.
        entries: Every entry so far, in the order the model reads them.
    """

    conversation_id: str | None
    continued: bool
    model: str
    instructions: str | None
    tool_names: tuple[str, ...]
    entries: tuple[JsonObject, ...]

    @property
    def user_texts(self) -> list[str]:
        """The texts of all user messages."""
        return [text for kind, text in self.texts if kind == "user"]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Every entry as (kind, text): short enough to write down in an assertion."""
        return [(kind_of(entry), text_of(entry)) for entry in self.entries]


def kind_of(entry: JsonObject) -> str:
    """Return who speaks in an entry, and of other entries what they are."""
    if string(entry, "type") == "message.output":
        return "assistant"
    return string(entry, "role") or string(entry, "type")


def text_of(entry: JsonObject) -> str:
    """Return the text of an entry as the model reads it."""
    if string(entry, "type") == "function.call":
        return f"{string(entry, 'name')}({string(entry, 'arguments')})"
    return content_text(entry.get("result") if "result" in entry else entry.get("content"))


def content_text(content: JsonValue) -> str:
    """Return the text of content; of other chunks what they are."""
    if isinstance(content, str):
        return content
    return "".join(string(chunk, "text") or f"<{string(chunk, 'type')}>" for chunk in objects(content))


def count_tokens(text: str) -> int:
    """Return the server's token count of a text: deterministic, about four characters each."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def tokens_of(view: ModelView) -> int:
    """Return the tokens the server bills for a context."""
    return count_tokens(view.instructions or "") + sum(3 + count_tokens(text) for _, text in view.texts)


def default_reply(view: ModelView) -> Reply:
    """Return the reply that proves what the model saw: ``[{user messages}] You said: {last user text}``.

    A turn that ends in tool results is answered ``[{user messages}] Tools said: {results}``.
    """
    count = len(view.user_texts)
    results: list[str] = []
    for entry in reversed(view.entries):
        if string(entry, "type") != "function.result":
            break
        results.insert(0, text_of(entry))
    if results:
        return Reply(text=f"[{count}] Tools said: {', '.join(results)}")
    return Reply(text=f"[{count}] You said: {view.user_texts[-1] if count else ''}")


def input_entries(value: JsonValue) -> list[JsonObject]:
    """Return a request's ``inputs`` as entries; plain text is one user message."""
    if isinstance(value, str):
        return [{"type": "message.input", "role": "user", "content": value}]
    return objects(value)


def entries_of_messages(messages: Iterable[JsonObject]) -> list[JsonObject]:
    """Return chat messages other than the system's as entries."""
    entries: list[JsonObject] = []
    for message in messages:
        role = string(message, "role")
        if role == "user":
            entries.append({"type": "message.input", "role": "user", "content": message.get("content")})
        elif role == "tool":
            call_id = string(message, "tool_call_id")
            entries.append({"type": "function.result", "tool_call_id": call_id, "result": message.get("content")})
        elif role == "assistant":
            if message.get("content"):
                entries.append({"type": "message.output", "content": message.get("content")})
            entries += [_call_entry(call) for call in objects(message.get("tool_calls"))]
    return entries


def _call_entry(call: JsonObject) -> JsonObject:
    function = call.get("function")
    data = function if isinstance(function, dict) else {}
    return {
        "type": "function.call",
        "tool_call_id": string(call, "id"),
        "name": string(data, "name"),
        "arguments": data.get("arguments"),
    }
