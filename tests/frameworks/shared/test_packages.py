"""Frameworks that are not installed, and not asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from langswarm_sessions import ConfigurationError, SessionManager
from langswarm_sessions_frameworks.conversation import Conversation

FRAMEWORKS = ["agents", "pydantic_ai", "agent_framework", "google.adk", "openai", "langchain_core"]


def program(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.parametrize(
    ("module", "name", "extra"),
    [("agents", "AgentsSession", "openai-agents"), ("pydantic_ai", "SessionConversationStore", "pydantic-ai")],
)
def test_a_framework_that_is_missing_is_named_with_its_extra(module: str, name: str, extra: str) -> None:
    said = program(f"""
import sys
sys.modules[{module!r}] = None
import langswarm_sessions_frameworks
from langswarm_sessions import MissingDependencyError
try:
    langswarm_sessions_frameworks.{name}
except MissingDependencyError as error:
    print(error)
""")
    assert f"pip install 'langswarm-sessions[{extra}]'" in said


def test_importing_the_package_and_the_core_it_stands_on_loads_no_framework() -> None:
    said = program(f"""
import sys
import langswarm_sessions_frameworks
from langswarm_sessions_frameworks import LossReport, conversation, provider
from langswarm_sessions_frameworks.openai_agents import items
print([name for name in {FRAMEWORKS!r} if name in sys.modules])
""")
    assert said == "[]\n"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    import langswarm_sessions_frameworks

    with pytest.raises(AttributeError, match="nothing"):
        _ = langswarm_sessions_frameworks.nothing


async def test_sessions_of_frameworks_say_who_answers_them(manager: SessionManager) -> None:
    session = await Conversation(manager, "s", framework="openai-agents").session()
    with pytest.raises(ConfigurationError, match="an agent of openai-agents"):
        await session.send_message("hi")
    await session.handoff("mock", "mock-model")
    assert (await session.send_message("hi")).content == "Mock response to: hi"


def test_what_is_no_manager_is_refused() -> None:
    wrong: object = "sqlite"
    with pytest.raises(ConfigurationError, match="manager must be a SessionManager"):
        Conversation(wrong, "s", framework="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
