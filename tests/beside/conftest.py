"""Stand-ins for the packages of others; the real ones are in tests/accept/beside."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from langswarm_sessions import SessionManager
from tests.support.recorded import Recorded

Load = Callable[..., ModuleType]


@dataclass
class InferenceData:
    """What the official instrumentations publish."""

    upload_completion: bool = False


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a package that is not installed, with what it holds."""

    def put(name: str, **content: Any) -> ModuleType:
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return put


@pytest.fixture
def openinference(load: Load) -> None:
    load("openinference.instrumentation")


@pytest.fixture
def official(load: Load) -> None:
    load("opentelemetry.util.genai._conversation_context", CONVERSATION_ID_KEY="official-conversation")
    load(
        "opentelemetry.util.genai.invocation",
        CLIENT_INFERENCE_CONTEXT_KEY="official-inference",
        InferenceData=InferenceData,
    )


@pytest.fixture
def traceloop(load: Load) -> None:
    load("opentelemetry.semconv_ai", SUPPRESS_LANGUAGE_MODEL_INSTRUMENTATION_KEY="traceloop-switch")


def wrapped_by(module: str) -> type:
    """Return a class of an SDK whose `create` an instrumentation has wrapped."""

    class Messages:
        def create(self) -> None: ...

    def wrapper() -> None: ...

    class Wrapper:
        __wrapped__ = Messages.create
        _self_wrapper = wrapper

    wrapper.__module__ = module
    Messages.create = Wrapper  # type: ignore[method-assign,assignment]
    return Messages


@pytest.fixture
def wrap(load: Load) -> Callable[[str, str], str]:
    """Let an instrumentation wrap a function of an SDK, and return the function's name."""

    def wrap(sdk: str, by: str) -> str:
        load(sdk, Messages=wrapped_by(by))
        return f"{sdk}:Messages.create"

    return wrap


@pytest.fixture
async def manager() -> AsyncIterator[SessionManager]:
    async with SessionManager("memory") as manager:
        yield manager
