"""The provider `framework`: of sessions that an agent framework answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar, NoReturn

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces import (
    EngineProvider,
    ProviderEvent,
    ProviderProfile,
    ProviderRequest,
    ProviderSession,
)
from langswarm_sessions.messages import Role
from langswarm_sessions.providers import ProviderSessionFactory
from langswarm_sessions.records import NativeKind

__all__ = ["FRAMEWORK_PROVIDER", "FrameworkProvider", "register"]

FRAMEWORK_PROVIDER = "framework"


class FrameworkProvider(EngineProvider, ProviderSession):
    """The live provider session of a conversation that a framework's agents answer; it cannot answer by itself.

    Args:
        session_id: The session it belongs to.
        model: The framework's name.
    """

    name = FRAMEWORK_PROVIDER
    profile: ClassVar[ProviderProfile] = ProviderProfile(
        native=NativeKind.NONE, client=True, config_keys=frozenset(), otel_name=FRAMEWORK_PROVIDER, is_foreign=True
    )
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
        """Return provider and framework."""
        return {"provider": self.name, "model": self.model}

    async def update_provider_config(self, config: dict[str, Any]) -> None:
        """Refuse settings: they belong to the framework's agents.

        Raises:
            ConfigurationError: There is a setting.
        """
        if config:
            raise ConfigurationError(
                "provider_config: sessions of provider 'framework' have no settings; configure the agent that answers.",
                provider=self.name,
            )

    async def cleanup_provider_resources(self) -> None:
        """Do nothing: nothing is held."""

    def _refuse(self) -> NoReturn:
        raise ConfigurationError(
            f"This session is answered by an agent of {self.model}: run that agent with it, or hand it to a provider "
            "with session.handoff('openai', 'gpt-5'). Reading, archiving and deleting work here as in any session.",
            session_id=self.session_id,
            provider=self.name,
        )


def register() -> None:
    """Make the provider known, also where the package's entry points are not."""
    ProviderSessionFactory.register_provider(FRAMEWORK_PROVIDER, FrameworkProvider)
