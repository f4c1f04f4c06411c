"""Managers whose providers are the servers of other projects, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from llmock.pytest_plugin import LLMock

from langswarm_sessions import SessionManager
from tests.session.kit import OpenManager, open_manager
from tests.support.aimock import Aimock

__all__ = ["as_stream", "at_aimock", "at_llmock", "open_manager"]

PROVIDERS = ("openai", "anthropic", "gemini", "mistral", "cohere")


@pytest.fixture(params=[False, True], ids=["send", "stream"])
def as_stream(request: pytest.FixtureRequest) -> bool:
    """Whether answers are read as they come."""
    return bool(request.param)


@pytest.fixture
def at_aimock(aimock: Aimock, open_manager: OpenManager) -> SessionManager:
    """A manager whose five providers are all aimock."""
    return _manager(open_manager, lambda name: aimock.base_url if name == "openai" else aimock.url)


@pytest.fixture
def at_llmock(llmock: LLMock, open_manager: OpenManager) -> SessionManager:
    """A manager whose five providers are all llmock. The SDK of Mistral adds the version by itself."""
    return _manager(open_manager, lambda name: llmock.base_url(name).removesuffix("/v1" if name == "mistral" else ""))


def _manager(open_manager: OpenManager, address: Callable[[str], str]) -> SessionManager:
    credentials = {name: {"api_key": "test", "base_url": address(name)} for name in PROVIDERS}
    return open_manager("memory", providers=credentials)
