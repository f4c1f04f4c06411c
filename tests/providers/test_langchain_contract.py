"""A LangChain chat model keeps the providers' contract: a model of ours that judges what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx2
import pytest
from langchain_core.messages import AIMessage
from langchain_core.messages.tool import tool_call

from langswarm_sessions.testing.providers import ContractFault, ProviderContract, ProviderRig, Seen, Wanted
from langswarm_sessions_langchain import LangChainProvider
from langswarm_sessions_langchain.provider import LangChainProviderSession
from tests.support.chat_model import JudgedChat, api_error


class ChatModelRig(ProviderRig):
    """The model pulls the strings itself."""

    def __init__(self) -> None:
        self.model = JudgedChat()
        self.party = self.model.party
        self.secret = "sk-secret"
        self.connection = LangChainProvider(self.model, name="mychat")
        self._calls = 0

    def session(self, config: dict[str, Any] | None = None) -> LangChainProviderSession:
        return self.connection.open("session", "judged-1", config or {})

    def say(self, answer: str | Sequence[Wanted]) -> None:
        if isinstance(answer, str):
            self.party.say(answer)
        else:
            calls = [tool_call(name=call.name, args=call.arguments, id=self._next_id()) for call in answer]
            self.party.say(AIMessage("", tool_calls=calls))

    def fail(self, fault: ContractFault) -> None:
        match fault:
            case ContractFault.RATE_LIMIT:
                self.party.fail(api_error(429, headers={"retry-after": "2"}))
            case ContractFault.UNAVAILABLE:
                self.party.fail(api_error(503))
            case ContractFault.AUTH:
                self.party.fail(api_error(401, code="invalid_api_key"))
            case ContractFault.OVERFLOW:
                self.party.fail(api_error(400, code="context_length_exceeded"))
            case ContractFault.DROP:
                self.party.fail(httpx2.ReadError("peer closed"), after=2)
            case ContractFault.EOF:
                self.party.fail(after=2)

    def seen(self) -> Seen:
        asked = self.party.last
        return Seen(
            user_texts=asked.user_texts,
            instructions=asked.instructions,
            tool_names=asked.tool_names,
            continued=False,
        )

    def _next_id(self) -> str:
        self._calls += 1
        return f"call_{self._calls}"


class TestLangChain(ProviderContract):
    @pytest.fixture
    async def rig(self) -> ProviderRig:
        return ChatModelRig()
