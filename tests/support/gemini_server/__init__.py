"""A stateful loopback counterparty for tests that drive the real google-genai SDK over HTTP.

It is ours, not Google's. It judges every request with the SDK's own types, keeps interactions as the provider does,
answers with the SDK's own response models, fails on demand, and writes down everything that came over the wire.
"""

from __future__ import annotations

from tests.support.provider_server.gates import Gate

from . import faults
from .replies import Reply, ToolCall
from .server import GeminiServer
from .views import ModelView

__all__ = ["Gate", "GeminiServer", "ModelView", "Reply", "ToolCall", "faults"]
