"""Turns asked of a live provider session directly, recorded like any other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.lifecycle import change_record, not_found
from langswarm_sessions.messages import SessionMessage, as_message
from langswarm_sessions.records import SessionRecord, TurnOptions
from langswarm_sessions.runtime import Runtime
from langswarm_sessions.session.inputs import turn_input
from langswarm_sessions.strategies import choose_strategy
from langswarm_sessions.turns import MessageStream, TurnStream, TurnSubject

__all__ = ["Recorder"]


class Recorder:
    """Lets a live provider session that is used directly record its turns; holds no handle alive."""

    __slots__ = ("_runtime", "_session_id")

    def __init__(self, runtime: Runtime, session_id: str) -> None:
        self._runtime = runtime
        self._session_id = session_id

    @property
    def native_id(self) -> str | None:
        """Id of the provider's conversation state, as last seen."""
        held = self._runtime.handles.get(self._session_id)
        return None if held is None or held.record.native is None else held.record.native.id

    async def record_turn(self, content: str, *, role: str, metadata: dict[str, Any] | None) -> SessionMessage:
        """Run a turn of the session and return its answer."""
        return await self._turn(await self._session(), content, role=role, metadata=metadata, stream=False).result()

    async def record_stream(self, content: str, *, metadata: dict[str, Any] | None) -> AsyncIterator[str]:
        """Run a streamed turn of the session."""
        session = await self._session()
        async with MessageStream(self._turn(session, content, role="user", metadata=metadata, stream=True)) as stream:
            async for chunk in stream:
                yield chunk

    async def save_provider_config(self, changes: Mapping[str, Any], *, profile: ProviderProfile) -> None:
        """Store changed provider settings with the session.

        Raises:
            ConfigurationError: The session's strategy needs what the provider does not do under them.
        """

        def changed(record: SessionRecord) -> SessionRecord:
            choose_strategy(record.strategy, provider=record.provider, profile=profile)
            return replace(record, provider_config={**record.provider_config, **changes})

        await change_record(self._runtime, self._session_id, changed)

    def _turn(
        self, session: TurnSubject, content: str, *, role: str, metadata: dict[str, Any] | None, stream: bool
    ) -> TurnStream:
        message = as_message(content, role=role, metadata=metadata)
        turn = turn_input([message], options=TurnOptions(), idempotency_key=None, timeout=None, stream=stream)
        return self._runtime.engine.start(session, turn)

    async def _session(self) -> TurnSubject:
        held = self._runtime.handles.get(self._session_id)
        if held is not None:
            return held
        record = await self._runtime.services.storage.load_session(self._session_id)
        if record is None:
            raise not_found(self._session_id)
        return self._runtime.handle(record)
