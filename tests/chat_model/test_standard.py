"""LangChain's own standard tests of chat models, over the OpenAI SDK and a loopback server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from langswarm_sessions_langchain.chat_model import SessionChatModel

MODEL = {"provider": "openai", "model": "gpt-6-astra"}


class TestUnit(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return SessionChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        # Keys and retries belong to the manager.
        return {**MODEL, "api_key": None, "max_retries": None}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"OPENAI_API_KEY": "test"}, {**MODEL}, {**MODEL}


@pytest.mark.usefixtures("standard_tests")
class TestResponses(ChatModelIntegrationTests):
    """Native threads: each turn sends what is new."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return SessionChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**MODEL}

    @property
    def model_override_value(self) -> str:
        return "gpt-6.1-terra"

    @property
    def enable_vcr_tests(self) -> bool:
        return True

    @pytest.fixture
    def vcr(self) -> SimpleNamespace:
        """Answers need not be recorded: the server is here."""
        return SimpleNamespace(responses=["the server's"])

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_pdf_inputs(self) -> bool:
        return True

    @property
    def supports_pdf_tool_message(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True


class TestChatCompletions(TestResponses):
    """The window is sent with every turn."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**MODEL, "provider_config": {"api": "chat"}}

    @property
    def supports_audio_inputs(self) -> bool:
        return True
