"""What really went over the wire. Thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tests.support.openai_server.json_types import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request as it arrived, without its key, and the id of the answer to it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: JsonObject | None
    answer_id: str | None = None
    is_over: bool = False


class Journal:
    """Collects requests and violations."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[RequestRecord] = []
        self.violations: list[str] = []

    def open(self, record: RequestRecord) -> int:
        """Write down a request on arrival; returns its number."""
        with self._changed:
            self._requests.append(record)
            return len(self._requests) - 1

    def answered(self, number: int, answer_id: str) -> None:
        """Note which answer a request got."""
        with self._changed:
            self._requests[number] = replace(self._requests[number], answer_id=answer_id)

    def ended(self, number: int) -> None:
        """Note that an exchange is over."""
        with self._changed:
            self._requests[number] = replace(self._requests[number], is_over=True)
            self._changed.notify_all()

    def violated(self, problem: str) -> None:
        """Write down a body that no real server would take."""
        with self._changed:
            self.violations.append(problem)

    def requests(self) -> list[RequestRecord]:
        """Return all requests so far, in order of arrival."""
        with self._changed:
            return list(self._requests)

    def wait_until_idle(self, timeout: float) -> None:
        """Block until every request has come to its end."""
        with self._changed:
            if not self._changed.wait_for(lambda: all(record.is_over for record in self._requests), timeout):
                raise TimeoutError("a request is still pending")
