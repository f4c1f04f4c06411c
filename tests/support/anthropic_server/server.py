"""The server a test talks to."""

from __future__ import annotations

import threading
from collections.abc import Collection
from types import TracebackType
from typing import Self

from tests.support.openai_server.journal import Journal, RequestRecord, Violation

from .context import ModelView
from .faults import Fault, FaultQueue
from .listener import MessagesListener, Site
from .messages_api import MessagesApi, ReplyRule
from .replies import Reply

_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.02


class AnthropicServer:
    """A stateful counterparty for the Anthropic Messages API on a loopback port.

    It takes what the SDK's own request types and the API's rules allow, keeps message threads like the provider,
    answers with the SDK's own models, and by default says ``[{user texts}] You said: {last user text}``, so that a
    reply proves what history the model had. It streams only. Thread-safe.

    Args:
        api_key: The one key that is let in.
        models: The models that exist; None means any.
        output_limit: The longest answer every model gives, in tokens.
        context_length: The window of every model in tokens; None means endless.
    """

    def __init__(
        self,
        *,
        api_key: str = "sk-ant-loopback-0123456789abcdef",
        models: Collection[str] | None = None,
        output_limit: int = 64_000,
        context_length: int | None = None,
    ) -> None:
        self.api_key = api_key
        self.journal = Journal()
        self.api = MessagesApi(self.journal, models=models, output_limit=output_limit, context_length=context_length)
        self._faults = FaultQueue()
        self._port = 0
        self._listener: MessagesListener | None = None
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
        self._listener = MessagesListener(site, host=_LOOPBACK, port=self._port)
        self._port = self._listener.server_port
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(_POLL_SECONDS,), name="anthropic-server", daemon=True
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
        """What a client takes as ``base_url`` (or ``ANTHROPIC_BASE_URL``)."""
        return f"http://{_LOOPBACK}:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that send the SDK here."""
        return {"ANTHROPIC_BASE_URL": self.base_url, "ANTHROPIC_API_KEY": self.api_key}

    @property
    def open_connections(self) -> int:
        """How many client connections are open now."""
        return self._listener.connection_count() if self._listener is not None else 0

    def wait_for_connections(self, count: int, *, timeout: float = 10.0) -> None:
        """Block until exactly ``count`` client connections are open.

        Raises:
            TimeoutError: Another number is open after ``timeout`` seconds.
        """
        if self._listener is not None:
            self._listener.wait_for_connections(count, timeout=timeout)

    @property
    def kept_ids(self) -> list[str]:
        """The messages threads can be continued from, oldest first."""
        return self.api.kept_ids()

    def script(self, *replies: Reply | str) -> None:
        """Queue replies, one for each of the next answered requests; then the rule answers again."""
        self.api.script(*(Reply(text=reply) if isinstance(reply, str) else reply for reply in replies))

    def answer_with(self, rule: ReplyRule) -> None:
        """Replace the rule that answers unscripted requests."""
        self.api.rule = rule

    def fault(self, fault: Fault, *, times: int = 1, after: int = 0) -> None:
        """Queue a fault.

        Args:
            fault: One of `anthropic_server.faults`.
            times: How many requests in a row it befalls.
            after: How many requests are left alone first.
        """
        self._faults.put(fault, times=times, after=after, operation="create")

    def forget(self) -> None:
        """Lose every thread, as an expiry would."""
        self.api.forget()

    def refuse_system_messages(self, model: str) -> None:
        """Let a model refuse system messages within the conversation, as older ones do."""
        self.api.system_refused_by.add(model)

    def refuse_threads(self, feature: str = "hipaa") -> None:
        """Refuse to thread requests that use a feature; ``hipaa`` stands for the account's own settings."""
        self.api.unthreadable.add(feature)

    @property
    def requests(self) -> list[RequestRecord]:
        """Every request so far, in order of arrival."""
        return self.journal.requests()

    def wait_until_idle(self, *, timeout: float = 10.0) -> None:
        """Block until every request has come to its end.

        Raises:
            TimeoutError: One is still pending after ``timeout`` seconds.
        """
        self.journal.wait_until_idle(timeout)

    @property
    def model_views(self) -> list[ModelView]:
        """Every context a model answered so far."""
        return self.api.views()

    @property
    def violations(self) -> list[Violation]:
        """Every request so far that no real server would take; a test ends with none."""
        return self.journal.violations()

    def take_violations(self) -> list[Violation]:
        """Return the violations and forget them: for a test that provokes some."""
        return self.journal.violations(clear=True)
