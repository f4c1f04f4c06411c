"""What really went over the wire: every request and every context a model saw. Thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, Literal

from .json_types import JsonObject
from .replies import ViewT

Outcome = Literal["pending", "answered", "cut", "client_gone"]
"""How an exchange ended: ``cut`` by the server's fault, ``client_gone`` because the client left first."""

_SECRET_HEADERS = frozenset({"authorization", "cookie", "x-goog-api-key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request as it arrived, and how it was answered.

    Args:
        method: HTTP method.
        path: Path with query, such as ``/v1/responses``.
        headers: Lower-case names; never the key.
        body: The parsed JSON object, None when there was none.
        status: HTTP status sent, None while (or if) none was.
        response_id: What answered it, or the conversation it is about; None when nothing of it has an id.
        outcome: How the exchange ended.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: JsonObject | None
    status: int | None = None
    response_id: str | None = None
    outcome: Outcome = "pending"


@dataclass(frozen=True, slots=True)
class Violation:
    """A request that breaks the SDK's own types or the API's rules for a body.

    Args:
        problem: What is wrong and where.
        body: The request body.
    """

    problem: str
    body: JsonObject | None


def visible_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the headers with lower-case names and without credentials."""
    return {name.lower(): value for name, value in headers if name.lower() not in _SECRET_HEADERS}


class Journal(Generic[ViewT]):
    """Collects requests, model views and violations."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[RequestRecord] = []
        self._views: list[ViewT] = []
        self._violations: list[Violation] = []

    def open(self, record: RequestRecord) -> int:
        """Write down a request on arrival; returns its number."""
        with self._changed:
            self._requests.append(record)
            return len(self._requests) - 1

    def sent(self, number: int, status: int, *, response_id: str | None = None) -> None:
        """Note the status that is about to be sent."""
        with self._changed:
            self._requests[number] = replace(self._requests[number], status=status, response_id=response_id)

    def ended(self, number: int, outcome: Outcome) -> None:
        """Note how the exchange ended."""
        with self._changed:
            self._requests[number] = replace(self._requests[number], outcome=outcome)
            self._changed.notify_all()

    def wait_until_idle(self, timeout: float) -> None:
        """Block until every request has come to its end.

        Raises:
            TimeoutError: One is still pending after ``timeout`` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(self._is_idle, timeout):
                raise TimeoutError("a request is still pending")

    def _is_idle(self) -> bool:
        return all(record.outcome != "pending" for record in self._requests)

    def saw(self, view: ViewT) -> None:
        """Write down a context the model answered."""
        with self._changed:
            self._views.append(view)

    def violated(self, violation: Violation) -> None:
        """Write down a body that no real server would take."""
        with self._changed:
            self._violations.append(violation)

    def requests(self) -> list[RequestRecord]:
        """Return all requests so far, in order of arrival."""
        with self._changed:
            return list(self._requests)

    def views(self) -> list[ViewT]:
        """Return all contexts answered so far, in order."""
        with self._changed:
            return list(self._views)

    def violations(self, *, clear: bool = False) -> list[Violation]:
        """Return all violations so far, forgetting them if asked."""
        with self._changed:
            found = list(self._violations)
            if clear:
                self._violations.clear()
            return found
