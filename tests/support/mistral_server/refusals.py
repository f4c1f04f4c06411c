"""Refusals in the shape of the Mistral API, as other projects' issues show them."""

from __future__ import annotations

from tests.support.provider_server.json_types import JsonObject
from tests.support.provider_server.refusals import Refusal


def error_body(status: int, message: str, *, kind: str, code: str | None = None) -> JsonObject:
    """Return an error body with the keys the API sends."""
    return {
        "object": "error",
        "message": message,
        "type": kind,
        "param": None,
        "code": code,
        "raw_status_code": status,
    }


class ApiError(Refusal):
    """A request the server refuses.

    Args:
        status: HTTP status code.
        message: What the client reads as ``message``.
        kind: The error's ``type``.
        code: The error's ``code``.
    """

    def __init__(
        self, status: int, message: str, *, kind: str = "invalid_request_error", code: str | None = None
    ) -> None:
        super().__init__(status, message)
        self.kind = kind
        self.code = code

    def body(self) -> JsonObject:
        """Return the JSON body that is sent to the client."""
        if self.status == 422:
            return {"detail": [{"type": self.kind, "loc": ["body"], "msg": self.message}]}
        if self.status == 401:
            return {"detail": self.message}
        return error_body(self.status, self.message, kind=self.kind, code=self.code)


def conversation_not_found(conversation_id: str) -> ApiError:
    """Return the refusal of a conversation that is not (or no longer) kept. Its text is a guess: none is published."""
    return ApiError(404, f"Conversation {conversation_id} not found.", kind="not_found", code="3000")


def entry_not_found(entry_id: str) -> ApiError:
    """Return the refusal to go on from an entry that is not there. Its text is a guess: none is published."""
    return ApiError(404, f"Entry {entry_id} not found.", kind="not_found", code="3000")


def wrong_order(message: str) -> ApiError:
    """Return the refusal of messages in an order the models do not take."""
    return ApiError(400, message, kind="invalid_request_message_order", code="3230")


def wrong_call(message: str) -> ApiError:
    """Return the refusal of a tool call that is malformed."""
    return ApiError(400, message, kind="invalid_function_call", code="3280")
