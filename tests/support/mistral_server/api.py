"""The state the provider keeps: conversations as logs of entries."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mistralai.client import models
from pydantic import BaseModel, JsonValue, TypeAdapter

from tests.support.provider_server.faults import Kept
from tests.support.provider_server.ids import IdSource
from tests.support.provider_server.journal import Journal
from tests.support.provider_server.json_types import JsonObject, objects, string
from tests.support.provider_server.replies import Script

from . import context, rules
from .context import ModelView
from .refusals import ApiError, conversation_not_found, entry_not_found
from .replies import Reply

_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)
_ENTRY: TypeAdapter[models.Entry] = TypeAdapter(models.Entry)
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PREFIXES = {"function.call": "fc", "function.result": "fr", "tool.execution": "tool_exec"}


def as_json(model: BaseModel) -> JsonObject:
    """Return a model of the SDK as the JSON object the API would send."""
    return _OBJECT.validate_python(model.model_dump(mode="json", by_alias=True, warnings=False))


@dataclass(slots=True)
class Conversation:
    """One conversation: what it was started with, and its entries."""

    id: str
    model: str
    instructions: str | None
    tool_names: tuple[str, ...]
    entries: list[JsonObject] = field(default_factory=list[JsonObject])


@dataclass(frozen=True, slots=True)
class MadeAnswer:
    """An answer that may still have to be sent; `entries` are those of the reply, `inputs` what it answers."""

    view: ModelView
    reply: Reply
    entries: list[JsonObject]
    inputs: list[JsonObject]
    conversation: Conversation | None


class MistralApi:
    """Answers, and remembers conversations. Thread-safe.

    Args:
        journal: Where contexts are written down.
        replies: What the model says.
        ids: Where ids come from.
    """

    def __init__(self, journal: Journal[ModelView], replies: Script[ModelView, Reply], ids: IdSource) -> None:
        self.ids = ids
        self._journal = journal
        self._replies = replies
        self._lock = threading.RLock()
        self._kept: dict[str, Conversation] = {}
        self._calls = 0

    def chat(self, body: JsonObject) -> MadeAnswer:
        """Answer a chat completion, or an agent's.

        Raises:
            ApiError: The messages are refused.
        """
        messages = objects(body.get("messages"))
        rules.check_messages(messages)
        system = [context.content_text(message.get("content")) for message in messages if message["role"] == "system"]
        view = ModelView(
            conversation_id=None,
            continued=False,
            model=string(body, "model") or string(body, "agent_id"),
            instructions="\n\n".join(system) or None,
            tool_names=_tool_names(body),
            entries=tuple(context.entries_of_messages(messages)),
        )
        return self._answer(view, inputs=[], conversation=None)

    def start(self, body: JsonObject) -> MadeAnswer:
        """Answer the first request of a conversation, which is kept from `keep` on.

        Raises:
            ApiError: The entries are refused.
        """
        conversation = Conversation(
            id=self.ids.issue("conv"),
            model=string(body, "model") or string(body, "agent_id"),
            instructions=string(body, "instructions") or None,
            tool_names=_tool_names(body),
        )
        return self._continue(conversation, body, continued=False)

    def append(self, conversation_id: str, body: JsonObject) -> MadeAnswer:
        """Answer a further request.

        Raises:
            ApiError: The conversation is not kept, or the entries are refused.
        """
        return self._continue(self._find(conversation_id), body, continued=True)

    def restart(self, conversation_id: str, body: JsonObject) -> MadeAnswer:
        """Answer a request that goes on from an entry of a conversation, in a conversation of its own.

        Raises:
            ApiError: The conversation or the entry is not kept, or the entries are refused.
        """
        with self._lock:
            old = self._find(conversation_id)
            places = [place for place, entry in enumerate(old.entries) if entry["id"] == body["from_entry_id"]]
            if not places:
                raise entry_not_found(string(body, "from_entry_id"))
            copied = [{**entry, "id": self.ids.issue("msg")} for entry in old.entries[: places[0] + 1]]
            return self._continue(replace(old, id=self.ids.issue("conv"), entries=copied), body, continued=True)

    def keep(self, answer: MadeAnswer, kept: Kept) -> None:
        """Keep of an answered request what there is to keep."""
        conversation = answer.conversation
        if conversation is None or kept == "nothing":
            return
        with self._lock:
            self._kept[conversation.id] = conversation
            conversation.entries += answer.inputs
            if kept == "turn":
                conversation.entries += answer.entries

    def history(self, conversation_id: str) -> JsonObject:
        """Return all entries of a conversation.

        Raises:
            ApiError: It is not kept.
        """
        with self._lock:
            entries = [_ENTRY.validate_python(entry) for entry in self._find(conversation_id).entries]
            return as_json(models.ConversationHistory(conversation_id=conversation_id, entries=entries))

    def delete(self, conversation_id: str) -> None:
        """Delete a conversation.

        Raises:
            ApiError: It is not kept.
        """
        with self._lock:
            self._find(conversation_id)
            del self._kept[conversation_id]

    def forget(self) -> None:
        """Lose every conversation without a word."""
        with self._lock:
            self._kept.clear()

    def conversations(self) -> list[Conversation]:
        """Return all conversations kept now, oldest first."""
        with self._lock:
            return list(self._kept.values())

    def check_kept(self, conversation_id: str) -> None:
        """Refuse a conversation that is not (or no longer) kept.

        Raises:
            ApiError: 404.
        """
        self._find(conversation_id)

    def _find(self, conversation_id: str) -> Conversation:
        with self._lock:
            if conversation_id not in self._kept:
                raise conversation_not_found(conversation_id)
            return self._kept[conversation_id]

    def _continue(self, conversation: Conversation, body: JsonObject, *, continued: bool) -> MadeAnswer:
        with self._lock:
            new = context.input_entries(body.get("inputs"))
            rules.check_entries(conversation.entries, new)
            inputs = [self._stamped(entry) for entry in new]
            view = ModelView(
                conversation_id=conversation.id,
                continued=continued,
                model=conversation.model,
                instructions=conversation.instructions,
                tool_names=conversation.tool_names,
                entries=(*conversation.entries, *inputs),
            )
            return self._answer(view, inputs=inputs, conversation=conversation)

    def _answer(self, view: ModelView, *, inputs: list[JsonObject], conversation: Conversation | None) -> MadeAnswer:
        with self._lock:
            reply = self._replies.next(view)
            for call in reply.tool_calls:
                if call.name not in view.tool_names:
                    raise ApiError(400, f"the scripted tool {call.name!r} was not offered")
            self._journal.saw(view)
            entries = [self._stamped(entry) for entry in self._reply_entries(reply, view.model)]
            return MadeAnswer(view, reply, entries, inputs, conversation)

    def _reply_entries(self, reply: Reply, model: str) -> list[JsonObject]:
        entries: list[JsonObject] = []
        if reply.step:
            entries.append({"type": "tool.execution", "name": reply.step, "arguments": '{"q":1}', "info": {"n": 2}})
        chunks: list[JsonObject] = []
        if reply.thinking is not None:
            thoughts: list[JsonObject] = [{"type": "text", "text": reply.thinking}]
            chunks.append({"type": "thinking", "thinking": [*thoughts], "signature": f"sig-{reply.thinking}"})
        if reply.message_text is not None:
            chunks.append({"type": "text", "text": reply.message_text})
        if chunks:
            content: JsonValue = reply.message_text if reply.thinking is None else [*chunks]
            entries.append({"type": "message.output", "content": content, "model": model})
        for call in reply.tool_calls:
            arguments = call.arguments_text
            call_id = call.call_id or self._call_id()
            entries.append(
                {"type": "function.call", "tool_call_id": call_id, "name": call.name, "arguments": arguments}
            )
        return entries

    def _call_id(self) -> str:
        self._calls += 1
        number, letters = self._calls, ""
        for _ in range(6):
            number, place = divmod(number, len(_ALPHABET))
            letters = _ALPHABET[place] + letters
        return f"tc{letters}Z"

    def _stamped(self, entry: JsonObject) -> JsonObject:
        """Return an entry as the history shows it: with an id, and a time it was never completed at."""
        prefix = _PREFIXES.get(string(entry, "type"), "msg")
        stamp = {"id": self.ids.issue(prefix), "created_at": datetime.now(UTC).isoformat(), "completed_at": None}
        return {**entry, **stamp, "object": "entry"}


def _tool_names(body: JsonObject) -> tuple[str, ...]:
    names: list[str] = []
    for tool in objects(body.get("tools")):
        function = tool.get("function")
        names.append(string(function, "name") if isinstance(function, dict) else string(tool, "type"))
    return tuple(names)
