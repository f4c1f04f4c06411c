"""What makes summaries of what falls out of the window."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from langswarm_sessions.messages import SessionMessage

__all__ = ["Summarizer"]

Summarizer = Callable[[Sequence[SessionMessage]], str | Awaitable[str]]
"""From messages to a summary of them, async or not (a plain function runs in a thread).

If there was a summary before, it is the first message, of role `system`: the new one is to cover it as well.
"""
