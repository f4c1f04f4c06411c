"""LangChain messages and ours, both ways."""

from __future__ import annotations

from langswarm_sessions_langchain.messages.conversion import (
    from_langchain,
    messages_to_langchain,
    one_result_each,
    payload_of,
    restored_langchain,
    to_langchain,
    usage_of,
)

__all__ = [
    "from_langchain",
    "messages_to_langchain",
    "one_result_each",
    "payload_of",
    "restored_langchain",
    "to_langchain",
    "usage_of",
]
