"""The provider `runnable`: of sessions that wrapped Runnables answer, or that are history only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, ClassVar, NoReturn

from langswarm_sessions.errors import ConfigurationError, SessionExistsError, SessionNotFoundError
from langswarm_sessions.interfaces import (
    EngineProvider,
    ProviderEvent,
    ProviderProfile,
    ProviderRequest,
    ProviderSession,
)
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.messages import Role
from langswarm_sessions.providers import ProviderSessionFactory, canonical_name
from langswarm_sessions.session import Session
from langswarm_sessions_langchain.runnable.bound import RUNNABLE_PROFILE, RUNNABLE_PROVIDER

__all__ = ["DEFAULT_USER", "RunnableSession", "check_same", "open_conversation"]

DEFAULT_USER = "user"


class RunnableSession(EngineProvider, ProviderSession):
    """The live provider session of a conversation whose answers come from a wrapped Runnable, turn by turn.

    It cannot answer by itself: every turn brings its Runnable along.

    Args:
        session_id: The session it belongs to.
        model: What the model is called.
    """

    name = RUNNABLE_PROVIDER
    profile: ClassVar[ProviderProfile] = RUNNABLE_PROFILE
    keeps_state: ClassVar[bool] = False

    def __init__(self, session_id: str, model: str) -> None:
        self.session_id = session_id
        self.model = model

    async def stream_turn(self, request: ProviderRequest) -> AsyncIterator[ProviderEvent]:
        """Refuse: there is nobody to answer.

        Raises:
            ConfigurationError: Always.
        """
        self._refuse()
        yield

    def translate(self, error: Exception) -> Exception:
        """Return the error: it is this library's own."""
        return error

    async def send_message(
        self, content: str, role: str = Role.USER, metadata: dict[str, Any] | None = None
    ) -> NoReturn:
        """Refuse: there is nobody to answer.

        Raises:
            ConfigurationError: Always.
        """
        self._refuse()

    async def get_provider_metadata(self) -> dict[str, Any]:
        """Return provider and model."""
        return {"provider": self.name, "model": self.model}

    async def update_provider_config(self, config: dict[str, Any]) -> None:
        """Refuse settings: they belong to the wrapped Runnable.

        Raises:
            ConfigurationError: There is a setting.
        """
        if config:
            raise ConfigurationError(
                "provider_config: sessions of provider 'runnable' have no settings; configure the wrapped Runnable.",
                provider=self.name,
            )

    async def cleanup_provider_resources(self) -> None:
        """Do nothing: nothing is held."""

    def _refuse(self) -> NoReturn:
        raise ConfigurationError(
            "This session is answered by a LangChain Runnable: send through SessionRunnable(bound=...), which brings "
            "it along. Reading, archiving and deleting work here as in any session.",
            session_id=self.session_id,
            provider=self.name,
        )


async def open_conversation(
    manager: SessionManager,
    session_id: str,
    *,
    user_id: str | None,
    provider: str | None,
    model: str | None,
    provider_config: Mapping[str, Any] | None = None,
) -> Session:
    """Return the session with this id, created if there is none.

    Args:
        manager: Where sessions live.
        session_id: Which one.
        user_id: Whose it must be; None takes it whoever's it is, and creates it for `DEFAULT_USER`.
        provider: Of a new session.
        model: Of a new session.
        provider_config: Of a new session.

    Raises:
        SessionNotFoundError: It belongs to another user, or was deleted.
        ConfigurationError: There is none, and no provider and model to create it with.
    """
    try:
        session = await manager.get_session(session_id)
    except SessionNotFoundError:
        if provider is None or model is None:
            raise ConfigurationError(
                f"There is no session {session_id!r} yet, and no provider and model to create it with: pass both, as "
                "in provider='openai', model='gpt-5', or create it first.",
                session_id=session_id,
            ) from None
        if provider == RUNNABLE_PROVIDER:
            ProviderSessionFactory.register_provider(RUNNABLE_PROVIDER, RunnableSession)
        owner = user_id or DEFAULT_USER
        if provider_config:
            # One that was created meanwhile, or is another user's, is dealt with below.
            with suppress(SessionExistsError):
                return await manager.create_session(
                    owner, provider, model, provider_config=provider_config, session_id=session_id
                )
        return await manager.open_session(session_id, user_id=owner, provider=provider, model=model)
    if session.provider == RUNNABLE_PROVIDER:
        ProviderSessionFactory.register_provider(RUNNABLE_PROVIDER, RunnableSession)
    if user_id is not None and session.user_id != user_id:
        # The manager words the refusal: another user's session does not exist.
        return await manager.open_session(session_id, user_id=user_id, provider=session.provider, model=session.model)
    return session


def check_same(session: Session, *, provider: str | None, model: str | None = None) -> None:
    """Refuse to go on with a session under another provider or model than it has; None: whatever it has.

    Raises:
        ConfigurationError: It has another one.
    """
    for setting, name in {"provider": provider, "model": model}.items():
        has: str = getattr(session, setting)
        if name is not None and canonical_name(name) != has and name != has:
            raise ConfigurationError(
                f"{setting}={name!r}: the session was created with {has!r}. Leave provider= and model= out to go on "
                "with what it has, or use another session_id.",
                session_id=session.session_id,
                provider=session.provider,
            )
