"""What the model sees, and how it is counted. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.provider_server.json_types import JsonObject, objects, string

from .replies import Reply

_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """The whole context one request put before the model.

    Args:
        message_id: The message made from it.
        model: The model that was asked for.
        system: The system prompt (of a thread: the one it was created with).
        tool_names: The tools on offer, in order.
        previous_message_id: The thread's message the request continued, None without any.
        messages: Every message so far, kept ones included.
    """

    message_id: str
    model: str
    system: str | None
    tool_names: tuple[str, ...]
    previous_message_id: str | None
    messages: tuple[JsonObject, ...]

    @property
    def user_texts(self) -> list[str]:
        """The texts of all user messages that have some."""
        return [text for message in self.messages if string(message, "role") == "user" and (text := text_of(message))]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Every message as (role, text)."""
        return [(string(message, "role"), text_of(message)) for message in self.messages]


def blocks_of(message: JsonObject) -> list[JsonObject]:
    """Return a message's content blocks; plain text is one block."""
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else objects(content)


def text_of(message: JsonObject) -> str:
    """Return the text blocks of a message, joined."""
    return "".join(string(block, "text") for block in blocks_of(message))


def default_reply(view: ModelView) -> Reply:
    """Return the reply that proves what the model saw: ``[{user texts}] You said: {last user text}``.

    A turn that ends in tool results and no more is answered ``[{user texts}] Tools said: {results}``.
    """
    texts = view.user_texts
    last = next(message for message in reversed(view.messages) if string(message, "role") == "user")
    results = [block for block in blocks_of(last) if string(block, "type") == "tool_result"]
    if results and not text_of(last):
        return Reply(text=f"[{len(texts)}] Tools said: {', '.join(map(_result_text, results))}")
    return Reply(text=f"[{len(texts)}] You said: {texts[-1] if texts else ''}")


def _result_text(block: JsonObject) -> str:
    content = block.get("content")
    return content if isinstance(content, str) else "".join(string(part, "text") for part in objects(content))


def count_tokens(text: str) -> int:
    """Return the server's token count of a text: deterministic, about four characters each."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def prefixes(view: ModelView) -> list[tuple[str, int]]:
    """Return a key and the tokens of each beginning of a context: after the prompt, and after each message."""
    text = json.dumps([view.model, view.tool_names, view.system])
    found = [(text, count_tokens(view.system or ""))]
    for message in view.messages:
        part = json.dumps([string(message, "role"), blocks_of(message)])
        text += part
        found.append((text, found[-1][1] + count_tokens(part)))
    return found


def merged(messages: Sequence[JsonObject]) -> list[JsonObject]:
    """Return messages as the API reads them: those of one speaker in a row are one."""
    read: list[JsonObject] = []
    for message in messages:
        if read and string(read[-1], "role") == string(message, "role") != "system":
            read[-1] = {**read[-1], "content": [*blocks_of(read[-1]), *blocks_of(message)]}
        else:
            read.append({"role": string(message, "role"), "content": list(blocks_of(message))})
    return read
