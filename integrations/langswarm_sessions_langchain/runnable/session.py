"""The provider `runnable`: of sessions that wrapped Runnables answer, or that are history only."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from langswarm_sessions.errors import ConfigurationError, SessionExistsError, SessionNotFoundError
from langswarm_sessions.interfaces import ProviderProfile
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.providers import ProviderSessionFactory, canonical_name
from langswarm_sessions.providers.elsewhere import AnsweredElsewhere
from langswarm_sessions.session import Session
from langswarm_sessions_langchain.runnable.bound import RUNNABLE_PROFILE, RUNNABLE_PROVIDER

__all__ = ["DEFAULT_USER", "RunnableSession", "check_same", "open_conversation"]

DEFAULT_USER = "user"


class RunnableSession(AnsweredElsewhere):
    """The live provider session of a conversation whose answers come from a wrapped Runnable, turn by turn.

    It cannot answer by itself: every turn brings its Runnable along.

    Args:
        session_id: The session it belongs to.
        model: What the model is called.
    """

    name = RUNNABLE_PROVIDER
    profile: ClassVar[ProviderProfile] = RUNNABLE_PROFILE
    configured: ClassVar[str] = "the wrapped Runnable"

    def how_to_send(self) -> str:
        """Return how the Runnable is brought along."""
        return (
            "This session is answered by a LangChain Runnable: send through SessionRunnable(bound=...), which brings "
            "it along."
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
