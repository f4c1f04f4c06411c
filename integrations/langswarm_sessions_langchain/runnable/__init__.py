"""A session as a Runnable, which its provider answers or a Runnable it wraps."""

from __future__ import annotations

from langswarm_sessions_langchain.runnable.runnable import SessionRunnable

__all__ = ["SessionRunnable"]
