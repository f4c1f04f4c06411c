"""A chat model as a connection: checked, its own retries off."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from langchain_core.language_models import BaseChatModel

from langswarm_sessions.checks import check_name
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.providers.base import BuiltInConnection, check_model
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS
from langswarm_sessions_langchain.provider.adapter import LangChainProviderSession
from langswarm_sessions_langchain.provider.errors import failures_of
from langswarm_sessions_langchain.provider.profile import (
    WITHOUT_EFFECT,
    has_foreign_tracer,
    model_names,
    profile_of,
)

__all__ = ["LangChainProvider", "connect_chat_model", "without_own_retries"]

logger = logging.getLogger(__name__)


class LangChainProvider(BuiltInConnection):
    """A LangChain chat model that answers sessions.

    `providers={"mychat": ChatSomething(...)}` makes one of it. It is given the window of every turn (it keeps no
    conversations), streamed, and asked once per attempt: its own retries are off, the session retries.

    Args:
        chat_model: Any BaseChatModel. It is not changed; one with `max_retries` is asked through a copy without.
        name: The provider's name; give it the name it has in `providers={...}`.

    Raises:
        ConfigurationError: It is something else than a chat model.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langswarm_sessions import create_session_manager
        >>> chat = LangChainProvider(FakeListChatModel(responses=["Hello."]), name="mychat")
        >>> manager = create_session_manager(storage="memory", providers={"mychat": chat}, blocking=True)
        >>> manager.create_session("ada", "mychat", "fake").send_message("hi").content
        'Hello.'
        >>> manager.close()
    """

    def __init__(self, chat_model: BaseChatModel, *, name: str = "langchain") -> None:
        super().__init__()
        self.name = check_name(name, field="name")
        if not isinstance(chat_model, BaseChatModel):
            raise ConfigurationError(
                f"providers={{{self.name!r}: ...}}: {type(chat_model).__name__} is no chat model. Give a BaseChatModel "
                "without bind, with_retry or other steps around it: tools and settings belong to the session. A chain "
                "or an agent goes into SessionRunnable(bound=...).",
                provider=self.name,
            )
        self.chat_model = without_own_retries(chat_model)
        self.failures = failures_of(self.name)
        self._profiles = tuple(profile_of(chat_model, is_foreign=foreign, name=self.name) for foreign in (False, True))
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {type(self.chat_model).__name__}>"

    @property
    def profile(self) -> ProviderProfile:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What the chat model can do. Where somebody traces LangChain already, its calls are not traced twice."""
        return self._profiles[has_foreign_tracer()]

    def check(self, model: str, config: Mapping[str, Any]) -> None:
        """Refuse an empty model and settings the chat model does not have; log a model that it will not ask."""
        check_model(model, provider=self.name)
        names = model_names(self.chat_model)
        if names and model not in names and model not in self._told:
            self._told.add(model)
            logger.warning(
                "provider %s: the session's model is %r, but the chat model given asks %r; every answer says which.",
                self.name,
                model,
                names[0],
            )
        super().check(model, config)

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Refuse unknown or ill-typed settings, and those this chat model has no field for."""
        if isinstance(config, Mapping):
            config = {name: value for name, value in config.items() if not self._is_unset(name, value)}
        super().check_config(config)
        if config.get("native") not in (None, "none"):
            raise ConfigurationError(
                f"provider_config of {self.name}: native must be 'none': chat models keep no conversations.",
                provider=self.name,
            )

    def _is_unset(self, name: str, value: object) -> bool:
        """Whether a setting this chat model does not have is not set either.

        Raises:
            ConfigurationError: It is set: a setting a model is not given must not look as if it were.
        """
        if name not in DOCUMENTED_SETTINGS or name in self.profile.config_keys | WITHOUT_EFFECT:
            return False
        if value is None:
            return True
        raise ConfigurationError(
            f"provider_config of {self.name}: {name!r} is nothing a session can set on "
            f"{type(self.chat_model).__name__}. Set it on the chat model you pass, or leave it out.",
            provider=self.name,
        )

    def open(self, session_id: str, model: str, config: Mapping[str, Any]) -> LangChainProviderSession:
        """Return the live session of one conversation. Nothing is sent."""
        return LangChainProviderSession(session_id, model, config, connection=self)


def connect_chat_model(name: str, chat_model: Any) -> LangChainProvider:
    """Return a connection to what `providers={name: ...}` was given.

    Raises:
        ConfigurationError: It is an object of LangChain's, but no chat model.
    """
    return LangChainProvider(chat_model, name=name)


def without_own_retries(model: BaseChatModel) -> BaseChatModel:
    """Return a chat model that sends a request once: the same, or a copy with `max_retries=0`.

    A model may have handed its number of retries to the client of an SDK already. Clients that can be copied (those
    of OpenAI, Anthropic and their like) are, with the same connections; what is made on first use is made anew.

    Args:
        model: Any chat model.
    """
    kind = type(model)
    if "max_retries" not in kind.model_fields:
        return model
    quiet = model.model_copy(update={"max_retries": 0})
    state = vars(quiet)
    for name, value in list(state.items()):
        if isinstance(getattr(kind, name, None), cached_property):
            del state[name]
        elif (client := _quiet_client(value)) is not None:
            state[name] = client
        elif (client := _quiet_client(getattr(value, "_client", None))) is not None:  # a part of a client
            state[name] = type(value)(client)
    return quiet


def _quiet_client(value: Any) -> Any:
    """Return an SDK's client without retries; None for what is no such client."""
    if isinstance(value, type) or not hasattr(value, "max_retries") or isinstance(value, BaseChatModel):
        return None
    copied = getattr(value, "with_options", None)
    return copied(max_retries=0) if callable(copied) else None
