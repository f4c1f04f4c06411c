"""A stateful loopback counterparty for tests that drive the real OpenAI SDK over HTTP.

It judges every request with the SDK's own request types, keeps responses and conversations as the provider does,
answers with the SDK's own response models, fails on demand, and writes down everything that came over the wire. Beside
the Responses API it speaks streamed Chat Completions, with the manners of compatible servers. See `OpenAIServer`.
"""

from __future__ import annotations

from tests.support.provider_server.gates import Gate
from tests.support.provider_server.journal import RequestRecord, Violation

from . import faults
from .chat_api import ChatManners
from .context import ModelView, default_reply
from .replies import Reply, ToolCall
from .server import OpenAIServer

__all__ = [
    "ChatManners",
    "Gate",
    "ModelView",
    "OpenAIServer",
    "Reply",
    "RequestRecord",
    "ToolCall",
    "Violation",
    "default_reply",
    "faults",
]
