"""Middleware: what wraps a turn."""

from __future__ import annotations

from langswarm_sessions.middleware.chain import (
    GLOBAL_MIDDLEWARE,
    ChunkPipeline,
    MiddlewareChain,
    add_global_middleware,
)
from langswarm_sessions.middleware.logging import LoggingMiddleware
from langswarm_sessions.middleware.redaction import RedactionMiddleware

__all__ = [
    "GLOBAL_MIDDLEWARE",
    "ChunkPipeline",
    "LoggingMiddleware",
    "MiddlewareChain",
    "RedactionMiddleware",
    "add_global_middleware",
]
