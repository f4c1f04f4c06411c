"""Refusals in the shape of the Messages API: a status and ``{"type": "error", "error": {...}}``."""

from __future__ import annotations

from pydantic import JsonValue

from tests.support.provider_server.json_types import JsonObject
from tests.support.provider_server.refusals import Refusal

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_type(status: int) -> str:
    """Return the ``error.type`` the API sends with a status."""
    return _TYPES.get(status, "api_error")


def error_body(message: str, *, kind: str, details: JsonObject | None = None) -> JsonObject:
    """Return an error body; ``details`` holds the ``error_code``, where there is one."""
    error: JsonObject = {"type": kind, "message": message}
    return {"type": "error", "error": error if details is None else {**error, "details": details}}


class ApiError(Refusal):
    """A request the server refuses.

    Args:
        status: HTTP status code.
        message: What the client reads as ``error.message``.
        code: ``error.details.error_code``; most refusals have none.
        details: What else stands in ``error.details``.
        problem: What the journal says of it, if that is more.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        details: dict[str, JsonValue] | None = None,
        problem: str | None = None,
    ) -> None:
        super().__init__(status, message, problem=problem)
        self._details: JsonObject | None = None if code is None else {"error_code": code, **(details or {})}

    def body(self) -> JsonObject:
        """Return the JSON body that is sent to the client."""
        return error_body(self.message, kind=error_type(self.status), details=self._details)
