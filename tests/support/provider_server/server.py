"""The server a test talks to: what all of them can do."""

from __future__ import annotations

import contextlib
import hmac
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import ClassVar, Generic, Self

from .exchange import Exchange
from .faults import Fault, FaultQueue
from .ids import IdSource
from .journal import Journal, RequestRecord, Violation
from .json_types import JsonObject
from .listener import Listener, Request
from .refusals import Refusal
from .replies import ReplyT, Script, ViewT
from .wire import Wire

_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.02


class ProviderServer(ABC, Generic[ViewT, ReplyT]):
    """A counterparty for one provider's API on a loopback port. Thread-safe; for sync and async tests alike.

    By default it says ``[{user messages}] You said: {last user text}``, so that a reply proves what history the model
    had.

    Args:
        api_key: The one key that is let in.
        make_reply: Makes a reply of a text.
        rule: Says what the model answers to a context when nothing is scripted.

    Attributes:
        base_path: What follows host and port in the base URL.
        id_header: The header that names every exchange.
        main_operation: What faults know requests for an answer by.
        variables: The environment variables with the SDK's key and, where there is one, its base URL.
    """

    base_path: ClassVar[str] = ""
    id_header: ClassVar[str] = "x-request-id"
    main_operation: ClassVar[str] = "answer"
    variables: ClassVar[tuple[str, ...]]

    def __init__(self, *, api_key: str, make_reply: Callable[[str], ReplyT], rule: Callable[[ViewT], ReplyT]) -> None:
        self.api_key = api_key
        self.journal: Journal[ViewT] = Journal()
        self.replies = Script(rule)
        self.ids = IdSource()
        self.make_reply = make_reply
        self._faults = FaultQueue()
        self._port = 0
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None

    # What a provider's server says of its API

    @abstractmethod
    def serve(self, request: Request, exchange: Exchange) -> None:
        """Answer a request that had the right key.

        Raises:
            Refusal: The request is refused.
            ClientGoneError: The client left first.
        """

    @abstractmethod
    def wrong_key(self) -> Refusal:
        """Return the refusal of a request with another key."""

    def given_key(self, request: Request) -> str:
        """Return the key a request has."""
        return request.header("authorization").removeprefix("Bearer ")

    def refusal_body(self, refusal: Refusal, request: Request) -> JsonObject:
        """Return what the client reads of a refusal."""
        return refusal.body()

    def wire(self, handler: BaseHTTPRequestHandler) -> Wire:
        """Return the connection of one exchange."""
        return Wire(handler, headers=((self.id_header, self.ids.issue("req")),))

    # Running

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
        self._listener = Listener(self, host=_LOOPBACK, port=self._port)
        self._port = self._listener.server_port
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(_POLL_SECONDS,), name=type(self).__name__, daemon=True
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
    def is_running(self) -> bool:
        """Whether it listens."""
        return self._listener is not None

    def restart(self) -> None:
        """Stop and start on the same port, with the state kept."""
        self.stop()
        self.start()

    def answer(self, request: Request, exchange: Exchange) -> None:
        """Answer any request; a wrong key is refused first.

        Raises:
            Refusal: The request is refused.
            ClientGoneError: The client left first.
        """
        if not hmac.compare_digest(self.given_key(request).encode(), self.api_key.encode()):
            raise self.wrong_key()
        self.serve(request, exchange)

    @contextlib.contextmanager
    def judging(self, body: JsonObject | None) -> Generator[None]:
        """Write down as a violation what is refused within."""
        try:
            yield
        except Refusal as refusal:
            self.journal.violated(Violation(refusal.problem, body))
            raise

    # What tests say

    def script(self, *replies: ReplyT | str) -> None:
        """Queue replies, one for each of the next answered requests; then the rule answers again."""
        self.replies.add(*(self.make_reply(reply) if isinstance(reply, str) else reply for reply in replies))

    def answer_with(self, rule: Callable[[ViewT], ReplyT]) -> None:
        """Replace the rule that answers unscripted requests."""
        self.replies.rule = rule

    def fault(self, fault: Fault, *, times: int = 1, after: int = 0, on: str | None = None) -> None:
        """Queue a fault.

        Args:
            fault: One of the server's `faults`.
            times: How many requests in a row it befalls.
            after: How many requests are left alone first.
            on: Which requests count; by default those for an answer.
        """
        self._faults.put(fault, times=times, after=after, operation=on or self.main_operation)

    def take_fault(self, on: str | None = None) -> Fault | None:
        """Return the next fault of an operation and forget it."""
        return self._faults.take(on or self.main_operation)

    def calm(self) -> None:
        """Let nothing go wrong any more."""
        self._faults.clear()

    # What tests read

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL."""
        return f"http://{_LOOPBACK}:{self._port}{self.base_path}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that send the SDK here."""
        return dict(zip(self.variables, (self.api_key, self.base_url), strict=False))

    @property
    def credential(self) -> dict[str, str]:
        """What ``providers={name: ...}`` takes."""
        return {"api_key": self.api_key, "base_url": self.base_url}

    @property
    def open_connections(self) -> int:
        """How many client connections are open now."""
        return self._listener.connection_count() if self._listener is not None else 0

    def wait_for_connections(self, count: int, *, timeout: float = 10.0) -> None:
        """Block until exactly ``count`` client connections are open.

        Args:
            count: Connections to wait for; 0 proves that a client closed all of its own.
            timeout: Seconds after which the wait is given up.

        Raises:
            TimeoutError: Another number of connections is open.
        """
        if self._listener is not None:
            self._listener.wait_for_connections(count, timeout=timeout)

    @property
    def requests(self) -> list[RequestRecord]:
        """Every request so far, in order of arrival."""
        return self.journal.requests()

    @property
    def posts(self) -> list[RequestRecord]:
        """Every request for an answer so far."""
        return [record for record in self.requests if record.method == "POST"]

    def wait_until_idle(self, *, timeout: float = 10.0) -> None:
        """Block until every request has come to its end: answered, cut, or left by its client.

        Args:
            timeout: Seconds after which the wait is given up.

        Raises:
            TimeoutError: One is still pending.
        """
        self.journal.wait_until_idle(timeout)

    @property
    def model_views(self) -> list[ViewT]:
        """Every context a model answered so far."""
        return self.journal.views()

    @property
    def violations(self) -> list[Violation]:
        """Every request so far that no real server would take; a test ends with none."""
        return self.journal.violations()

    def take_violations(self) -> list[Violation]:
        """Return the violations and forget them: for a test that provokes some."""
        return self.journal.violations(clear=True)
