"""provider_config: what is refused, what is kept without effect."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.providers.openai.client import connect_openai
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS

WRONG: dict[str, Any] = {
    "agent_id": "", "api": "assistants", "api_version": 1, "assistant_id": 3,
    "base_url": "https://user:password@example.org/v1", "conversation_metadata": "x", "frequency_penalty": 3,
    "instructions": " ", "max_tokens": 0, "metadata": [], "native": "thread", "organization": 1,
    "parallel_tool_calls": "yes", "presence_penalty": -3, "project": 1, "reasoning_effort": 1,
    "reasoning_summary": True, "response_format": 1, "seed": 1.5, "service_tier": 1, "stop": [], "store": 1,
    "temperature": True, "thread_metadata": 1, "timeout": 0, "tool_choice": 1, "top_k": 0, "top_p": 1.5,
    "truncation": "yes", "user": "", "verbosity": "loud",
}  # fmt: skip


def test_the_table_of_wrong_values_is_whole() -> None:
    assert set(WRONG) == set(DOCUMENTED_SETTINGS)


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_wrong_value_names_its_key(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"provider_config of openai: {name} must be"):
        connect_openai("sk-1").check("m", {name: WRONG[name]})


@pytest.mark.parametrize(
    "base_url", ["http://[bad/v1", "http://localhost:99999/v1", "http://localhost:port/v1", "ftp://host", "http://"]
)
def test_an_address_nothing_can_be_sent_to_is_refused(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url must be an http"):
        connect_openai("sk-1").check("m", {"base_url": base_url})
    with pytest.raises(ConfigurationError, match="base_url must be an http"):
        connect_openai({"api_key": "sk-1", "base_url": base_url})


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="'max_tokens'"):
        connect_openai("sk-1").check("m", {"max_token": 5})


@pytest.mark.parametrize("name", ["api_key", "API_KEY", "token", "password"])
def test_secrets_are_not_settings(name: str) -> None:
    with pytest.raises(ConfigurationError, match="would be stored") as caught:
        connect_openai("sk-1").check("m", {name: "sk-canary"})
    assert "canary" not in str(caught.value)


def test_values_must_be_storable() -> None:
    with pytest.raises(ConfigurationError, match="plain JSON"):
        connect_openai("sk-1").check("m", {"metadata": {"a": object()}})


def test_settings_without_effect_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    connection = connect_openai("sk-1")
    with caplog.at_level(logging.WARNING):
        connection.check("m", {"assistant_id": "asst_1", "seed": 3, "temperature": 1})
        connection.check("m", {"assistant_id": "asst_2", "seed": None})
    assert [record.getMessage() for record in caplog.records] == [
        "provider_config of openai: assistant_id, seed: kept, but without effect there."
    ]


@pytest.mark.parametrize("model", ["", " ", None, 3])
def test_a_model_must_be_named(model: Any) -> None:
    with pytest.raises(ConfigurationError, match="model must be"):
        connect_openai("sk-1").check(model, {})
