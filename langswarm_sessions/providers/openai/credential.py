"""What `providers={"openai": ...}` may be. The SDK is not imported for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from langswarm_sessions.providers.credentials import HEADER, KEY, CredentialKind, KeyCredential
from langswarm_sessions.providers.openai.profile import DEFAULT_BASE_URL
from langswarm_sessions.providers.settings import Setting

__all__ = ["OpenAICredential", "checked_key"]

_KIND = CredentialKind(
    provider="openai",
    package="openai",
    extra="openai",
    variables={
        "api_key": "OPENAI_API_KEY",
        "base_url": "OPENAI_BASE_URL",
        "organization": "OPENAI_ORG_ID",
        "project": "OPENAI_PROJECT_ID",
    },
    default_base_url=DEFAULT_BASE_URL,
    clients=("OpenAI", "AsyncOpenAI"),
    takes={
        "api_key": Setting(
            f"{KEY.expects}, or an async function that returns one",
            lambda value: callable(value) or KEY.accepts(value),
        ),
        "organization": HEADER,
        "project": HEADER,
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAICredential(KeyCredential):
    """How requests are let in: as KeyCredential says, and `api_key` may be an async function that returns a key.

    Args:
        organization: None takes `OPENAI_ORG_ID`.
        project: None takes `OPENAI_PROJECT_ID`.
    """

    kind: ClassVar[CredentialKind] = _KIND

    organization: str | None = None
    project: str | None = None


def checked_key(key: object) -> str:
    """Return what a key function returned, if it can be sent.

    Raises:
        ConfigurationError: It is no key.
    """
    _KIND.refuse(KEY, key, named=f"{_KIND.where}: what api_key returns")
    return str(key)
