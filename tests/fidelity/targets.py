"""Every way a provider can be asked, as pure functions: the body of a request, and what is said against it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from langswarm_sessions.interfaces.provider import ProviderProfile, ProviderRequest
from langswarm_sessions.messages import Part, SessionMessage
from langswarm_sessions.providers.anthropic import request as anthropic
from langswarm_sessions.providers.anthropic.mapping import conversation_of
from langswarm_sessions.providers.anthropic.profile import profile_of as anthropic_profile
from langswarm_sessions.providers.cohere import request as cohere
from langswarm_sessions.providers.cohere.profile import COHERE_PROFILE
from langswarm_sessions.providers.gemini import request as gemini
from langswarm_sessions.providers.gemini.profile import profile_of as gemini_profile
from langswarm_sessions.providers.mistral import request as mistral
from langswarm_sessions.providers.mistral.profile import profile_of as mistral_profile
from langswarm_sessions.providers.openai import chat_request
from langswarm_sessions.providers.openai import request as openai
from langswarm_sessions.providers.openai.chat_messages import REASONING_FIELDS
from langswarm_sessions.providers.openai.profile import profile_of as openai_profile
from langswarm_sessions_langchain.provider.mapping import crossing_to, given_messages
from langswarm_sessions_langchain.provider.profile import profile_of as chat_model_profile
from tests.support.anthropic_server import request_judge as anthropic_judge
from tests.support.chat_model import JudgedChat
from tests.support.cohere_server import request_judge as cohere_judge
from tests.support.gemini_server import judge as gemini_judge
from tests.support.histories import LANGCHAIN_SPEAKER, SPEAKERS
from tests.support.mistral_server import judge as mistral_judge
from tests.support.openai_server import request_judge as openai_judge
from tests.support.vendor_rules import RULES, Body, broken_rules
from tests.support.vendor_rules.table import refused

__all__ = ["TARGETS", "Target"]

INSTRUCTIONS = "Be kind."


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One way to ask a provider.

    Args:
        provider: The provider, as one side of a handoff.
        speaker: Whose answers it gives: a name of `SPEAKERS`.
        api: Whose rules hold: a name of `RULES`.
        said: The field of the body that holds what was said.
        profile: What it can do.
        build: Returns the body of a request, as it goes over the wire.
        mistyped: Returns what the SDK's request types object to, unknown keys forbidden.
    """

    provider: str
    speaker: str
    api: str
    said: str
    profile: ProviderProfile
    build: Callable[[ProviderRequest], Body]
    mistyped: Callable[[Body], Sequence[str]]

    @property
    def model(self) -> str:
        """The model that is asked."""
        return SPEAKERS[self.speaker].model

    @property
    def takes(self) -> frozenset[str]:
        """Types of content parts it takes."""
        return self.profile.takes

    def request(self, messages: Iterable[SessionMessage], **fields: Any) -> Body:
        """Return the body of a request of these messages."""
        return self.build(ProviderRequest(messages=tuple(messages), instructions=INSTRUCTIONS, **fields))

    def problems(self, body: Body) -> list[str]:
        """Return what the SDK's types and the vendor's rules object to."""
        return [*self.mistyped(body), *broken_rules(RULES[self.api], body)]

    def conversation(self, body: Body) -> Any:
        """Return what was said, as plain JSON."""
        said: Any = body[self.said]
        return [message.model_dump() for message in said] if self.provider == "mychat" else said


def _responses(request: ProviderRequest) -> Body:
    dialect = openai.Dialect()
    model = SPEAKERS["openai"].model
    return dict(openai.request_body(request, session_id="s", model=model, config={}, dialect=dialect))


def _chat(request: ProviderRequest) -> Body:
    dialect = chat_request.first_dialect("https://api.openai.com/v1")
    model = SPEAKERS["openai chat"].model
    return dict(chat_request.chat_body(request, session_id="s", model=model, config={}, dialect=dialect))


def _messages(*, in_place: bool) -> Callable[[ProviderRequest], Body]:
    def build(request: ProviderRequest) -> Body:
        model, whole = SPEAKERS["anthropic"].model, request.native is None
        told = conversation_of(request.messages, model=model, system_in_place=in_place, is_whole=whole)
        return anthropic.request_body(request, told, model=model, config={}, dialect=anthropic.Dialect())

    return build


def _interaction(request: ProviderRequest) -> Body:
    return gemini.interaction_body(request, model=SPEAKERS["gemini"].model, config={})


def _contents(request: ProviderRequest) -> Body:
    """Return the body with what the SDK adds: the URL holds the model, `config` becomes fields of the body."""
    model = SPEAKERS["gemini contents"].model
    contents, _ = gemini.content_arguments(request, model=model, config={}, seconds=60)
    sent = [content.model_dump(mode="json", by_alias=True, exclude_none=True) for content in contents]
    return {"model": model, "contents": sent, "systemInstruction": {"parts": [{"text": INSTRUCTIONS}]}}


def _conversation(request: ProviderRequest) -> Body:
    model = SPEAKERS["mistral"].model
    inputs = mistral.conversation_inputs(request, model=model)
    if request.native is not None:
        return mistral.append_body(request, config={}, inputs=inputs)
    return mistral.start_body(request, model=model, config={}, inputs=inputs)


def _mistral_chat(request: ProviderRequest) -> Body:
    return mistral.chat_body(request, session_id="s", model=SPEAKERS["mistral"].model, config={})


def _cohere(request: ProviderRequest) -> Body:
    model, senses = SPEAKERS["cohere"].model, cohere.senses_of({}, sees=True)
    return cohere.request_body(request, model=model, config={}, senses=senses)


def _chat_model(request: ProviderRequest) -> Body:
    told = given_messages(request.messages, instructions=request.instructions, speaker=LANGCHAIN_SPEAKER)
    return {"messages": told}


def _raw(body: Body) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _mistyped_chat(body: Body) -> list[str]:
    """Leave out the one field that only servers of others know: the reasoning they want back."""
    told = [{name: value for name, value in one.items() if name not in REASONING_FIELDS} for one in body["messages"]]
    sent: Body = {**body, "messages": told}
    return openai_judge.find_type_errors(_raw(sent), sent, "chat")


def _mistyped_interaction(body: Body) -> list[str]:
    return gemini_judge.find_type_errors(_raw(body), is_interaction=True)


def _mistyped_contents(body: Body) -> list[str]:
    sent = {name: value for name, value in body.items() if name != "model"}
    return gemini_judge.find_type_errors(_raw(sent), is_interaction=False)


def _mistyped_mistral(body: Body) -> list[str]:
    sent = {**body, "stream": True}
    kind = "chat" if "messages" in body else "start" if "model" in body else "append"
    found = refused(lambda: mistral_judge.check_body(kind, _raw(sent), sent))
    return [] if found is None else [found]


def _mistyped_messages(body: Body) -> list[str]:
    messages: list[BaseMessage] = body["messages"]
    calls = [call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    results = [message for message in messages if isinstance(message, ToolMessage)]
    named = [call["id"] for call in calls] + [result.tool_call_id for result in results]
    return [] if all(isinstance(one, str) for one in named) else ["a call has no id"]


def _crossing_to_speaker(messages: Sequence[SessionMessage], _: str) -> list[list[Part]]:
    return crossing_to(LANGCHAIN_SPEAKER, messages)


_CHAT_MODEL_PROFILE = replace(
    chat_model_profile(JudgedChat(), is_foreign=False),
    crosses=_crossing_to_speaker,
)

TARGETS: Mapping[str, Target] = {
    "openai responses": Target(
        provider="openai", speaker="openai", api="OpenAI, Responses", said="input", build=_responses,
        profile=openai_profile({}), mistyped=lambda body: openai_judge.find_type_errors(_raw(body), body),
    ),
    "openai chat": Target(
        provider="openai", speaker="openai chat", api="OpenAI, Chat Completions", said="messages", build=_chat,
        profile=openai_profile({"api": "chat"}),
        mistyped=_mistyped_chat,
    ),
    "anthropic": Target(
        provider="anthropic", speaker="anthropic", api="Anthropic, Messages", said="messages",
        build=_messages(in_place=True), profile=anthropic_profile({"native": "ephemeral"}),
        mistyped=lambda body: anthropic_judge.find_type_errors(body, is_beta=False),
    ),
    "anthropic, system in front": Target(
        provider="anthropic", speaker="anthropic", api="Anthropic, Messages", said="messages",
        build=_messages(in_place=False), profile=anthropic_profile({}),
        mistyped=lambda body: anthropic_judge.find_type_errors(body, is_beta=False),
    ),
    "gemini interactions": Target(
        provider="gemini", speaker="gemini", api="Gemini, interactions", said="input", build=_interaction,
        profile=gemini_profile({}), mistyped=_mistyped_interaction,
    ),
    "gemini contents": Target(
        provider="gemini", speaker="gemini contents", api="Gemini, generate_content", said="contents",
        build=_contents, profile=gemini_profile({"native": "none"}), mistyped=_mistyped_contents,
    ),
    "mistral conversations": Target(
        provider="mistral", speaker="mistral", api="Mistral, conversations", said="inputs", build=_conversation,
        profile=mistral_profile({}), mistyped=_mistyped_mistral,
    ),
    "mistral chat": Target(
        provider="mistral", speaker="mistral", api="Mistral, chat completions", said="messages", build=_mistral_chat,
        profile=mistral_profile({"native": "none"}), mistyped=_mistyped_mistral,
    ),
    "cohere": Target(
        provider="cohere", speaker="cohere", api="Cohere, v2 chat", said="messages", build=_cohere,
        profile=COHERE_PROFILE, mistyped=lambda body: cohere_judge.find_type_errors(_raw({**body, "stream": True})),
    ),
    "langchain": Target(
        provider="mychat", speaker="langchain", api="LangChain chat models", said="messages", build=_chat_model,
        profile=_CHAT_MODEL_PROFILE, mistyped=_mistyped_messages,
    ),
}  # fmt: skip
"""By name. A provider's own kinds of native state all go with one of these bodies."""
