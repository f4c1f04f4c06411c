"""The requests that need no model: what is stored, by method and path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from .answers import as_json
from .api_errors import ApiError
from .faults import Operation
from .json_types import JsonObject
from .responses_api import ResponsesApi

_LIST_FIELDS = frozenset({"after", "include[]", "limit", "order"})


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request about something stored.

    Args:
        operation: What faults know it by.
        answer: Carries it out; may raise ApiError.
        response_id: The response it is about, None for a conversation.
    """

    operation: Operation
    answer: Callable[[], JsonObject]
    response_id: str | None = None


def stored_request(api: ResponsesApi, *, method: str, url: str, body: JsonObject | None) -> StoredRequest:
    """Return what a request is about.

    Args:
        api: The state to ask.
        method: HTTP method.
        url: Path with query.
        body: The judged body of a POST.

    Raises:
        ApiError: 404, there is no such place.
    """
    parts = urlsplit(url)
    match method, parts.path.strip("/").split("/"):
        case "GET", ["v1", "responses", response_id]:
            return StoredRequest("retrieve", lambda: as_json(api.retrieve(response_id)), response_id)
        case "DELETE", ["v1", "responses", response_id]:
            return StoredRequest("delete", lambda: _delete_response(api, response_id), response_id)
        case "POST", ["v1", "conversations"]:
            return StoredRequest("conversations", lambda: as_json(api.conversations.create(body or {})))
        case "GET", ["v1", "conversations", conversation_id]:
            return StoredRequest("retrieve", lambda: as_json(api.conversations.get(conversation_id).resource))
        case "DELETE", ["v1", "conversations", conversation_id]:
            return StoredRequest("delete", lambda: as_json(api.conversations.delete(conversation_id)))
        case "GET", ["v1", "conversations", conversation_id, "items"]:
            return StoredRequest("items", lambda: _items(api, conversation_id, parts.query))
        case _:
            raise ApiError(404, f"Invalid URL ({method} {parts.path})")


def _delete_response(api: ResponsesApi, response_id: str) -> JsonObject:
    api.delete(response_id)
    return {"id": response_id, "object": "response", "deleted": True}


def _items(api: ResponsesApi, conversation_id: str, query: str) -> JsonObject:
    given = {name: values[-1] for name, values in parse_qs(query).items()}
    if unknown := set(given) - _LIST_FIELDS:
        raise ApiError(400, f"Unknown parameter: '{min(unknown)}'.", code="unknown_parameter", param=min(unknown))
    return api.conversations.page(
        conversation_id,
        after=given.get("after"),
        limit=int(given.get("limit", "20")),
        order="asc" if given.get("order") == "asc" else "desc",
    )
