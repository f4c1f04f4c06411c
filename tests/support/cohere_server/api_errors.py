"""Refusals in the shape of the Cohere API: a status and ``{"id": ..., "message": ...}``."""

from __future__ import annotations

from tests.support.provider_server.json_types import JsonObject
from tests.support.provider_server.refusals import Refusal


def error_body(message: str) -> JsonObject:
    """Return an error body."""
    return {"id": "trace-1", "message": message}


class ApiError(Refusal):
    """A request the server refuses."""

    def body(self) -> JsonObject:
        """Return the JSON body that is sent to the client."""
        return error_body(self.message)
