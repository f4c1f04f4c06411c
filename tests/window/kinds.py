"""The five providers and the ways a conversation reaches them, each behind a tape."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from json import JSONDecoder
from typing import Any

from tests.window.tape import Sent, Tape

__all__ = ["CLIENTS", "KINDS", "NATIVES", "Kind", "beginning", "held"]

_SERVERS = {
    "anthropic": "AnthropicServer",
    "cohere": "CohereServer",
    "gemini": "GeminiServer",
    "mistral": "MistralServer",
    "openai": "OpenAIServer",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A provider and a way to ask it.

    Args:
        provider: Its name.
        model: A model of it.
        strategy: The session's.
        config: provider_config.
        said: The field of a request that holds what is said.
    """

    provider: str
    model: str
    strategy: str
    said: str
    config: dict[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        return "-".join([self.provider, self.strategy, *map(str, self.config.values())])

    @contextmanager
    def taped(self) -> Generator[Tape]:
        """Start the provider's server with a tape before it."""
        made = getattr(import_module(f"tests.support.{self.provider}_server"), _SERVERS[self.provider])
        with made() as server, Tape(server.base_url, self.provider, self.said) as tape:
            tape.key = server.api_key
            yield tape


CLIENTS = [
    Kind("openai", "gpt-6.1-sol", "client", "input"),
    Kind("openai", "gpt-6.1-sol", "client", "messages", {"api": "chat"}),
    Kind("anthropic", "claude-haiku-5-5", "client", "messages"),
    Kind("gemini", "gemini-4-argon", "client", "contents"),
    Kind("mistral", "mistral-medium-3-5", "client", "messages"),
    Kind("cohere", "command-a-03-2025", "client", "messages"),
]
NATIVES = [
    Kind("openai", "gpt-6.1-sol", "native", "input"),
    Kind("openai", "gpt-6.1-sol", "native", "input", {"native": "log"}),
    Kind("anthropic", "claude-haiku-5-5", "native", "messages", {"native": "ephemeral"}),
    Kind("gemini", "gemini-4-argon", "native", "input"),
    Kind("mistral", "mistral-medium-3-5", "native", "inputs"),
]
KINDS = [*CLIENTS, *NATIVES]


def held(sent: Sent, kind: Kind) -> str | None:
    """Return the id of what the provider keeps that a request builds upon; None when it names nothing."""
    body = sent.body
    if kind.provider == "anthropic":
        found = body.get("thread", {}).get("previous_message_id")
    elif kind.provider == "mistral":
        found = sent.path.partition("/conversations/")[2]
    else:
        names = ("previous_response_id", "previous_interaction_id", "conversation")
        found = next((body[name] for name in names if body.get(name)), None)
    return str(found) if found else None


def beginning(sent: Sent, kind: Kind) -> bytes:
    """Return the bytes of a request up to the end of the newest thing said, which a longer request begins with."""
    raw = sent.raw.decode()
    at = raw.index(f'"{kind.said}":') + len(kind.said) + 3
    at += len(raw[at:]) - len(raw[at:].lstrip())
    _, end = JSONDecoder().raw_decode(raw, at)
    return raw[: end - 1].encode()
