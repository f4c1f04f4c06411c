"""The written table of what vendors demand of a request and their types cannot say.

`python -m tests.support.vendor_rules` prints it.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import anthropic, cohere, gemini, langchain, mistral, openai
from .table import Body, Rule, broken_rules, table_of

__all__ = ["RULES", "Body", "Rule", "broken_rules", "table_of"]

RULES: Mapping[str, tuple[Rule, ...]] = {
    "OpenAI, Responses": openai.RESPONSES_RULES,
    "OpenAI, Chat Completions": openai.CHAT_RULES,
    "Anthropic, Messages": anthropic.MESSAGES_RULES,
    "Gemini, interactions": gemini.INTERACTION_RULES,
    "Gemini, generate_content": gemini.CONTENT_RULES,
    "Mistral, conversations": mistral.CONVERSATION_RULES,
    "Mistral, chat completions": mistral.CHAT_RULES,
    "Cohere, v2 chat": cohere.CHAT_RULES,
    "LangChain chat models": langchain.MESSAGE_RULES,
}
"""By API."""
