"""What models take, from a table that comes with the library genai-prices. Nothing is fetched."""

from __future__ import annotations

import logging

from langswarm_sessions.interfaces.provider import ModelLimits

__all__ = ["table_limits"]

logger = logging.getLogger(__name__)

_IN_THE_TABLE = {
    "anthropic": "anthropic",
    "aws.bedrock": "aws",
    "azure.ai.openai": "azure",
    "cohere": "cohere",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "groq": "groq",
    "mistral_ai": "mistral",
    "openai": "openai",
    "x_ai": "x-ai",
}
"""Values of `gen_ai.provider.name`, and the table's names of the same providers."""


def table_limits(otel_name: str, model: str) -> ModelLimits | None:
    """Return what a model takes; None when the table does not know it. Loading the table takes a moment, once.

    Args:
        otel_name: The provider, as `gen_ai.provider.name` calls it.
        model: The model.

    Example:
        >>> table_limits("openai", "gpt-3.5-turbo").context_tokens
        16385
    """
    provider = _IN_THE_TABLE.get(otel_name)
    if provider is None:
        return None
    try:
        from genai_prices.data_snapshot import get_snapshot

        _, found = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    except Exception as error:  # noqa: BLE001 - a table that cannot be read is none: no turn fails over it
        logger.warning("The table of models cannot be read (%s).", type(error).__name__)
        return None
    size = found.context_window
    return None if size is None else ModelLimits(context_tokens=size, is_told=False)
