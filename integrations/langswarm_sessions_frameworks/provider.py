"""The provider `framework`: of sessions that an agent framework answers."""

from __future__ import annotations

from typing import ClassVar

from langswarm_sessions.interfaces import ProviderProfile
from langswarm_sessions.providers import ProviderSessionFactory
from langswarm_sessions.providers.elsewhere import AnsweredElsewhere
from langswarm_sessions.records import NativeKind

__all__ = ["FRAMEWORK_PROVIDER", "FrameworkProvider", "register"]

FRAMEWORK_PROVIDER = "framework"


class FrameworkProvider(AnsweredElsewhere):
    """The live provider session of a conversation that a framework's agents answer; it cannot answer by itself.

    Args:
        session_id: The session it belongs to.
        model: The framework's name.
    """

    name = FRAMEWORK_PROVIDER
    profile: ClassVar[ProviderProfile] = ProviderProfile(
        native=NativeKind.NONE, client=True, config_keys=frozenset(), otel_name=FRAMEWORK_PROVIDER, is_foreign=True
    )
    configured: ClassVar[str] = "the agent that answers"

    def how_to_send(self) -> str:
        """Return who answers, and how to let a provider answer instead."""
        return (
            f"This session is answered by an agent of {self.model}: run that agent with it, or hand it to a provider "
            "with session.handoff('openai', 'gpt-5')."
        )


def register() -> None:
    """Make the provider known, also where the package's entry points are not."""
    ProviderSessionFactory.register_provider(FRAMEWORK_PROVIDER, FrameworkProvider)
