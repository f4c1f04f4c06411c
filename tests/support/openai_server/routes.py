"""The requests that need no model: what is stored, by method and path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal
from urllib.parse import parse_qs

from tests.support.provider_server.exchange import Found
from tests.support.provider_server.json_types import JsonObject

from .answers import as_json
from .api_errors import ApiError
from .responses_api import ResponsesApi

_LIST_FIELDS = frozenset({"after", "include[]", "limit", "order"})


Operation = Literal["retrieve", "delete", "conversations", "items"]
"""What faults know such a request by."""

Asked = tuple[Operation, Callable[[], Found]]
"""What a request is about, and what finds that."""


def stored_request(api: ResponsesApi, *, method: str, path: str, query: str, body: JsonObject) -> Asked:
    """Return what a request is about.

    Args:
        api: The state to ask.
        method: HTTP method.
        path: Path.
        query: The query.
        body: The judged body of a POST.

    Raises:
        ApiError: 404, there is no such place.
    """
    kept = api.conversations
    match method, path.strip("/").split("/"):
        case "GET", ["v1", "responses", response_id]:
            return "retrieve", lambda: Found(as_json(api.retrieve(response_id)), response_id)
        case "DELETE", ["v1", "responses", response_id]:
            return "delete", lambda: Found(_delete_response(api, response_id), response_id)
        case "POST", ["v1", "conversations"]:
            return "conversations", lambda: Found(as_json(kept.create(body)))
        case "GET", ["v1", "conversations", conversation_id]:
            return "retrieve", lambda: Found(as_json(kept.get(conversation_id).resource))
        case "DELETE", ["v1", "conversations", conversation_id]:
            return "delete", lambda: Found(as_json(kept.delete(conversation_id)))
        case "GET", ["v1", "conversations", conversation_id, "items"]:
            return "items", lambda: Found(_items(api, conversation_id, query))
        case _:
            raise ApiError(404, f"Invalid URL ({method} {path})")


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
