"""What a session is: its attributes, its live provider, its row as last seen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, cast

from langswarm_sessions.config import SessionConfig
from langswarm_sessions.interfaces.provider import EngineProvider, ProviderSession
from langswarm_sessions.lifecycle import not_found
from langswarm_sessions.records import SessionRecord, SessionStatus
from langswarm_sessions.runtime import Runtime
from langswarm_sessions.session.recorder import Recorder

__all__ = ["SessionHandle"]


class SessionHandle:
    """The attributes of a session, as last seen."""

    __slots__ = ("__weakref__", "_closing", "_engine_provider", "_live", "_record", "_runtime")

    def __init__(self, runtime: Runtime, record: SessionRecord) -> None:
        self._runtime = runtime
        self._record = record
        self._live: ProviderSession | None = None
        self._engine_provider: EngineProvider | None = None
        self._closing: Callable[[], Awaitable[None]] | None = None

    def __repr__(self) -> str:
        """Show ids and names, no content."""
        record = self._record
        return f"<Session {record.session_id} {record.provider}/{record.model} {record.status.value}>"

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._record.session_id

    @property
    def user_id(self) -> str:
        """Whose conversation it is."""
        return self._record.user_id

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self._record.provider

    @property
    def model(self) -> str:
        """The model's name."""
        return self._record.model

    @property
    def status(self) -> SessionStatus:
        """Active, archived or deleted."""
        return self._record.status

    @property
    def message_count(self) -> int:
        """How many messages the transcript shows."""
        return self._record.counters.messages

    @property
    def created_at(self) -> datetime:
        """When it was created, in UTC."""
        return self._record.created_at

    @property
    def last_activity(self) -> datetime:
        """When something was last said, in UTC."""
        return self._record.last_activity

    @property
    def config(self) -> SessionConfig:
        """The SessionConfig."""
        return self._record.config

    @property
    def provider_session(self) -> Any:
        """The live provider session: the one that answers this session's turns."""
        if self._live is None:
            self._live = self._runtime.providers.open(self._record)
            bind = getattr(self._live, "bind", None)
            if isinstance(self._live, EngineProvider) and bind is not None:
                bind(Recorder(self._runtime, self.session_id))
        return self._live

    @property
    def provider_session_id(self) -> str | None:
        """The id of the provider's own conversation state; None until there is one."""
        if self._record.native is not None:
            return self._record.native.id
        live = self.provider_session
        own = None if isinstance(live, EngineProvider) else getattr(live, "provider_session_id", None)
        return own if isinstance(own, str) else None

    # What turns need (TurnSubject)

    @property
    def record(self) -> SessionRecord:
        """The session's row as last seen."""
        return self._record

    @property
    def engine_provider(self) -> EngineProvider:
        """The provider session in the form the engine runs."""
        if self._engine_provider is None:
            self._engine_provider = self._runtime.providers.face(self._record, self.provider_session)
        return self._engine_provider

    def adopt(self, record: SessionRecord) -> None:
        """Take a newer row; a change of provider or settings takes effect with the next turn."""
        before = self._record
        if record.version < before.version and record.created_at == before.created_at:
            return  # read before, handed over after a newer one
        self._record = record
        moved = (before.provider, before.model) != (record.provider, record.model)
        if moved or record.status is SessionStatus.DELETED or not self._has_settings(record):
            self._live = self._engine_provider = None

    def _has_settings(self, record: SessionRecord) -> bool:
        """Whether a built-in live session works with the settings of a row: another process may have changed them."""
        config: object = getattr(self._live, "config", None)
        if not isinstance(self._live, EngineProvider) or not isinstance(config, Mapping):
            return True
        settings = cast("Mapping[str, object]", config)
        return dict(settings) == {key: value for key, value in record.provider_config.items() if value is not None}

    async def refresh(self) -> None:
        """Read the session's row again.

        Raises:
            SessionNotFoundError: It was purged.
        """
        record = await self._runtime.services.storage.load_session(self.session_id)
        if record is None:
            raise not_found(self.session_id)
        self.adopt(record)
