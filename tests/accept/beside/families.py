"""The instrumentations of others, family by family, as their users switch them on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

__all__ = ["FAMILIES", "HTTP", "instrument"]

HTTP = "opentelemetry.instrumentation.httpx:HTTPX2ClientInstrumentor"

FAMILIES: dict[str, dict[str, str]] = {
    "openinference": {
        "langchain": "openinference.instrumentation.langchain:LangChainInstrumentor",
        "openai": "openinference.instrumentation.openai:OpenAIInstrumentor",
        "anthropic": "openinference.instrumentation.anthropic:AnthropicInstrumentor",
    },
    "official": {
        "langchain": "opentelemetry.instrumentation.genai.langchain:LangChainInstrumentor",
        "openai": "opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor",
        "anthropic": "opentelemetry.instrumentation.genai.anthropic:AnthropicInstrumentor",
    },
    "traceloop": {
        "langchain": "opentelemetry.instrumentation.langchain:LangchainInstrumentor",
        "openai": "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
        "anthropic": "opentelemetry.instrumentation.anthropic:AnthropicInstrumentor",
    },
}
"""For each family, what instruments a package: ``module:class``."""


def instrument(instrumentors: Iterable[str]) -> None:
    """Switch instrumentors on, for the process-wide providers.

    Args:
        instrumentors: Each ``module:class``.
    """
    for instrumentor in instrumentors:
        module, _, name = instrumentor.partition(":")
        make: Callable[[], Any] = getattr(import_module(module), name)
        make().instrument()
