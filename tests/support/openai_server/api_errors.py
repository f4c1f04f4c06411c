"""Refusals in the shape of the OpenAI API: a status and ``{"error": {...}}``."""

from __future__ import annotations

from tests.support.provider_server.json_types import JsonObject
from tests.support.provider_server.refusals import Refusal


def error_body(message: str, *, error_type: str, code: str | None = None, param: str | None = None) -> JsonObject:
    """Return an error body with the four keys the API always sends."""
    return {"error": {"message": message, "type": error_type, "param": param, "code": code}}


class ApiError(Refusal):
    """A request the server refuses.

    Args:
        status: HTTP status code.
        message: What the client reads as ``error.message``.
        code: Machine-readable ``error.code``; several real refusals have none.
        param: The request field at fault.
        problem: What the journal says of it, if that is more.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        problem: str | None = None,
    ) -> None:
        super().__init__(status, message, problem=problem)
        self.code = code
        self.param = param

    def body(self) -> JsonObject:
        """Return the JSON body that is sent to the client."""
        return error_body(self.message, error_type="invalid_request_error", code=self.code, param=self.param)


def previous_response_not_found(response_id: str) -> ApiError:
    """Return the refusal of a ``previous_response_id`` that is not (or no longer) kept."""
    return ApiError(
        400,
        f"Previous response with id '{response_id}' not found.",
        code="previous_response_not_found",
        param="previous_response_id",
    )


def item_not_found(item_id: str) -> ApiError:
    """Return the refusal of an item id that belongs to no stored response."""
    return ApiError(
        404,
        f"Item with id '{item_id}' not found. Items are not persisted when `store` is set to false. "
        "Try again with `store` set to true, or remove this item from your input.",
        param="input",
    )


def response_not_found(response_id: str) -> ApiError:
    """Return the refusal of a retrieve or delete of an unknown response."""
    return ApiError(404, f"Response with id '{response_id}' not found.")


def conversation_not_found(conversation_id: str) -> ApiError:
    """Return the refusal of a conversation that is not (or no longer) kept; it has no code."""
    return ApiError(404, f"Conversation with id '{conversation_id}' not found.")


def conversation_locked() -> ApiError:
    """Return the refusal of a second turn on a conversation while one is running."""
    message = "Another process is currently operating on this conversation. Please retry in a few seconds."
    return ApiError(400, message, code="conversation_locked", param="conversation")
