"""A stateful loopback counterparty for tests that drive the real Anthropic SDK over HTTP.

It judges every request with the SDK's own request types and a table of the API's rules, keeps message threads as the
provider does, answers with the SDK's own models, fails on demand, and writes down everything that came over the wire.
See `AnthropicServer`.
"""

from __future__ import annotations

from tests.support.provider_server.gates import Gate
from tests.support.provider_server.journal import RequestRecord, Violation

from . import faults
from .context import ModelView, default_reply
from .replies import Reply, ToolCall
from .server import AnthropicServer

__all__ = [
    "AnthropicServer",
    "Gate",
    "ModelView",
    "Reply",
    "RequestRecord",
    "ToolCall",
    "Violation",
    "default_reply",
    "faults",
]
