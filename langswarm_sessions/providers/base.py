"""What the built-in providers share: the live session a user holds, and the connection it came from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, ClassVar, Generic, TypeVar

from langswarm_sessions.errors import ConfigurationError, IncompleteStreamError, InvalidInputError
from langswarm_sessions.interfaces.provider import (
    Completed,
    EngineSession,
    ProviderEvent,
    ProviderProfile,
    ProviderRequest,
    TextDelta,
    TurnRecorder,
)
from langswarm_sessions.interfaces.traffic import TrafficRules
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.providers.settings import (
    DOCUMENTED_SETTINGS,
    Forms,
    Setting,
    check_forms,
    check_settings,
    given_settings,
    warn_of_ignored,
)
from langswarm_sessions.providers.traffic import ControlledConnection
from langswarm_sessions.records import NativeState

__all__ = ["BuiltInConnection", "BuiltInProviderSession", "answer_message", "check_model", "collect"]


class BuiltInConnection(ControlledConnection):
    """A connection that checks models and settings against the provider's profile."""

    profile: ClassVar[ProviderProfile]
    settings: ClassVar[Mapping[str, Setting]] = DOCUMENTED_SETTINGS
    forms: ClassVar[Forms] = {}
    """What brings settings into the form that is sent, where not every legal value has one."""

    def __init__(self) -> None:
        super().__init__()
        self._warned: set[str] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def check(self, model: str, config: Mapping[str, Any]) -> None:
        """Refuse an empty model and unknown or ill-typed settings; log settings without effect once."""
        check_model(model, provider=self.name)
        self.check_config(config)
        warn_of_ignored(config, provider=self.name, profile=self.profile_for(config), seen=self._warned)

    def profile_for(self, config: Mapping[str, Any]) -> ProviderProfile:
        """Return what the provider can do under a provider_config; override where that depends on it."""
        return self.profile

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Refuse unknown or ill-typed settings, and those that have no form here."""
        check_settings(config, provider=self.name, profile=self.profile, settings=self.settings)
        check_forms(config, self.forms, provider=self.name)


def check_model(model: object, *, provider: str) -> None:
    """Refuse what cannot be the name of a model.

    Raises:
        ConfigurationError: It is not a string, or empty.
    """
    if not isinstance(model, str) or not model.strip():
        raise ConfigurationError(f"model must be the name of a model of {provider} (a string).", provider=provider)


C = TypeVar("C", bound=BuiltInConnection)

_NO_CONFIG: Mapping[str, Any] = {}


class BuiltInProviderSession(EngineSession, Generic[C]):
    """The live provider session of one conversation.

    Asked by a session's user (`session.provider_session.send_message(...)`), the turn is recorded in the session.
    Built by hand, without a session, it asks the provider directly and keeps only the provider's own state.

    Args:
        session_id: The session it belongs to.
        model: The provider's model.
        config: Its provider_config.
        connection: Where requests go.
        owns_connection: Whether `cleanup_provider_resources` closes the connection.

    Raises:
        ConfigurationError: A setting is unknown or ill-typed.
    """

    __slots__ = ("_config", "_connection", "_native", "_owns_connection", "_recorder", "model", "session_id")

    def __init__(
        self,
        session_id: str,
        model: str,
        config: Mapping[str, Any] | None = None,
        *,
        connection: C,
        owns_connection: bool = False,
    ) -> None:
        self.session_id = session_id
        self.model = model
        self._connection = connection
        self._owns_connection = owns_connection
        self._config = given_settings(config) if config else _NO_CONFIG
        self._recorder: TurnRecorder | None = None
        self._native: NativeState | None = None
        if owns_connection:
            connection.check(model, self._config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} session_id={self.session_id!r} model={self.model!r}>"

    def bind(self, recorder: TurnRecorder) -> None:
        """Make the turns asked of this object turns of a session.

        Args:
            recorder: The session.
        """
        self._recorder = recorder

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings in force."""
        return self._config

    @property
    def traffic(self) -> TrafficRules | None:
        """What its requests are held to: the connection says so."""
        return self._connection.traffic(self._config)

    @property
    def provider_session_id(self) -> str | None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """Id of the conversation at the provider, None until there is one."""
        if self._recorder is not None:
            return self._recorder.native_id
        return self._native.id if self._native is not None else None

    async def send_message(
        self, content: str, role: str = Role.USER, metadata: dict[str, Any] | None = None
    ) -> SessionMessage:
        """Run a turn and return the answer.

        Args:
            content: What is said.
            role: Who says it.
            metadata: Kept with the input.

        Raises:
            SessionError: The turn failed; the message says what to do.
        """
        if self._recorder is not None:
            return await self._recorder.record_turn(content, role=role, metadata=metadata)
        completed = await collect(self._ask(content, role, metadata), provider=self.name)
        return answer_message(completed, session_id=self.session_id)

    def send_message_stream(
        self, content: str, role: str = Role.USER, metadata: dict[str, Any] | None = None
    ) -> AsyncIterator[str]:
        """Run a turn and yield the answer's text as it comes.

        Args:
            content: What is said.
            role: Must be `user`: other roles are sent with `send_message`.
            metadata: Kept with the input.

        Raises:
            InvalidInputError: The role is not `user`.
        """
        if role != Role.USER:
            raise InvalidInputError("send_message_stream: role must be 'user'; use send_message for other roles.")
        if self._recorder is not None:
            return self._recorder.record_stream(content, metadata=metadata)
        return self._texts(content, role, metadata)

    async def get_provider_metadata(self) -> dict[str, Any]:
        """Return provider, model, kind of native state, its id, and the settings. Nothing in it is secret."""
        return {
            "provider": self.name,
            "model": self.model,
            "native": str(self.profile.native),
            "provider_session_id": self.provider_session_id,
            "config": dict(self._config),
        }

    async def update_provider_config(self, config: dict[str, Any]) -> None:
        """Merge settings; they hold from the next turn on and are stored with the session. None unsets.

        Raises:
            ConfigurationError: A setting is unknown or ill-typed, or does not go with the others or with the session's
                strategy; nothing was changed.
        """
        self._connection.check_config(config)
        merged = {**self._config, **config}
        self._connection.check_config(merged)  # each may be right, and not go with the others
        if self._recorder is not None:
            profile = self._connection.profile_for(merged)
            await self._recorder.save_provider_config(config, profile=profile)
        self._config = given_settings(merged)

    async def cleanup_provider_resources(self) -> None:
        """Close what this object opened; a connection shared with other sessions stays."""
        if self._owns_connection:
            await self._connection.aclose()

    @abstractmethod
    def stream_turn(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        """Send one request and yield its events, ending with `Completed`."""

    async def _texts(self, content: str, role: str, metadata: dict[str, Any] | None) -> AsyncGenerator[str, None]:
        ended = False
        async with aclosing(self._ask(content, role, metadata)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    yield event.text
                ended = isinstance(event, Completed)
        if not ended:
            raise _cut_short(self.name)

    async def _ask(
        self, content: str, role: str, metadata: dict[str, Any] | None
    ) -> AsyncGenerator[ProviderEvent, None]:
        message = SessionMessage(role=Role(role), content=content, session_id=self.session_id, metadata=metadata or {})
        told: str | None = self._config.get("instructions")
        request = ProviderRequest(messages=(message,), native=self._native, keep_native=True, instructions=told)
        async with aclosing(self.stream_turn(request)) as events:
            async for event in events:
                if isinstance(event, Completed):
                    self._native = self._state(event)
                yield event

    def _state(self, completed: Completed) -> NativeState | None:
        if completed.native_id is None:
            return None
        return NativeState(
            provider=self.name,
            kind=self.profile.native,
            id=completed.native_id,
            cursor=0,
            turn_id="",
            model=self.model,
            memo=completed.native_memo,
        )


async def collect(events: AsyncIterator[ProviderEvent], *, provider: str) -> Completed:
    """Read a stream to its end and return the whole answer.

    Args:
        events: What `stream_turn` returned.
        provider: The provider's name, for the message.

    Raises:
        IncompleteStreamError: The stream ended without its terminal event.
    """
    completed: Completed | None = None
    async for event in events:
        if isinstance(event, Completed):
            completed = event
    if completed is None:
        raise _cut_short(provider)
    return completed


def _cut_short(provider: str) -> IncompleteStreamError:
    return IncompleteStreamError(
        f"{provider}: the stream ended before the answer was complete. Send the message again.", provider=provider
    )


def answer_message(completed: Completed, *, session_id: str = "") -> SessionMessage:
    """Return an answer as a message of the assistant."""
    return SessionMessage(
        role=Role.ASSISTANT,
        session_id=session_id,
        parts=list(completed.parts),
        provider_message_id=completed.provider_message_id,
        provider_metadata={
            "model": completed.model,
            "usage": completed.usage.to_json(),
            "finish_reason": completed.finish_reason,
            "request_id": completed.request_id,
        },
        provider_payload=dict(completed.payload) if completed.payload is not None else None,
    )
