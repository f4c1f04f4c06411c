"""A stateful loopback counterparty for tests that drive the real Mistral SDK over HTTP. It is ours, not Mistral's.

It judges every request with the SDK's own request models, keeps conversations as entries, answers with the SDK's own
response models, fails on demand, and writes down everything that came over the wire. See `MistralServer`.
"""

from __future__ import annotations

from tests.support.provider_server.gates import Gate
from tests.support.provider_server.replies import ToolCall

from . import faults
from .context import ModelView, default_reply
from .replies import Reply
from .server import MistralServer

__all__ = ["Gate", "MistralServer", "ModelView", "Reply", "ToolCall", "default_reply", "faults"]
