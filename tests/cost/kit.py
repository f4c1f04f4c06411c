"""What the tests of costs over the wire share: usages, and ways to ask."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from langswarm_sessions import Session, SessionManager, SessionMessage
from tests.cost.wire import PROVIDERS, Wire
from tests.session.kit import OpenManager

__all__ = ["CANDIDATES", "CHAT", "COHERE", "MESSAGES", "RESPONSES", "ask", "begin", "expire_leases"]

RESPONSES = {
    "input_tokens": 1_000,
    "input_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 0},
    "output_tokens": 100,
    "output_tokens_details": {"reasoning_tokens": 60},
    "total_tokens": 1_100,
}
CHAT = {
    "prompt_tokens": 1_000,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens": 100,
    "completion_tokens_details": {"reasoning_tokens": 60},
    "total_tokens": 1_100,
}
MESSAGES = {
    "input_tokens": 100,
    "cache_read_input_tokens": 600,
    "cache_creation_input_tokens": 300,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
    "output_tokens": 50,
    "service_tier": "standard",
    "inference_geo": "not_available",
    "speed": "standard",
}
CANDIDATES = {
    "promptTokenCount": 1_000,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 800}, {"modality": "AUDIO", "tokenCount": 200}],
    "cachedContentTokenCount": 100,
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 100}],
    "candidatesTokenCount": 50,
    "thoughtsTokenCount": 30,
    "totalTokenCount": 1_080,
    "trafficType": "ON_DEMAND",
}
COHERE = {
    "billed_units": {"input_tokens": 10, "output_tokens": 20},
    "tokens": {"input_tokens": 500, "output_tokens": 21},
}


async def begin(manager: SessionManager, wire: Wire, **config: Any) -> Session:
    """Create a session that is answered by a wire."""
    provider = PROVIDERS[wire.provider]
    name = wire.provider.partition("-")[0]
    settings = {**provider.config, **config}
    return await manager.create_session("u", name, wire.model, strategy="client", provider_config=settings)


async def ask(open_manager: OpenManager, wire: Wire, **config: Any) -> tuple[Session, SessionMessage]:
    """Say something in a session of its own; return it and the answer."""
    manager = open_manager(providers={wire.provider.partition("-")[0]: wire.client()})
    session = await begin(manager, wire, **config)
    return session, await session.send_message("hi")


async def expire_leases(manager: SessionManager) -> None:
    """Let whoever comes next take over the sessions of a manager's database."""

    def expire(connection: Connection) -> None:
        connection.execute(text("UPDATE sessions SET lease_expires_at = created_at"))

    storage: Any = manager._services.storage
    await storage._runner.write(expire)
