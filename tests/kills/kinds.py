"""Who answers: each provider with each kind of conversation it keeps, and what can be done to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from tests.support import anthropic_server, cohere_server, gemini_server, mistral_server, openai_server
from tests.support.provider_server import faults

__all__ = ["KINDS", "Kind"]

Ruin = Callable[[Any], None]
"""Prepares a server so that the next turn does not go smoothly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A way to keep a conversation.

    Args:
        name: As it stands in the table.
        provider: The provider's name.
        server: Makes its server; None: there is none, the provider lives and dies with the process.
        config: The session's provider_config.
        ruins: What else can happen in a turn, by name.
        held: Returns the user's messages in each log the server keeps, the one in use last.
        forks: Whether a log that may have grown unseen goes on in a fork.
        requests: How many requests a smooth turn takes, after the session's first and as its first.
    """

    name: str
    provider: str
    server: Callable[[], AbstractContextManager[Any]] | None
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ruins: Mapping[str, Ruin] = field(default_factory=dict[str, Ruin])
    held: Callable[[Any], list[list[str]]] | None = None
    forks: bool = False

    def __str__(self) -> str:
        return self.name


def _lost(server: Any) -> None:
    server.forget()


def _fails(fault: Any, **where: Any) -> Ruin:
    return lambda server: server.fault(fault, **where)


def _openai_held(server: openai_server.OpenAIServer) -> list[list[str]]:
    return [server.held_texts(conversation) for conversation in server.conversation_ids]


def _mistral_held(server: mistral_server.MistralServer) -> list[list[str]]:
    return [
        [str(entry["content"]) for entry in conversation.entries if entry.get("role") == "user"]
        for conversation in server.conversations
    ]


_BUSY = {
    "openai": _fails(openai_server.faults.http_error(503)),
    "chat": _fails(openai_server.faults.http_error(503), on="chat"),
    "anthropic": _fails(anthropic_server.faults.http_error(529)),
    "gemini": _fails(gemini_server.faults.http_error(503)),
    "mistral": _fails(mistral_server.faults.http_error(503)),
    "cohere": _fails(cohere_server.faults.http_error(503)),
}

KINDS = (
    Kind(
        name="openai node",
        provider="openai",
        server=openai_server.OpenAIServer,
        ruins={"lost": _lost, "retried": _BUSY["openai"]},
    ),
    Kind(
        name="openai log",
        provider="openai",
        server=openai_server.OpenAIServer,
        config={"native": "log"},
        held=_openai_held,
        ruins={
            "lost": _lost,
            "retried": _BUSY["openai"],
            "kept unseen": _fails(faults.drop(keeps="turn")),
            "not kept": _fails(faults.drop()),
            "kept elsewhere": _fails(faults.cut_stream(after_events=4, keeps="answer")),
        },
    ),
    Kind(
        name="openai chat",
        provider="openai",
        server=openai_server.OpenAIServer,
        config={"api": "chat"},
        ruins={"retried": _BUSY["chat"]},
    ),
    Kind(
        name="anthropic client",
        provider="anthropic",
        server=anthropic_server.AnthropicServer,
        ruins={"retried": _BUSY["anthropic"]},
    ),
    Kind(
        name="anthropic threads",
        provider="anthropic",
        server=anthropic_server.AnthropicServer,
        config={"native": "ephemeral"},
        ruins={"lost": _lost, "retried": _BUSY["anthropic"]},
    ),
    Kind(
        name="gemini node",
        provider="gemini",
        server=gemini_server.GeminiServer,
        ruins={"lost": _lost, "retried": _BUSY["gemini"]},
    ),
    Kind(
        name="gemini client",
        provider="gemini",
        server=gemini_server.GeminiServer,
        config={"native": "none"},
        ruins={"retried": _BUSY["gemini"]},
    ),
    Kind(
        name="mistral log",
        provider="mistral",
        server=mistral_server.MistralServer,
        held=_mistral_held,
        forks=True,
        ruins={
            "lost": _lost,
            "retried": _BUSY["mistral"],
            "kept unseen": _fails(faults.drop(keeps="turn")),
            "not kept": _fails(faults.drop()),
            "kept by half": _fails(faults.drop(keeps="inputs")),
        },
    ),
    Kind(
        name="mistral client",
        provider="mistral",
        server=mistral_server.MistralServer,
        config={"native": "none"},
        ruins={"retried": _BUSY["mistral"]},
    ),
    Kind(
        name="cohere client",
        provider="cohere",
        server=cohere_server.CohereServer,
        ruins={"retried": _BUSY["cohere"]},
    ),
    Kind(name="mock node", provider="mock", server=None),
    Kind(name="mock client", provider="mock", server=None, config={"native": "none"}),
)
