"""How much text messages hold."""

from __future__ import annotations

from collections.abc import Iterable

from langswarm_sessions.messages.message import SessionMessage

__all__ = ["content_bytes"]


def content_bytes(messages: Iterable[SessionMessage]) -> int:
    """Return the size of the messages' text, in bytes of UTF-8."""
    return sum(len(message.content.encode(errors="surrogatepass")) for message in messages)
