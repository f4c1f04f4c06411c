"""Who answers: each provider, with each kind of conversation it keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tests.faults.parties import ChatModelParty, MockParty, Party, ServerParty
from tests.support import anthropic_server, cohere_server, gemini_server, mistral_server, openai_server

__all__ = ["WAYS", "Way"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One column of the matrix.

    Args:
        name: As it stands in the table.
        provider: The provider's name.
        model: The model that is asked.
        keeps: What the provider keeps of a conversation: "node", "log", "thread" or "nothing".
        config: The session's provider_config.
        make: Makes the counterparty.
        faults: What can go wrong at its server; None where there is none.
        operation: What its server knows requests for an answer by.
        text_at: Events of a stream up to, and with, its first piece of text.
    """

    name: str
    provider: str
    model: str
    keeps: str = "nothing"
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    make: Callable[[Way], Party]
    faults: ModuleType | None = None
    operation: str = "answer"
    text_at: int = 1

    def __str__(self) -> str:
        return self.name


_SERVERS: Mapping[str, tuple[str, Callable[[], Any], ModuleType]] = {
    "anthropic": ("claude-sonnet-5-5", anthropic_server.AnthropicServer, anthropic_server.faults),
    "cohere": ("command-a-03-2025", cohere_server.CohereServer, cohere_server.faults),
    "gemini": ("gemini-3.8-flash", gemini_server.GeminiServer, gemini_server.faults),
    "mistral": ("mistral-small-latest", mistral_server.MistralServer, mistral_server.faults),
    "openai": ("gpt-6.1-terra", openai_server.OpenAIServer, openai_server.faults),
}


def _http(name: str, *, keeps: str, text_at: int, operation: str = "answer", **config: str) -> Way:
    provider = name.split()[0]
    model, server, faults = _SERVERS[provider]
    return Way(
        name=name,
        provider=provider,
        model=model,
        keeps=keeps,
        config=config,
        make=lambda _: ServerParty(server()),
        faults=faults,
        operation=operation,
        text_at=text_at,
    )


def _mock(name: str, *, keeps: str, **config: str) -> Way:
    return Way(name=name, provider="mock", model="mock-model", keeps=keeps, config=config, make=lambda _: MockParty())


HTTP_WAYS = (
    _http("openai node", keeps="node", operation="create", text_at=5),
    _http("openai log", keeps="log", operation="create", text_at=5, native="log"),
    _http("openai chat", keeps="nothing", operation="chat", text_at=2, api="chat"),
    _http("anthropic client", keeps="nothing", text_at=3),
    _http("anthropic threads", keeps="thread", text_at=3, native="ephemeral"),
    _http("gemini node", keeps="node", text_at=3),
    _http("gemini client", keeps="nothing", text_at=1, native="none"),
    _http("mistral log", keeps="log", text_at=2),
    _http("mistral chat", keeps="nothing", text_at=1, native="none"),
    _http("cohere", keeps="nothing", text_at=3),
)
CHAT_MODEL = Way(name="chat model", provider="judged", model="judged-1", make=lambda _: ChatModelParty())
MOCK_WAYS = (
    _mock("mock node", keeps="node"),
    _mock("mock log", keeps="log", native="log"),
    _mock("mock client", keeps="nothing", native="none"),
)
WAYS = (*HTTP_WAYS, CHAT_MODEL, *MOCK_WAYS)
