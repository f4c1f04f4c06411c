"""What becomes of a turn in each cell: first, under `*`, the outcome of most ways, then those in which it differs.

Where sending and streaming differ there are two, `sent | streamed`. The cells there are not are explained in `rows`.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["EXPECTED"]

EXPECTED: Mapping[str, Mapping[str, str]] = {
    # The way there
    "connection refused": {
        "*": "ProviderUnavailableError (0)",
        "chat model, mock node, mock log, mock client": "ProviderUnavailableError (3)",
    },
    "timeout, the request was not received": {
        "*": "answered (2)",
        "openai log, mistral log, mock log": "resent (2)",
    },
    "timeout, the request was carried out": {
        "*": "answered (2)",
        "openai log, mistral log, mock log": "adopted",
        "anthropic threads": "healed (3)",
    },
    "connection broken before a byte, not received": {
        "*": "answered (2)",
        "openai log, mistral log, mock log": "resent (2)",
    },
    "connection broken before a byte, carried out": {
        "*": "answered (2)",
        "openai log, mistral log, mock log": "adopted",
        "anthropic threads": "healed (3)",
    },
    "connection broken before a byte, the question kept without an answer": {
        "*": "healed (2)",
        "mistral log": "resent (2)",
    },
    "connection broken before a byte, carried out once it was looked for": {
        "*": "resent (2)",
        "mock log": "adopted (2)",
    },
    # Within the stream
    "connection broken before any text": {
        "*": "answered (2)",
        "openai log, mistral log": "adopted",
        "anthropic threads": "healed (3)",
    },
    "connection broken within the text, carried out": {
        "*": "answered (2) | IncompleteStreamError",
        "openai log, mistral log, mock log": "adopted | IncompleteStreamError",
        "anthropic threads": "healed (3) | IncompleteStreamError",
    },
    "connection broken within the text, nothing kept": {
        "*": "answered (2) | IncompleteStreamError",
        "openai log, mistral log, mock log": "resent (2) | IncompleteStreamError",
    },
    "stream ends before any text": {
        "*": "answered (2)",
        "openai log, mistral log": "adopted",
        "anthropic threads": "healed (3)",
        "mock log": "resent (2)",
    },
    "stream ends within the text, without its terminal event": {
        "*": "answered (2) | IncompleteStreamError",
        "openai log, mistral log": "adopted | IncompleteStreamError",
        "anthropic threads": "healed (3) | IncompleteStreamError",
        "mock log": "healed (2) | IncompleteStreamError",
    },
    "error event before any text": {
        "*": "answered (2)",
        "openai log, mistral log, mock log": "resent (2)",
    },
    "error event within the text": {
        "*": "answered (2) | ProviderUnavailableError",
        "openai log, mistral log": "resent (2) | ProviderUnavailableError",
        "mock log": "healed (2) | ProviderUnavailableError",
    },
    "half an event before any text": {
        "*": "answered (2)",
        "openai log, mistral log": "adopted",
        "anthropic threads": "healed (3)",
    },
    "half an event within the text": {
        "*": "answered (2) | ProviderUnavailableError",
        "openai log, mistral log": "adopted | ProviderUnavailableError",
        "anthropic threads": "healed (3) | ProviderUnavailableError",
    },
    "an event of no known form before any text": {
        "*": "answered",
        "gemini node, gemini client, mistral chat": "answered (2)",
    },
    "the caller leaves within the text": {
        "*": "interrupted, with what had come",
    },
    # Failures told by a status
    "408 once": {
        "*": "answered (2)",
        "openai log, mistral log": "resent (2)",
    },
    "409 once": {
        "*": "answered (2)",
    },
    "500 once": {
        "*": "answered (2)",
        "openai log, mistral log": "resent (2)",
    },
    "502 once": {
        "*": "answered (2)",
        "openai log, mistral log": "resent (2)",
    },
    "503 once": {
        "*": "answered (2)",
        "openai log, mistral log, mock log": "resent (2)",
    },
    "504 once": {
        "*": "answered (2)",
        "openai log, mistral log": "resent (2)",
    },
    "529 once": {
        "*": "answered (2)",
        "openai log, mistral log": "resent (2)",
    },
    "429 once, with Retry-After": {
        "*": "answered (2)",
    },
    "429 for good": {
        "*": "RateLimitError (3)",
    },
    "503 for good": {
        "*": "ProviderUnavailableError (3)",
    },
    # Refusals
    "the key is refused": {
        "*": "AuthenticationError",
    },
    "the quota is used up": {
        "*": "QuotaExceededError",
    },
    "too long for the window, once": {
        "*": "answered (2)",
    },
    "too long for the window, whatever is left out": {
        "*": "ContextOverflowError (2)",
    },
    "the request is refused by the safety system": {
        "*": "ContentRefusedError",
    },
    "the request is called malformed": {
        "*": "InvalidRequestError",
    },
    "the model is gone": {
        "*": "InvalidRequestError",
    },
    "the model declines within the answer": {
        "*": "answered",
    },
    "the answer is stopped by the safety system": {
        "*": "answered",
    },
    "an answer without a word": {
        "*": "answered",
    },
    # What the provider keeps
    "what it kept is gone": {
        "*": "healed (2)",
    },
    "what it kept is gone, and again": {
        "*": "InvalidRequestError (2)",
        "openai node, openai log": "NativeStateLostError (2)",
        "mock node, mock log": "healed (2)",
    },
    "expired: it says so in its own words": {
        "*": "healed (2)",
    },
    "deleted behind our back": {
        "*": "healed (2)",
    },
    "somebody else went on from there": {
        "*": "answered",
        "anthropic threads": "healed (2)",
    },
    "locked by another request, once": {
        "*": "answered (2)",
        "anthropic threads": "healed (2)",
    },
    "locked by another request, for good": {
        "*": "healed (4)",
    },
    "does not take what it was given before": {
        "*": "healed (2)",
        "anthropic threads": "healed (2) | InvalidRequestError",
    },
    # Answers that are none
    "200 with a page of HTML": {
        "*": "ProviderUnavailableError (3)",
    },
    "502 with a proxy's page, once": {
        "*": "answered (2)",
        "openai log, mistral log": "resent (2)",
    },
    "200 with JSON that is garbage": {
        "*": "ProviderUnavailableError (3)",
    },
    "200 with other JSON": {
        "*": "ProviderUnavailableError (3)",
    },
    "200 with a huge body": {
        "*": "ProviderUnavailableError (3)",
    },
    "500 with a huge body, once": {
        "*": "answered (2)",
        "openai log, mistral log": "resent (2)",
    },
    "200 with an empty body": {
        "*": "ProviderUnavailableError (3)",
        "gemini client": "IncompleteStreamError (3)",
    },
    "redirect to another place": {
        "*": "ProviderUnavailableError (3)",
    },
}
"""Row, then ways, then outcome."""
