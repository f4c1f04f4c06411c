"""What `providers={"cohere": ...}` may be. The SDK is not imported for it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, ClassVar

from langswarm_sessions.providers.cohere.profile import DEFAULT_BASE_URL
from langswarm_sessions.providers.credentials import KEY, CredentialKind, KeyCredential

__all__ = ["CohereCredential", "wrapper_of"]

_SECOND_VARIABLE = "COHERE_API_KEY"

_KIND = CredentialKind(
    provider="cohere",
    package="cohere",
    extra="cohere",
    variables={"api_key": "CO_API_KEY", "base_url": "CO_API_URL"},
    default_base_url=DEFAULT_BASE_URL,
    clients=("AsyncClientV2",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CohereCredential(KeyCredential):
    """How requests are let in: as KeyCredential says. Like the SDK, it also takes a key from `COHERE_API_KEY`."""

    kind: ClassVar[CredentialKind] = _KIND

    def check(self) -> None:
        """Refuse to go on without the SDK, without a key, or with an environment that cannot work."""
        KeyCredential.check(self)
        if self.client is None:
            self.kind.refuse(KEY, self.key, named=f"cohere: {_SECOND_VARIABLE}")

    @property
    def key(self) -> str | None:
        """The key that counts: given, or from the environment."""
        if isinstance(self.api_key, str):
            return self.api_key
        return os.environ.get(self.kind.variables["api_key"]) or os.environ.get(_SECOND_VARIABLE) or None

    def client_address(self, client: Any) -> str:
        """Return where a ready-made client sends requests."""
        return str(wrapper_of(client).get_base_url())


def wrapper_of(client: object) -> Any:
    """Return what a client of the SDK keeps its settings and its pool of connections in; it has no public name."""
    return getattr(client, "_client_wrapper")  # noqa: B009
