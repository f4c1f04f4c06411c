"""What one request needs to know of the session that asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langswarm_sessions.providers.openai.client import OpenAIConnection
from langswarm_sessions.providers.openai.media import is_own_address

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI
    from openai.types.responses import ResponseIncludable

__all__ = ["Asking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A session about to send a request.

    Args:
        connection: What it shares with the manager's other sessions.
        client: The running loop's client.
        session_id: The session.
        model: Its model.
        config: Its provider_config.
        seconds: Time the request may take; None leaves it to the client.
    """

    connection: OpenAIConnection
    client: AsyncOpenAI
    session_id: str
    model: str
    config: Mapping[str, Any] = field(repr=False)
    seconds: float | None

    @property
    def where(self) -> tuple[str, str]:
        """Address and model: what is learned of one need not hold of another."""
        return str(self.client.base_url), self.model

    @property
    def is_own(self) -> bool:
        """Whether OpenAI itself is asked, and not another server of its API."""
        return is_own_address(str(self.client.base_url))

    @property
    def timeout(self) -> float | httpx2.Timeout | None:
        """What the SDK is given as timeout."""
        return self.seconds or self.client.timeout

    @property
    def encrypts(self) -> bool:
        """Whether the model returns reasoning encrypted, as far as is known."""
        return self.where not in self.connection.unencrypted

    @property
    def include(self) -> list[ResponseIncludable]:
        """What is to be told of stored answers beside what always is."""
        return ["reasoning.encrypted_content"] if self.encrypts else []
