"""The server a test talks to."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from dataclasses import replace
from types import TracebackType
from typing import Self

from tests.support.openai_server.journal import Outcome, RequestRecord, Violation
from tests.support.openai_server.json_types import JsonObject

from .faults import Fault, FaultQueue
from .listener import Listener
from .replies import Reply
from .request_judge import find_type_errors
from .rules import find_broken_rule
from .views import ModelView, default_reply, view_of

_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.02
_UNLAWFUL = "invalid request"


class CohereServer:
    """A counterparty for Cohere's v2 Chat API on a loopback port.

    It takes what the SDK's own request types and the API's rules allow, and by default says
    ``[{user messages}] You said: {last user text}``, so that a reply proves what history the model had. Thread-safe.

    Args:
        api_key: The one key that is let in.

    Attributes:
        sees: Whether the models take images.
        window: The tokens the models take; None: endless.
    """

    def __init__(self, *, api_key: str = "co-loopback-0123456789abcdef") -> None:
        self.api_key = api_key
        self.sees = True
        self.window: int | None = None
        self._faults = FaultQueue()
        self._replies: deque[Reply] = deque()
        self._numbers = itertools.count(1)
        self._requests: dict[int, RequestRecord] = {}
        self._views: list[ModelView] = []
        self._violations: list[Violation] = []
        self._changed = threading.Condition()
        self._listener = Listener(self, host=_LOOPBACK, port=0)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(_POLL_SECONDS,), name="cohere-server", daemon=True
        )

    def __enter__(self) -> Self:
        """Start serving."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop serving and break every connection."""
        self._listener.close()
        self._thread.join()

    # What tests say and read

    @property
    def base_url(self) -> str:
        """What a client takes as ``base_url`` (or ``CO_API_URL``)."""
        return f"http://{_LOOPBACK}:{self._listener.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that send the SDK here."""
        return {"CO_API_URL": self.base_url, "CO_API_KEY": self.api_key}

    def script(self, *replies: Reply | str) -> None:
        """Queue replies, one for each of the next answered requests; then the default answers again."""
        with self._changed:
            self._replies.extend(Reply(text=reply) if isinstance(reply, str) else reply for reply in replies)

    def fault(self, fault: Fault, *, times: int = 1, after: int = 0) -> None:
        """Queue a fault: ``after`` requests are left alone, then it befalls ``times`` of them."""
        self._faults.put(fault, times=times, after=after)

    @property
    def requests(self) -> list[RequestRecord]:
        """Every request so far, in order of arrival."""
        with self._changed:
            return list(self._requests.values())

    @property
    def model_views(self) -> list[ModelView]:
        """Every context a model answered so far."""
        with self._changed:
            return list(self._views)

    @property
    def violations(self) -> list[Violation]:
        """Every body so far that no real server would take; a test ends with none."""
        with self._changed:
            return list(self._violations)

    def take_violations(self) -> list[Violation]:
        """Return the violations and forget them: for a test that provokes some."""
        with self._changed:
            found, self._violations = self._violations, []
            return found

    @property
    def open_connections(self) -> int:
        """How many client connections are open now."""
        with self._listener.changed:
            return len(self._listener.connections)

    def wait_for_connections(self, count: int, *, timeout: float = 10.0) -> None:
        """Block until exactly ``count`` client connections are open.

        Raises:
            TimeoutError: Another number of connections is open after ``timeout`` seconds.
        """
        with self._listener.changed:
            if not self._listener.changed.wait_for(lambda: len(self._listener.connections) == count, timeout):
                raise TimeoutError(f"{len(self._listener.connections)} connections are open, not {count}")

    def wait_until_idle(self, *, timeout: float = 10.0) -> None:
        """Block until every request has come to its end.

        Raises:
            TimeoutError: One is still pending after ``timeout`` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(self._is_idle, timeout):
                raise TimeoutError("a request is still pending")

    def _is_idle(self) -> bool:
        return all(record.outcome != "pending" for record in self._requests.values())

    # What the listener asks

    def issue(self, prefix: str) -> str:
        """Return an id that was not issued before."""
        return f"{prefix}_{next(self._numbers)}"

    def opened(self, record: RequestRecord) -> int:
        """Write down a request; returns its number."""
        with self._changed:
            number = next(self._numbers)
            self._requests[number] = record
            return number

    def ended(self, number: int, *, status: int | None, outcome: Outcome) -> None:
        """Write down how a request ended."""
        with self._changed:
            record = self._requests[number]
            self._requests[number] = replace(record, status=status, outcome=outcome)
            self._changed.notify_all()

    def refusal(self, raw: bytes, body: JsonObject | None) -> str | None:
        """Return why a body is refused; None when it is taken. What no real server takes is a violation."""
        problems = find_type_errors(raw)
        problem = f"{_UNLAWFUL}: {'; '.join(problems)}" if problems else None
        if problem is None and body is not None:
            problem = find_broken_rule(body, sees=True, window=None)
            if problem is None:
                return find_broken_rule(body, sees=self.sees, window=self.window)
        with self._changed:
            self._violations.append(Violation(problem or "", body))
        return problem

    def next_fault(self) -> Fault | None:
        """Return the fault of the request that is being served."""
        return self._faults.take()

    def reply_to(self, body: JsonObject) -> tuple[ModelView, Reply]:
        """Return what the model sees and what it says."""
        view = view_of(body)
        with self._changed:
            self._views.append(view)
            return view, self._replies.popleft() if self._replies else default_reply(view)
