"""What `providers={"anthropic": ...}` may be. The SDK is not imported for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from langswarm_sessions.providers.anthropic.profile import DEFAULT_BASE_URL
from langswarm_sessions.providers.credentials import KEY, CredentialKind, KeyCredential

__all__ = ["AnthropicCredential"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicCredential(KeyCredential):
    """How requests are let in: as KeyCredential says."""

    kind: ClassVar[CredentialKind] = CredentialKind(
        provider="anthropic",
        package="anthropic",
        extra="anthropic",
        variables={"api_key": "ANTHROPIC_API_KEY", "base_url": "ANTHROPIC_BASE_URL"},
        default_base_url=DEFAULT_BASE_URL,
        clients=("Anthropic", "AsyncAnthropic"),
        takes={"api_key": KEY},
    )
