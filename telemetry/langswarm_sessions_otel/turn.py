"""The span of a turn: root of everything that happens for one input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter

from opentelemetry import baggage, trace
from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.util.types import AttributeValue

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.chat import ChatScope, ForeignChatScope, RequestOption
from langswarm_sessions_otel.degradation import guarded
from langswarm_sessions_otel.identity import TurnIdentity, correlation_of, is_inside, within
from langswarm_sessions_otel.propagation import span_context_of, traceparent_of
from langswarm_sessions_otel.scope import Attributes, Recorder, SpanScope
from langswarm_sessions_otel.steps import RebuildScope, StorageScope
from langswarm_sessions_otel.tool import ToolScope


class TurnScope(SpanScope):
    """The ``invoke_agent`` span of a turn, made by `Telemetry.turn`."""

    __slots__ = (
        "_first_chunk_after",
        "_identity",
        "_metric",
        "_mode",
        "_previous",
        "_provider",
        "_saved",
        "_stream",
    )

    def __init__(
        self,
        recorder: Recorder,
        *,
        session_id: str,
        agent_name: str,
        operation: str,
        mode: str,
        provider: str,
        model: str,
        stream: bool,
    ) -> None:
        correlation = correlation_of(session_id)
        attributes: Attributes = {
            **correlation,
            semconv.OPERATION_NAME: semconv.TURN_OPERATION,
            semconv.AGENT_NAME: agent_name,
            semconv.REQUEST_MODEL: model,
            semconv.SESSION_MODE: mode,
            semconv.SESSION_OPERATION: operation,
        }
        super().__init__(recorder, f"{semconv.TURN_OPERATION} {agent_name}", attributes=attributes)
        self._identity = TurnIdentity(session_id, correlation)
        self._provider = semconv.PROVIDER_NAMES.get(provider, provider)
        self._metric: Attributes = {semconv.PROVIDER_NAME: self._provider, semconv.REQUEST_MODEL: model}
        self._mode = mode
        self._stream = stream
        self._saved: tuple[int, int] = (0, 0)
        self._first_chunk_after: float | None = None
        self._previous: trace.SpanContext | None = None

    # ------------------------------------------------------------------ what the turn goes through

    @guarded("began")
    def began(self, *, turn_index: int, previous: str | None = None, mode: str | None = None) -> None:
        """Tell what storage knows of the turn.

        Args:
            turn_index: Number of the turn in its session, from 1.
            previous: Traceparent of the session's last turn, linked to.
            mode: Resolved mode, ``native`` or ``client``.
        """
        if mode is not None and mode != self._mode:
            self._mode = self._ending[semconv.SESSION_MODE] = mode
        if not self.recording:
            return
        self._ending[semconv.TURN_INDEX] = turn_index
        self._previous = span_context_of(previous) if previous else None
        if self._previous is not None:
            self._span.add_link(self._previous, {semconv.LINK_KIND: semconv.LINK_PREVIOUS_TURN})

    def storage(self, operation: str, *, backend: str, db_system: str | None = None) -> StorageScope:
        """Open the span of a storage operation.

        Args:
            operation: ``load`` (the turn's begin), ``append`` (its finish), ``replace`` or ``delete``.
            backend: Name of the storage backend.
            db_system: Its ``db.system.name``, None without a database.

        Returns:
            A context manager; tell it what was done with `StorageScope.done`.
        """
        return StorageScope(self, operation, backend=backend, db_system=db_system)

    def chat(
        self,
        *,
        provider: str,
        model: str,
        stream: bool,
        previous_response_id: str | None = None,
        server_address: str | None = None,
        server_port: int | None = None,
        request_options: Mapping[str, RequestOption] | None = None,
    ) -> ChatScope:
        """Open the span of a call of the model.

        Args:
            provider: Our name of the provider.
            model: Requested model.
            stream: Whether the answer is streamed.
            previous_response_id: Response that the request continues.
            server_address: Host of the provider.
            server_port: Its port.
            request_options: ``temperature``, ``max_tokens``, ``top_p``; others are ignored.

        Returns:
            A context manager; tell it of the answer with its methods.
        """
        return ChatScope(
            self,
            provider=semconv.PROVIDER_NAMES.get(provider, provider),
            model=model,
            stream=stream,
            previous_response_id=previous_response_id,
            server_address=server_address,
            server_port=server_port,
            request_options=request_options,
        )

    def foreign_chat(self) -> ChatScope:
        """Stand in for `chat` where somebody else calls the model and traces it: nothing is counted twice.

        Returns:
            A context manager with the methods of a chat; only the first chunk is taken note of, for the turn.
        """
        return ForeignChatScope(self)

    def tool(self, *, name: str | None, call_id: str, description: str | None = None) -> ToolScope:
        """Open the span of a call of a tool.

        Args:
            name: The tool's name; None for one that there is not: what a model made up is no name.
            call_id: The provider's id of the call.
            description: What the tool is said to do.

        Returns:
            A context manager; tell it how the call ended with its methods.
        """
        return ToolScope(self, name=name, call_id=call_id, description=description)

    def rebuild(self, *, reason: str, provider: str, attempt: int = 1) -> RebuildScope:
        """Open the span of a rebuild of the native thread.

        Args:
            reason: ``not_found``, ``expired``, ``provider_changed``, ``corrupt``, ``locked``.
            provider: Our name of the provider.
            attempt: Number of the attempt, from 1.

        Returns:
            A context manager; tell it the cost with `RebuildScope.replayed`.
        """
        self.event(semconv.REBUILD_EVENT, {semconv.REBUILD_REASON: reason, semconv.REBUILD_ATTEMPT: attempt})
        provider = semconv.PROVIDER_NAMES.get(provider, provider)
        return RebuildScope(self, reason=reason, provider=provider, attempt=attempt, previous=self._previous)

    @guarded("event")
    def retrying(self, *, attempt: int, error_type: str, delay_seconds: float) -> None:
        """Add a span event: the model is called again.

        Args:
            attempt: Number of the attempt that failed, from 1.
            error_type: What it failed with.
            delay_seconds: How long the next one waits.
        """
        if self.recording:
            attributes: Attributes = {
                semconv.RETRY_ATTEMPT: attempt,
                semconv.ERROR_TYPE: error_type,
                semconv.RETRY_DELAY: delay_seconds,
            }
            self._span.add_event(semconv.RETRY_EVENT, attributes)

    @guarded("event")
    def rate_limited(self, *, provider: str, wait_seconds: float) -> None:
        """Add a span event and record the metric: a request waited for its place within the limits a minute.

        Args:
            provider: Our name of the provider.
            wait_seconds: How long it waited, whether it got its place or not.
        """
        name = semconv.PROVIDER_NAMES.get(provider, provider)
        self.event(
            semconv.RATE_LIMITED_EVENT, {semconv.PROVIDER_NAME: name, semconv.RATE_LIMIT_WAIT: round(wait_seconds, 3)}
        )
        self._recorder.instruments.rate_limit_waits.record(wait_seconds, {semconv.PROVIDER_NAME: name}, self._context)

    def circuit_opened(self, *, provider: str) -> None:
        """Add a span event: after the failure of this turn's request nothing is sent to the provider for a while.

        Args:
            provider: Our name of the provider.
        """
        name = semconv.PROVIDER_NAMES.get(provider, provider)
        self.event(semconv.CIRCUIT_OPENED_EVENT, {semconv.PROVIDER_NAME: name})

    @guarded("event")
    def circuit_refused(self, *, provider: str, retry_after_seconds: float) -> None:
        """Add a span event and count it: a request was not sent, because the provider is down.

        Args:
            provider: Our name of the provider.
            retry_after_seconds: When it is tried again.
        """
        name = semconv.PROVIDER_NAMES.get(provider, provider)
        self.event(
            semconv.CIRCUIT_REFUSED_EVENT,
            {semconv.PROVIDER_NAME: name, semconv.CIRCUIT_RETRY_AFTER: round(retry_after_seconds, 3)},
        )
        self._recorder.instruments.circuit_refusals.add(1, {semconv.PROVIDER_NAME: name}, self._context)

    @guarded("event")
    def event(self, name: str, attributes: Mapping[str, AttributeValue] | None = None) -> None:
        """Add a span event.

        Args:
            name: Name of the event.
            attributes: Its attributes; no content.
        """
        if self.recording:
            self._span.add_event(name, attributes)

    # ------------------------------------------------------------------ content

    @property
    def captures_content(self) -> bool:
        """Whether content told to this turn and its chats is recorded; ask before building it."""
        return self.recording and self._recorder.settings.capture_content

    @guarded("content")
    def input_content(self, text: str) -> None:
        """Record the turn's input, if content is captured.

        Args:
            text: What was said to the model.
        """
        if self.captures_content:
            self._ending[semconv.INPUT_VALUE] = text
            self._ending[semconv.INPUT_MIME_TYPE] = semconv.PLAIN_TEXT

    @guarded("content")
    def output_content(self, text: str) -> None:
        """Record the turn's answer, if content is captured.

        Args:
            text: What the model said.
        """
        if self.captures_content:
            self._ending[semconv.OUTPUT_VALUE] = text
            self._ending[semconv.OUTPUT_MIME_TYPE] = semconv.PLAIN_TEXT

    # ------------------------------------------------------------------ how it ends

    @guarded("finished")
    def finished(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        finish_reasons: Sequence[str] = (),
        messages_sent: int | None = None,
        messages_total: int | None = None,
        messages_avoided: int | None = None,
        bytes_avoided: int | None = None,
        retries: int | None = None,
    ) -> None:
        """Tell the turn's totals; unknown ones are left out.

        Args:
            input_tokens: Sum over the turn's calls of the model.
            output_tokens: Sum over the turn's calls of the model.
            finish_reasons: Why the model stopped.
            messages_sent: Messages that were sent.
            messages_total: Messages that the model was to know.
            messages_avoided: Messages that were not sent, as the provider holds them.
            bytes_avoided: Their size.
            retries: Calls that were repeated.
        """
        self._saved = (messages_avoided or 0, bytes_avoided or 0)
        if not self.recording:
            return
        totals: dict[str, int | None] = {
            semconv.INPUT_TOKENS: input_tokens,
            semconv.OUTPUT_TOKENS: output_tokens,
            semconv.MESSAGES_SENT: messages_sent,
            semconv.MESSAGES_TOTAL: messages_total,
            semconv.TURN_RETRIES: retries,
        }
        self._ending.update({name: total for name, total in totals.items() if total is not None})
        if finish_reasons:
            self._ending[semconv.FINISH_REASONS] = tuple(finish_reasons)

    @guarded("fail")
    def interrupted(self, reason: str) -> None:
        """Mark the turn as broken off.

        Args:
            reason: ``cancelled``, ``abandoned`` or ``idle``.
        """
        self._fail(reason)

    @property
    def traceparent(self) -> str | None:
        """W3C traceparent of the turn's span, None without an SDK or when it is not sampled."""
        return traceparent_of(self._span) if self._traced else None

    # ------------------------------------------------------------------ for its children

    @property
    def recorder(self) -> Recorder:
        """What the turn's children record with."""
        return self._recorder

    @property
    def identity(self) -> TurnIdentity:
        """What the turn's children have in common."""
        return self._identity

    def child_context(self) -> Context:
        """Return the context that children start in: the current one, if it is inside this turn."""
        current = context_api.get_current()
        if self._context is None or is_inside(self._identity, current):
            return current
        return self._context

    def first_chunk(self) -> None:
        """Take note of the first chunk of the turn's answer."""
        if self._stream and self._first_chunk_after is None:
            self._first_chunk_after = perf_counter() - self._started

    def _bind(self, context: Context) -> Context:
        if self._recorder.settings.baggage:
            context = baggage.set_baggage(semconv.CONVERSATION_ID, self._identity.session_id, context)
        return within(self._identity, context)

    def _record(self, elapsed: float) -> None:
        instruments = self._recorder.instruments
        attributes: Attributes = {**self._metric, semconv.SESSION_MODE: self._mode}
        if self._first_chunk_after is not None:
            instruments.turn_first_chunk.record(self._first_chunk_after, attributes, self._context)
        messages, size = self._saved
        if messages:
            instruments.messages_avoided.add(messages, {semconv.PROVIDER_NAME: self._provider}, self._context)
        if size:
            instruments.bytes_avoided.add(size, {semconv.PROVIDER_NAME: self._provider}, self._context)
        attributes = {**attributes, semconv.REQUEST_STREAM: self._stream}
        if self.error_type is not None:
            attributes[semconv.ERROR_TYPE] = self.error_type
        instruments.turn_duration.record(elapsed, attributes, self._context)
