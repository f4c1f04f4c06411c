"""A loopback counterparty of our own for tests that drive the real Cohere SDK over HTTP.

It judges every request with the SDK's own request types and the API's rules, answers with the SDK's own stream models,
fails on demand, and writes down everything that came over the wire. It keeps no conversation: the API keeps none. See
`CohereServer`.
"""

from __future__ import annotations

from tests.support.provider_server.gates import Gate
from tests.support.provider_server.replies import ToolCall

from . import faults
from .replies import Reply
from .server import CohereServer
from .views import ModelView

__all__ = ["CohereServer", "Gate", "ModelView", "Reply", "ToolCall", "faults"]
