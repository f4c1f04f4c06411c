"""The server a test talks to."""

from __future__ import annotations

import threading
from collections.abc import Collection
from types import TracebackType
from typing import Self

from openai import AsyncOpenAI, OpenAI

from .chat_api import ChatApi
from .context import ModelView, text_of
from .faults import Fault, FaultQueue, Operation
from .journal import Journal, RequestRecord, Violation
from .json_types import JsonObject, string
from .listener import Listener, Site
from .replies import Reply
from .responses_api import ReplyRule, ResponsesApi

_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.02


class OpenAIServer:
    """A stateful counterparty for OpenAI's Responses, Conversations and Chat Completions on a loopback port.

    It takes what the SDK's own request types allow, keeps responses and conversations like the provider, answers with
    the SDK's own models, and by default says ``[{user messages}] You said: {last user text}``, so that a reply proves
    what history the model had. Thread-safe; usable from sync and async tests alike.

    Args:
        api_key: The one key that is let in.
        models: The models that exist; None means any.
        context_length: The window of every model in tokens; None means endless.

    Example:
        >>> with OpenAIServer() as server:
        ...     server.client().responses.create(model="gpt-5", input="hi").output_text
        '[1] You said: hi'
    """

    def __init__(
        self,
        *,
        api_key: str = "sk-loopback-0123456789abcdef",
        models: Collection[str] | None = None,
        context_length: int | None = None,
    ) -> None:
        self.api_key = api_key
        self.journal = Journal()
        self.api = ResponsesApi(self.journal, models=models, context_length=context_length)
        self.chat = ChatApi(self.api, self.journal)
        self._faults = FaultQueue()
        self._port = 0
        self._listener: Listener | None = None
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
        site = Site(api=self.api, chat=self.chat, journal=self.journal, api_key=self.api_key, faults=self._faults)
        self._listener = Listener(site, host=_LOOPBACK, port=self._port)
        self._port = self._listener.server_port
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(_POLL_SECONDS,), name="openai-server", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and break every connection; what was stored stays."""
        listener, thread = self._listener, self._thread
        if listener is None or thread is None:
            return
        self._listener = self._thread = None
        listener.close()
        thread.join()

    def restart(self) -> None:
        """Stop and start on the same port, with the state kept."""
        self.stop()
        self.start()

    @property
    def base_url(self) -> str:
        """What a client takes as ``base_url`` (or ``OPENAI_BASE_URL``)."""
        return f"http://{_LOOPBACK}:{self._port}/v1"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that send the SDK here."""
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": self.api_key}

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
    def stored_ids(self) -> list[str]:
        """The ids of all responses kept now, oldest first."""
        return self.api.stored_ids()

    @property
    def conversation_ids(self) -> list[str]:
        """The ids of all conversations kept now, oldest first."""
        return self.api.conversations.ids()

    def held(self, conversation_id: str) -> list[JsonObject]:
        """Return the items a conversation holds, oldest first."""
        with self.api.lock:
            return list(self.api.conversations.get(conversation_id).items)

    def held_texts(self, conversation_id: str, role: str = "user") -> list[str]:
        """Return the texts a conversation holds of one role, oldest first."""
        return [text_of(item) for item in self.held(conversation_id) if string(item, "role") == role]

    def enter(self, conversation_id: str, *items: JsonObject) -> None:
        """Enter items into a conversation behind everybody's back."""
        with self.api.lock:
            self.api.conversations.append(conversation_id, *items)

    def client(self, *, timeout: float = 10.0) -> OpenAI:
        """Return a sync SDK client for this server, without retries; ``timeout`` in seconds."""
        return OpenAI(api_key=self.api_key, base_url=self.base_url, max_retries=0, timeout=timeout)

    def async_client(self, *, timeout: float = 10.0) -> AsyncOpenAI:
        """Return an async SDK client for this server, without retries; ``timeout`` in seconds."""
        return AsyncOpenAI(api_key=self.api_key, base_url=self.base_url, max_retries=0, timeout=timeout)

    def script(self, *replies: Reply | str) -> None:
        """Queue replies, one for each of the next answered requests; then the rule answers again."""
        self.api.script(*(Reply(text=reply) if isinstance(reply, str) else reply for reply in replies))

    def answer_with(self, rule: ReplyRule) -> None:
        """Replace the rule that answers unscripted requests."""
        self.api.rule = rule

    def fault(self, fault: Fault, *, times: int = 1, after: int = 0, on: Operation = "create") -> None:
        """Queue a fault.

        Args:
            fault: One of `openai_server.faults`.
            times: How many requests in a row it befalls.
            after: How many requests are left alone first.
            on: Which requests count.
        """
        self._faults.put(fault, times=times, after=after, operation=on)

    def forget(self, response_id: str | None = None) -> None:
        """Lose the native state of one response, or all of it (conversations too), as an expiry would."""
        self.api.forget(response_id)

    @property
    def requests(self) -> list[RequestRecord]:
        """Every request so far, in order of arrival."""
        return self.journal.requests()

    @property
    def creates(self) -> list[RequestRecord]:
        """Every ``POST /v1/responses`` so far."""
        return [record for record in self.requests if (record.method, record.path) == ("POST", "/v1/responses")]

    @property
    def chats(self) -> list[RequestRecord]:
        """Every ``POST /v1/chat/completions`` so far."""
        return [record for record in self.requests if record.path == "/v1/chat/completions"]

    def wait_until_idle(self, *, timeout: float = 10.0) -> None:
        """Block until every request has come to its end: answered, cut, or left by its client.

        Args:
            timeout: Seconds after which the wait is given up.

        Raises:
            TimeoutError: One is still pending.
        """
        self.journal.wait_until_idle(timeout)

    @property
    def model_views(self) -> list[ModelView]:
        """Every context a model answered so far, flattened."""
        return self.journal.views()

    @property
    def violations(self) -> list[Violation]:
        """Every body so far that no real server would take; a test ends with none."""
        return self.journal.violations()

    def take_violations(self) -> list[Violation]:
        """Return the violations and forget them: for a test that provokes some."""
        return self.journal.violations(clear=True)
