"""Sessions whose answers are made outside the turn engine, by whoever the user runs: live, but not able to answer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any, ClassVar, NoReturn

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces import EngineProvider, ProviderEvent, ProviderRequest, ProviderSession
from langswarm_sessions.messages import Role

__all__ = ["AnsweredElsewhere"]


class AnsweredElsewhere(EngineProvider, ProviderSession):
    """The live provider session of a conversation that somebody else answers.

    Args:
        session_id: The session it belongs to.
        model: What answers is called.
    """

    configured: ClassVar[str]
    """Where its settings are: ends the sentence "configure ..."."""
    keeps_state: ClassVar[bool] = False

    def __init__(self, session_id: str, model: str) -> None:
        self.session_id = session_id
        self.model = model

    @abstractmethod
    def how_to_send(self) -> str:
        """Return what to do instead of sending here, in sentences."""

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
        """Refuse settings: they belong to what answers.

        Raises:
            ConfigurationError: There is a setting.
        """
        if config:
            raise ConfigurationError(
                f"provider_config: sessions of provider {self.name!r} have no settings; configure {self.configured}.",
                provider=self.name,
            )

    async def cleanup_provider_resources(self) -> None:
        """Do nothing: nothing is held."""

    def _refuse(self) -> NoReturn:
        raise ConfigurationError(
            f"{self.how_to_send()} Reading, archiving and deleting work here as in any session.",
            session_id=self.session_id,
            provider=self.name,
        )
