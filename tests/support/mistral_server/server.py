"""The server a test talks to."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from mistralai.client import Mistral

from tests.support.openai_server.journal import Journal, RequestRecord, Violation

from .api import Conversation, MistralApi, ReplyRule
from .context import ModelView
from .faults import Fault, FaultQueue, Operation
from .listener import MistralListener, Site
from .replies import Reply

_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.02


class MistralServer:
    """A stateful counterparty for Mistral's conversations and chat completions on a loopback port.

    It takes what the SDK's own request models allow and the published validator lets pass, keeps conversations, and by
    default says ``[{user messages}] You said: {last user text}``, so that a reply proves what history the model had.
    Thread-safe; usable from sync and async tests alike.

    Args:
        api_key: The one key that is let in.
    """

    def __init__(self, *, api_key: str = "mistral-loopback-0123456789") -> None:
        self.api_key = api_key
        self.journal = Journal()
        self._views: list[ModelView] = []
        self.api = MistralApi(self._views.append)
        self._faults = FaultQueue()
        self._port = 0
        self._listener: MistralListener | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start serving."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop serving."""
        self.stop()

    def start(self) -> None:
        """Listen on a free port; after a `stop`, on the same port as before."""
        site = Site(api=self.api, journal=self.journal, api_key=self.api_key, faults=self._faults)
        self._listener = MistralListener(site, host=_LOOPBACK, port=self._port)
        self._port = self._listener.server_port
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(_POLL_SECONDS,), name="mistral-server", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and break every connection; what was kept stays."""
        listener, thread = self._listener, self._thread
        if listener is None or thread is None:
            return
        self._listener = self._thread = None
        listener.close()
        thread.join()

    @property
    def base_url(self) -> str:
        """What a client takes as ``server_url``."""
        return f"http://{_LOOPBACK}:{self._port}"

    @property
    def credential(self) -> dict[str, str]:
        """What ``providers={"mistral": ...}`` takes."""
        return {"api_key": self.api_key, "base_url": self.base_url}

    @property
    def open_connections(self) -> int:
        """How many client connections are open now."""
        return self._listener.connection_count() if self._listener is not None else 0

    def wait_for_connections(self, count: int, *, timeout: float = 10.0) -> None:
        """Block until exactly ``count`` client connections are open; ``timeout`` in seconds."""
        if self._listener is not None:
            self._listener.wait_for_connections(count, timeout=timeout)

    @property
    def conversations(self) -> list[Conversation]:
        """All conversations kept now, oldest first."""
        return self.api.conversations()

    def client(self) -> Mistral:
        """Return an SDK client for this server."""
        return Mistral(api_key=self.api_key, server_url=self.base_url)

    def script(self, *replies: Reply | str) -> None:
        """Queue replies, one for each of the next answered requests; then the rule answers again."""
        self.api.script(*(Reply(text=reply) if isinstance(reply, str) else reply for reply in replies))

    def answer_with(self, rule: ReplyRule) -> None:
        """Replace the rule that answers unscripted requests."""
        self.api.rule = rule

    def fault(self, fault: Fault, *, times: int = 1, after: int = 0, on: Operation = "answer") -> None:
        """Queue a fault: ``times`` requests in a row, after ``after`` that are left alone."""
        self._faults.put(fault, times=times, after=after, operation=on)

    def take_fault(self, operation: Operation) -> Fault | None:
        """Return the next fault of an operation and forget it."""
        return self._faults.take(operation)

    def forget(self) -> None:
        """Lose every conversation, as an expiry would."""
        self.api.forget()

    @property
    def requests(self) -> list[RequestRecord]:
        """Every request so far, in order of arrival."""
        return self.journal.requests()

    @property
    def posts(self) -> list[RequestRecord]:
        """Every request for an answer so far."""
        return [record for record in self.requests if record.method == "POST"]

    def wait_until_idle(self, *, timeout: float = 10.0) -> None:
        """Block until every request has come to its end; ``timeout`` in seconds."""
        self.journal.wait_until_idle(timeout)

    @property
    def model_views(self) -> list[ModelView]:
        """Every context a model answered so far."""
        return list(self._views)

    @property
    def violations(self) -> list[Violation]:
        """Every body so far that no real server would take; a test ends with none."""
        return self.journal.violations()

    def take_violations(self) -> list[Violation]:
        """Return the violations and forget them: for a test that provokes some."""
        return self.journal.violations(clear=True)
