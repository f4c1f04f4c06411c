"""Conversations: mutable logs of items, one turn at a time. The caller holds the lock of the server's state."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItemList

from tests.support.provider_server.ids import IdSource
from tests.support.provider_server.json_types import JsonObject, objects, string

from .answers import as_json
from .api_errors import ApiError, conversation_locked, conversation_not_found, item_not_found
from .context import text_of

_NEW_ITEMS = 20
_PAGE = 20
_LARGEST_PAGE = 100
_ID_PREFIXES = {"function_call": "fc", "function_call_output": "fco", "reasoning": "rs", "compaction": "cmp"}


@dataclass(slots=True)
class KeptConversation:
    """One conversation as the server holds it.

    Args:
        resource: What create and retrieve return.
        items: What was said, oldest first.
        holder: The response that is being made on it, None when it is free.
    """

    resource: Conversation
    items: list[JsonObject] = field(default_factory=list[JsonObject])
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class _Turn:
    conversation: KeptConversation
    items: list[JsonObject]


class Conversations:
    """Creates, lists and deletes conversations, and enters whole turns.

    Args:
        ids: Where ids come from.
    """

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._kept: dict[str, KeptConversation] = {}
        self._turns: dict[str, _Turn] = {}

    def create(self, body: JsonObject) -> Conversation:
        """Open a conversation.

        Raises:
            ApiError: 400, more than 20 items at once.
        """
        items = objects(body.get("items"))
        if len(items) > _NEW_ITEMS:
            raise ApiError(400, f"Invalid 'items': at most {_NEW_ITEMS}.", code="array_above_max_length", param="items")
        resource = Conversation(
            id=self._ids.issue("conv"),
            created_at=int(time.time()),
            metadata=body.get("metadata") or {},
            object="conversation",
        )
        self._kept[resource.id] = KeptConversation(resource, [self._stored(item) for item in items])
        return resource

    def get(self, conversation_id: str) -> KeptConversation:
        """Return a conversation.

        Raises:
            ApiError: 404, unless it is kept.
        """
        if conversation_id not in self._kept:
            raise conversation_not_found(conversation_id)
        return self._kept[conversation_id]

    def delete(self, conversation_id: str) -> ConversationDeletedResource:
        """Delete a conversation.

        Raises:
            ApiError: 404, unless it is kept.
        """
        self.get(conversation_id)
        del self._kept[conversation_id]
        return ConversationDeletedResource(id=conversation_id, deleted=True, object="conversation.deleted")

    def forget(self) -> None:
        """Lose all conversations without a word."""
        self._kept.clear()

    def ids(self) -> list[str]:
        """Return the ids of all conversations, oldest first."""
        return list(self._kept)

    def page(
        self,
        conversation_id: str,
        *,
        after: str | None,
        limit: int = _PAGE,
        order: Literal["asc", "desc"] = "desc",
    ) -> JsonObject:
        """Return a page of items as the API lists them.

        Raises:
            ApiError: 404 for an unknown conversation or item, 400 for an illegal limit.
        """
        if not 1 <= limit <= _LARGEST_PAGE:
            raise ApiError(400, f"Invalid 'limit': {limit}.", code="integer_above_max_value", param="limit")
        kept = self.get(conversation_id).items
        items = kept if order == "asc" else kept[::-1]
        start = 0
        if after is not None:
            places = [at for at, item in enumerate(items) if string(item, "id") == after]
            if not places:
                raise item_not_found(after)
            start = places[0] + 1
        shown = items[start : start + limit]
        page = ConversationItemList.construct(
            data=[dict(item) for item in shown],
            first_id=string(shown[0], "id") if shown else "",
            last_id=string(shown[-1], "id") if shown else "",
            has_more=start + limit < len(items),
            object="list",
        )
        return as_json(page)

    def begin(self, conversation_id: str, response_id: str, items: Sequence[JsonObject]) -> None:
        """Lock a conversation for a response; its items are entered by `end`.

        Raises:
            ApiError: 400 ``conversation_locked``, another response is being made on it.
        """
        conversation = self.get(conversation_id)
        self.check_free(conversation_id)
        conversation.holder = response_id
        self._turns[response_id] = _Turn(conversation, list(items))

    def check_free(self, conversation_id: str) -> None:
        """Refuse a conversation a response is being made on.

        Raises:
            ApiError: 400 ``conversation_locked``.
        """
        if self.get(conversation_id).holder is not None:
            raise conversation_locked()

    def end(self, response_id: str, outputs: Sequence[JsonObject] | None) -> None:
        """Free the conversation of a response, and enter the turn, inputs and outputs at once, unless None."""
        turn = self._turns.pop(response_id, None)
        if turn is None:
            return
        turn.conversation.holder = None
        if outputs is not None:
            turn.conversation.items += [self._stored(item) for item in (*turn.items, *outputs)]

    def append(self, conversation_id: str, *items: JsonObject) -> None:
        """Enter items behind everybody's back."""
        self.get(conversation_id).items += [self._stored(item) for item in items]

    def _stored(self, item: JsonObject) -> JsonObject:
        """Return an item as it is listed: with an id, a status, and its content in parts."""
        kind = string(item, "type") or "message"
        stored = {**item, "type": kind, "id": item.get("id") or self._ids.issue(_ID_PREFIXES.get(kind, "msg"))}
        if kind != "reasoning":
            stored.setdefault("status", "completed")
        if kind == "message" and isinstance(item.get("content"), str):
            is_answer = string(item, "role") == "assistant"
            text: JsonObject = {"type": "output_text" if is_answer else "input_text", "text": text_of(item)}
            stored["content"] = [{**text, "annotations": [], "logprobs": []} if is_answer else text]
        return stored
