"""What the two kinds of streams say, event by event. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.mistral.answers import EntryDraft, as_json
from langswarm_sessions.providers.mistral.errors import MISTRAL_FAILURES, classify

if TYPE_CHECKING:
    from mistralai.client.models import CompletionChunk, ConversationEvents, ToolCall

__all__ = ["ChatReader", "ConversationReader"]

_ANSWER = "answer"


class ConversationReader:
    """Collects the events of a conversation's answer.

    Args:
        continued: Whether the request continued a conversation.

    Attributes:
        conversation_id: Its id, once the provider said it.
        is_done: Whether the terminal event came.
        has_failed: Whether the provider said that it gave up.
        usage: What the provider says of the tokens, once it is done.
    """

    def __init__(self, *, continued: bool) -> None:
        self._continued = continued
        self._draft = EntryDraft()
        self.conversation_id: str | None = None
        self.is_done = False
        self.has_failed = False
        self.usage: object = None

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What came so far."""
        return self._draft.entries

    def take(self, event: ConversationEvents) -> str:
        """Take in an event and return the text it adds to the answer.

        Raises:
            SessionError: The provider says that it failed.
        """
        data = event.data
        match data.type:
            case "conversation.response.started":
                self.conversation_id = data.conversation_id
            case "message.output.delta":
                return self._draft.say(data.id, data.content, id=data.id, model=data.model, agent_id=data.agent_id)
            case "function.call.delta":
                self._draft.call(
                    data.id,
                    call_id=data.tool_call_id,
                    name=data.name,
                    arguments=data.arguments,
                    id=data.id,
                    model=data.model,
                    agent_id=data.agent_id,
                )
            case "conversation.response.done":
                self.usage = data.usage
                self.is_done = True
            case "conversation.response.error":
                self.has_failed = True
                raise classify(Failure(code=str(data.code), message=data.message, continued=self._continued))
            case "UNKNOWN":
                pass
            case _:
                self._note_step(as_json(data))
        return ""

    def _note_step(self, step: dict[str, Any]) -> None:
        """Note what ran at the provider: a built-in tool, or the handoff to another agent."""
        kind, _, _ = str(step.pop("type")).rpartition(".")
        step.pop("output_index", None)
        step.pop("created_at", None)
        entry = self._draft.begin(str(step["id"]), {"type": kind})
        arguments = f"{entry.get('arguments', '')}{step.pop('arguments', '')}"
        entry |= step
        if kind == "tool.execution":
            entry["arguments"] = arguments


class ChatReader:
    """Collects the chunks of a chat completion.

    Attributes:
        answer_id: The completion's id.
        model: The model that answers.
        finish_reason: Why it ended; None as long as it has not.
        usage: What the provider says of the tokens, once it does.
    """

    def __init__(self) -> None:
        self._draft = EntryDraft()
        self._keys: dict[int, tuple[str, str]] = {}
        self.answer_id: str | None = None
        self.model: str | None = None
        self.finish_reason: str | None = None
        self.usage: object = None

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What came so far."""
        return self._draft.entries

    def take(self, chunk: CompletionChunk) -> str:
        """Take in a chunk and return the text it adds to the answer.

        Raises:
            ProviderUnavailableError: The provider says that it failed.
        """
        self.answer_id, self.model = chunk.id or self.answer_id, chunk.model or self.model
        if chunk.usage is not None:
            self.usage = chunk.usage
        text = ""
        for choice in chunk.choices[:1]:
            if choice.delta.content:
                text = self._draft.say(_ANSWER, choice.delta.content, model=self.model)
            for call in choice.delta.tool_calls or ():
                self._call(call)
            self.finish_reason = choice.finish_reason or self.finish_reason
        if self.finish_reason == "error":
            raise MISTRAL_FAILURES.error(MISTRAL_FAILURES.down)
        return text

    def _call(self, call: ToolCall) -> None:
        """Tell whether a piece continues the call at its index: an id of its own begins another."""
        index, call_id = call.index or 0, call.id or "null"
        key, begun_id = self._keys.get(index, ("", "null"))
        if not key or (call_id not in {"null", begun_id} and begun_id != "null"):
            key, begun_id = f"call {len(self._draft.entries)}", call_id
            self._keys[index] = key, begun_id
        function = call.function
        self._draft.call(key, call_id=call_id, name=function.name, arguments=function.arguments, model=self.model)
