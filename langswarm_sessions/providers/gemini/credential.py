"""What `providers={"gemini": ...}` may be. The SDK is not imported for it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from langswarm_sessions.providers.credentials import KEY, CredentialKind, KeyCredential
from langswarm_sessions.providers.gemini.profile import DEFAULT_BASE_URL

__all__ = ["GeminiCredential"]

_FIRST_VARIABLE = "GOOGLE_API_KEY"
"""Goes before GEMINI_API_KEY, as in the SDK."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiCredential(KeyCredential):
    """How requests are let in: as KeyCredential says.

    The key of the environment is `GOOGLE_API_KEY`, else `GEMINI_API_KEY`: so the SDK has it.
    """

    kind: ClassVar[CredentialKind] = CredentialKind(
        provider="gemini",
        package="google.genai",
        extra="gemini",
        variables={"api_key": "GEMINI_API_KEY", "base_url": "GOOGLE_GEMINI_BASE_URL"},
        default_base_url=DEFAULT_BASE_URL,
        clients=("Client",),
    )

    def check(self) -> None:
        """Refuse to go on without the SDK, without a key, or with an environment that cannot work."""
        if self.client is None and self.api_key is None and (value := os.environ.get(_FIRST_VARIABLE)):
            self.kind.refuse(KEY, value, named=f"{self.kind.provider}: {_FIRST_VARIABLE}")
        KeyCredential.check(self)

    @property
    def key(self) -> str | Callable[[], Awaitable[str]] | None:
        """The key that counts: given, or from the environment."""
        if self.api_key is not None:
            return self.api_key
        return os.environ.get(_FIRST_VARIABLE) or os.environ.get(self.kind.variables["api_key"]) or None

    def client_address(self, client: Any) -> str:
        """Return where a ready-made client sends requests."""
        return str(client._api_client.get_read_only_http_options().get("base_url") or DEFAULT_BASE_URL)
