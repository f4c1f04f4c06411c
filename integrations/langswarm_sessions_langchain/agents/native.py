"""An agent's own ChatOpenAI in a native thread: OpenAI keeps the conversation, and is sent what it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from langchain.agents.middleware import ModelRequest, ModelResponse
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from typing_extensions import override

from langswarm_sessions.errors import NativeStateLostError
from langswarm_sessions.interfaces import Completed, ProviderProfile, ProviderRequest
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import NativeKind
from langswarm_sessions_langchain.agents.answering import AgentModelProvider
from langswarm_sessions_langchain.agents.transcript import id_of
from langswarm_sessions_langchain.messages import messages_to_langchain
from langswarm_sessions_langchain.provider.mapping import without_server_ids
from langswarm_sessions_langchain.provider.telling import failure_of
from langswarm_sessions_langchain.runnable.bound import RUNNABLE_PROFILE

__all__ = ["NativeModelProvider", "keeps_threads"]

_LOST = frozenset({"previous_response_not_found", "response_not_found"})
_CALL_IDS = "__openai_function_call_ids__"  # of ChatOpenAI's oldest output format
_NODE_PREFIX = "resp_"
_SETTINGS = ("output_version", "store", "use_previous_response_id", "use_responses_api")


class NativeModelProvider(AgentModelProvider):
    """Answers one turn with an agent's ChatOpenAI, from the response before where OpenAI still has it."""

    profile: ClassVar[ProviderProfile] = replace(RUNNABLE_PROFILE, native=NativeKind.NODE)

    @override
    def translate(self, error: Exception) -> Exception:
        """Tell when OpenAI has forgotten the thread: it is given the conversation anew."""
        failure = failure_of(error)
        is_about_thread = failure.param == "previous_response_id" and failure.status in (400, 404)
        if failure.code in _LOST or is_about_thread:
            return NativeStateLostError(
                "OpenAI does not have the response to continue from; the conversation is sent again.",
                provider=self.name,
            )
        return super().translate(error)

    @override
    def wanted(self, request: ProviderRequest) -> ModelRequest[Any]:
        """Return the request: of a thread that goes on, what it has not seen, and instructions that are not kept."""
        wanted = self.request
        settings = dict(self.request.model_settings)
        if request.native is None:
            sent = [_kept_nowhere(message) for message in super().wanted(request).messages]
        else:
            sent = self._unseen(request.messages)
            settings["previous_response_id"] = request.native.id
        if self.request.system_message is not None:
            # As an item it would stay in the thread, whatever is said later.
            settings["instructions"] = self.request.system_message.text
            wanted = wanted.override(system_message=None)
        return wanted.override(messages=sent, model_settings=settings)

    @override
    def completed(self, response: ModelResponse[Any]) -> Completed:
        """Return the end of the turn, with the id to go on from."""
        completed = super().completed(response)
        answer = completed.raw
        node = answer.response_metadata.get("id") if isinstance(answer, AIMessage) else None
        is_node = isinstance(node, str) and node.startswith(_NODE_PREFIX)
        return replace(completed, native_id=node if is_node else None)

    def _unseen(self, messages: Sequence[SessionMessage]) -> list[Any]:
        graph = {id_of(message) for message in self.request.state["messages"]}
        beside = [message for message in self.request.messages if id_of(message) not in graph]
        return [*map(_kept_nowhere, messages_to_langchain(messages)), *beside]  # answers among them came otherwise


def _kept_nowhere(message: Any) -> Any:
    """Return a message without the ids of the items OpenAI kept of it: the thread they are in may be lost."""
    if not isinstance(message, AIMessage):
        return message
    answer = without_server_ids(message)
    beside = {name: value for name, value in answer.additional_kwargs.items() if name != _CALL_IDS}
    has_item_id = str(answer.id).startswith("msg_")
    return answer.model_copy(update={"additional_kwargs": beside, "id": None if has_item_id else answer.id})


def keeps_threads(model: BaseChatModel) -> bool:
    """Whether a chat model's service may keep conversations that requests go on from: ChatOpenAI over Responses.

    A model that looks after its thread by itself is left alone, and so is one that is told to store nothing.
    """
    is_openai = any(
        kind.__name__ == "BaseChatOpenAI" and kind.__module__.startswith("langchain_openai")
        for kind in type(model).__mro__
    )
    settings: dict[str, object] = {name: getattr(model, name, None) for name in _SETTINGS}
    over_responses = settings["use_responses_api"] is True or settings["output_version"] == "responses/v1"
    return (
        is_openai
        and over_responses
        and settings["use_responses_api"] is not False
        and settings["store"] is not False
        and settings["use_previous_response_id"] is not True
    )
