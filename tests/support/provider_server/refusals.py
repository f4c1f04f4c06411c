"""What a server refuses, whatever the shape its API gives that."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .json_types import JsonObject


class Refusal(Exception, ABC):
    """A request the server refuses.

    Args:
        status: HTTP status code.
        message: What the client reads.
        problem: What the journal says of it if no real server would take such a request; by default the message.
    """

    def __init__(self, status: int, message: str, *, problem: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.problem = problem or message

    @abstractmethod
    def body(self) -> JsonObject:
        """Return the JSON body that is sent to the client."""
