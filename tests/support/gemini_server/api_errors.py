"""Refusals in the shapes of both APIs."""

from __future__ import annotations

from tests.support.provider_server.json_types import JsonObject
from tests.support.provider_server.refusals import Refusal


class ApiError(Refusal):
    """A request the server refuses.

    Args:
        status: HTTP status code.
        code: What the client reads as ``error.status``, or as ``error.code`` of an interaction.
        message: What the client reads as ``error.message``.
        problem: What the journal says of it, if that is more.
    """

    def __init__(self, status: int, code: str, message: str, *, problem: str | None = None) -> None:
        super().__init__(status, message, problem=problem)
        self.code = code

    def body(self) -> JsonObject:
        """Return the JSON body that is sent to the client of `:streamGenerateContent`."""
        return {"error": {"code": self.status, "message": self.message, "status": self.code}}

    def interaction_body(self) -> JsonObject:
        """Return the JSON body that is sent to the client of an interaction."""
        return {"error": {"code": self.code, "message": self.message}}
