"""A session's provider under other settings, or with another model, for one turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from copy import copy
from dataclasses import replace
from typing import Any, NoReturn, cast

from langswarm_sessions.config import Strategy
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces import (
    Completed,
    EngineProvider,
    ModelLimits,
    ProviderEvent,
    ProviderProfile,
    ProviderRequest,
)
from langswarm_sessions.interfaces.traffic import TrafficRules
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.providers.base import BuiltInProviderSession
from langswarm_sessions.records import NativeKind, NativeState
from langswarm_sessions.session import Session

__all__ = ["asked_otherwise"]


async def asked_otherwise(session: Session, *, settings: Mapping[str, Any], model: str | None) -> EngineProvider | None:
    """Return who answers a turn that asks for other settings than its session has; None: the session's own provider.

    Args:
        session: The session; its own settings stay.
        settings: What holds for this turn in their place.
        model: The model that is asked; None: the session's.

    Raises:
        ConfigurationError: A setting is unknown or wrong, or the provider has no settings.
    """
    own = session.record.provider_config
    other = {name: value for name, value in settings.items() if own.get(name) != value}
    if not other and model in (None, session.model):
        return None
    live: object = session.provider_session
    if not isinstance(live, BuiltInProviderSession):
        raise ConfigurationError(
            f"{', '.join(sorted(other)) or 'model'}: a provider of your own takes no settings with a call. Leave them "
            "out, or set them on it.",
            session_id=session.session_id,
            provider=session.provider,
        )
    asked = copy(cast("BuiltInProviderSession[Any]", live))  # type: ignore[redundant-cast]
    asked.bind(_NobodysRecorder(session.provider_session_id))
    if other:
        await asked.update_provider_config(other)
    asked.model = model or session.model
    if session.record.strategy is Strategy.CLIENT:
        return _GivenTheWindow(asked)
    return asked


class _NobodysRecorder:
    """Takes settings that hold for one turn: nothing of them is stored."""

    def __init__(self, native_id: str | None) -> None:
        self.native_id = native_id

    async def record_turn(self, content: str, *, role: str, metadata: dict[str, Any] | None) -> SessionMessage:
        """Refuse: the turn is taken by the session."""
        self._refuse()

    def record_stream(self, content: str, *, metadata: dict[str, Any] | None) -> AsyncIterator[str]:
        """Refuse: the turn is taken by the session."""
        self._refuse()

    async def save_provider_config(self, changes: Mapping[str, Any], *, profile: ProviderProfile) -> None:
        """Store nothing."""

    def _refuse(self) -> NoReturn:
        raise ConfigurationError("Turns of a session are taken by the session: use session.send_message().")


class _GivenTheWindow(EngineProvider):
    """A provider that is to keep nothing, whatever it could: its session's strategy is `client`."""

    def __init__(self, provider: EngineProvider) -> None:
        self._provider = provider
        self.name = provider.name  # type: ignore[misc]  # pyright: ignore[reportIncompatibleVariableOverride]
        self.model = provider.model

    @property
    def profile(self) -> ProviderProfile:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What it can do with a window it is to keep nothing of."""
        return replace(self._provider.profile.for_window(keep_native=False), native=NativeKind.NONE)

    def stream_turn(self, request: ProviderRequest) -> AsyncIterator[ProviderEvent]:
        """Send the request."""
        return self._provider.stream_turn(request)

    def translate(self, error: Exception) -> Exception:
        """Return this library's error."""
        return self._provider.translate(error)

    async def reconcile(self, request: ProviderRequest) -> Completed | None:
        """Find out what became of a request."""
        return await self._provider.reconcile(request)

    async def delete_native(self, native: NativeState) -> None:
        """Delete what the provider keeps."""
        await self._provider.delete_native(native)

    async def model_limits(self) -> ModelLimits | None:
        """Ask how much the model takes."""
        return await self._provider.model_limits()

    async def count_tokens(self, request: ProviderRequest) -> int | None:
        """Let the provider count."""
        return await self._provider.count_tokens(request)

    def endpoint(self) -> tuple[str | None, int | None]:
        """Return where requests go."""
        return self._provider.endpoint()

    @property
    def traffic(self) -> TrafficRules | None:
        """What its requests are held to."""
        return self._provider.traffic
