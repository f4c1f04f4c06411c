"""What `providers={...}` may hold for a provider that is let in by a key. No SDK is imported for it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from typing import Any, ClassVar, Self, cast

from langswarm_sessions.checks import naming
from langswarm_sessions.config import check_keys
from langswarm_sessions.errors import ConfigurationError, MissingDependencyError
from langswarm_sessions.interfaces.traffic import TRAFFIC_KEYS, TrafficSettings
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS, Setting, given_settings

__all__ = ["HEADER", "KEY", "CredentialKind", "KeyCredential"]

_ASCII = "printable ASCII, without spaces around it"
_HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)


def _is_header_text(value: object) -> bool:
    """Whether a text can be sent as a header: HTTP takes no line ends, and clients write ASCII."""
    return isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()


def _is_key(value: object) -> bool:
    return bool(value) and _is_header_text(value)


def _are_headers(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    headers = cast(Mapping[object, object], value)
    return all(
        isinstance(name, str) and _HEADER_NAME.fullmatch(name) and _is_header_text(text)
        for name, text in headers.items()
    )


KEY = Setting(f"a key ({_ASCII}, not empty)", _is_key)
HEADER = Setting(f"a string ({_ASCII})", _is_header_text)
_HEADERS = Setting(f"a dict of header names and values ({_ASCII})", _are_headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialKind:
    """What is peculiar to one provider's credential.

    Args:
        provider: The provider's name.
        package: The SDK's import name.
        extra: The extra that installs it.
        variables: Fields to the variables of the environment that stand in for them; `api_key` first of all.
        default_base_url: Where requests go unless anything says otherwise.
        clients: Names of the SDK's client classes in `package`.
        takes: What each further field takes.
    """

    provider: str
    package: str
    extra: str
    variables: Mapping[str, str]
    default_base_url: str
    clients: tuple[str, ...]
    takes: Mapping[str, Setting] = field(default_factory=dict[str, Setting])

    @property
    def where(self) -> str:
        """Where a user wrote it."""
        return f"providers={{{self.provider!r}: ...}}"

    def is_sdk_client(self, value: object) -> bool:
        """Whether a value is one of the SDK's clients; that means that the SDK is loaded."""
        sdk = sys.modules.get(self.package)
        return sdk is not None and isinstance(value, tuple(getattr(sdk, name) for name in self.clients))

    def setting(self, name: str) -> Setting:
        """Return what a field takes."""
        if name == "client":
            return Setting(f"a client of the SDK ({' or '.join(self.clients)})", self.is_sdk_client)
        return self.takes[name] if name in self.takes else _SHARED_FIELDS[name]

    def refuse(self, setting: Setting, value: object, *, named: str) -> None:
        """Refuse a value that is not taken. It is not shown: it may be a key."""
        if not setting.accepts(value):
            raise ConfigurationError(f"{named} must be {setting.expects}.", provider=self.provider)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCredential(TrafficSettings):
    """How requests are let in, and, as TrafficSettings says, how many a minute and whether after failures.

    Args:
        api_key: A key; None takes the environment's.
        base_url: The API's address; None takes the environment's, else the provider's own.
        timeout: Seconds without a byte after which a request is given up; None takes the SDK's default.
        default_headers: Sent with every request.
        client: A ready-made SDK client, which says all of the above.
    """

    kind: ClassVar[CredentialKind]

    api_key: str | Callable[[], Awaitable[str]] | None = field(default=None, repr=False)
    base_url: str | None = None
    timeout: float | None = None
    default_headers: Mapping[str, str] | None = field(default=None, repr=False)
    client: Any = field(default=None, repr=False)

    @classmethod
    def of(cls, value: object) -> Self:
        """Return a credential from None, a key, a dict of the fields above, or an SDK client.

        Raises:
            ConfigurationError: It is something else, or a field is unknown or wrong.
        """
        if value is None:
            return cls()
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls._of_mapping({"api_key": value})
        if isinstance(value, Mapping):
            return cls._of_mapping(cast(Mapping[str, Any], value))
        if cls.kind.is_sdk_client(value):
            return cls(client=value)
        clients = " or ".join(cls.kind.clients)
        raise ConfigurationError(
            f"{cls.kind.where}: give a key, a dict (api_key, base_url, ...), a client of the SDK ({clients}), or None.",
            provider=cls.kind.provider,
        )

    @classmethod
    def _of_mapping(cls, data: Mapping[str, Any]) -> Self:
        kind = cls.kind
        check_keys(data, [known.name for known in fields(cls)], where=kind.where)
        for name, value in given_settings(data).items():
            if name in TRAFFIC_KEYS:  # checked by their own class
                continue
            kind.refuse(kind.setting(name), value, named=f"{kind.where}: {name}")
        with naming(kind.where):
            return cls(**data)

    def check(self) -> None:
        """Refuse to go on without the SDK, without a key, or with an environment that cannot work.

        Raises:
            MissingDependencyError: The SDK is not installed; the message names the extra.
            ConfigurationError: There is no key, or a variable that counts is wrong.
        """
        kind = self.kind
        if kind.package not in sys.modules and not _is_installed(kind.package):
            raise MissingDependencyError(
                f"The {kind.provider} provider needs the {kind.package} package: "
                f"pip install 'langswarm-sessions[{kind.extra}]'.",
                provider=kind.provider,
            )
        if self.client is not None:
            return
        for name, variable in kind.variables.items():
            if getattr(self, name) is None and (value := os.environ.get(variable)):
                kind.refuse(kind.setting(name), value, named=f"{kind.provider}: {variable}")
        if self.key is None:
            raise ConfigurationError(
                f"{kind.provider}: no API key. Set {kind.variables['api_key']}, or pass {kind.where} with a key. "
                "(A server that needs none takes any text.)",
                provider=kind.provider,
            )

    @property
    def key(self) -> str | Callable[[], Awaitable[str]] | None:
        """The key that counts: given, or from the environment."""
        return self.api_key if self.api_key is not None else os.environ.get(self.kind.variables["api_key"]) or None

    @property
    def told_key(self) -> str | None:
        """The key that counts, if it can be told before it is sent: a function's, and many clients', cannot."""
        key: object = self.key if self.client is None else getattr(self.client, "api_key", None)
        return key if isinstance(key, str) and key else None

    def address(self, base_url: str | None) -> str:
        """Return where requests go.

        Args:
            base_url: The session's own choice.
        """
        for chosen in (base_url, self.base_url):
            if chosen is not None:
                return chosen
        if self.client is not None:
            return self.client_address(self.client)
        variable = self.kind.variables.get("base_url")
        return (os.environ.get(variable) if variable else None) or self.kind.default_base_url

    def client_address(self, client: Any) -> str:
        """Return where a ready-made client sends requests."""
        return str(client.base_url)


_SHARED_FIELDS: Mapping[str, Setting] = {
    "api_key": KEY,
    "base_url": DOCUMENTED_SETTINGS["base_url"],
    "timeout": DOCUMENTED_SETTINGS["timeout"],
    "default_headers": _HEADERS,
}


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of a dotted name: its parent is missing
        return False
