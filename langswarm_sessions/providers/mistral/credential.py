"""What `providers={"mistral": ...}` may be. The SDK is not imported for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from langswarm_sessions.providers.credentials import CredentialKind, KeyCredential
from langswarm_sessions.providers.mistral.profile import DEFAULT_BASE_URL

__all__ = ["MistralCredential"]

_KIND = CredentialKind(
    provider="mistral",
    package="mistralai.client",
    extra="mistral",
    variables={"api_key": "MISTRAL_API_KEY"},
    default_base_url=DEFAULT_BASE_URL,
    clients=("Mistral",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MistralCredential(KeyCredential):
    """How requests are let in: as KeyCredential says. `base_url` is the server's address, with or without `/v1`."""

    kind: ClassVar[CredentialKind] = _KIND

    def client_address(self, client: Any) -> str:
        """Return where a ready-made client sends requests."""
        return str(client.sdk_configuration.get_server_details()[0])
