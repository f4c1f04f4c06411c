"""The server a test talks to."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from .faults import Fault
from .journal import Journal, RequestRecord
from .listener import Listener, Site
from .replies import Reply
from .state import GeminiState
from .views import ModelView

_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.02


class GeminiServer:
    """A stateful counterparty for Gemini's Interactions API and `:streamGenerateContent` on a loopback port.

    By default it says `[{user messages}] You said: {last user text}`, which proves what history the model had.
    """

    def __init__(self, *, api_key: str = "AIza-loopback-0123456789abcdef") -> None:
        self.api_key = api_key
        self.journal = Journal()
        self.state = GeminiState()
        self._site = Site(state=self.state, journal=self.journal, api_key=api_key)
        self._listener = Listener(self._site, host=_LOOPBACK, port=0)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(_POLL_SECONDS,), daemon=True)

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

    @property
    def base_url(self) -> str:
        """What a client takes as base URL."""
        return f"http://{_LOOPBACK}:{self._listener.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that send the SDK here."""
        return {"GOOGLE_GEMINI_BASE_URL": self.base_url, "GEMINI_API_KEY": self.api_key}

    def script(self, *replies: Reply | str) -> None:
        """Queue replies, one for each of the next answered requests; then the rule answers again."""
        self.state.script(*(Reply(text=reply) if isinstance(reply, str) else reply for reply in replies))

    def fault(self, fault: Fault, *, times: int = 1, after: int = 0) -> None:
        """Let `after` requests for an answer pass, then have the fault befall `times` of them."""
        self._site.faults.extend([None] * after + [fault] * times)

    def forget(self) -> None:
        """Lose all native state."""
        self.state.forget()

    @property
    def requests(self) -> list[RequestRecord]:
        """Every request so far, in order of arrival."""
        return self.journal.requests()

    @property
    def asked(self) -> list[RequestRecord]:
        """Every request for an answer so far."""
        return [record for record in self.requests if record.method == "POST"]

    @property
    def model_views(self) -> list[ModelView]:
        """Every context a model answered so far."""
        return self.state.seen()

    def wait_for_connections(self, count: int, *, timeout: float = 10.0) -> None:
        """Block until exactly `count` client connections are open."""
        self._listener.wait_for_connections(count, timeout=timeout)

    def wait_until_idle(self, *, timeout: float = 10.0) -> None:
        """Block until every request has come to its end."""
        self.journal.wait_until_idle(timeout)

    def take_violations(self) -> list[str]:
        """Return the violations and forget them: for a test that provokes some."""
        found, self.journal.violations = self.journal.violations, []
        return found
