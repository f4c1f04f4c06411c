"""The span of a turn: root of everything that happens for one input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter

from opentelemetry import baggage
from opentelemetry import context as context_api
from opentelemetry.context import Context

from langswarm_sessions_otel import beside, semconv
from langswarm_sessions_otel.content.capture import Message
from langswarm_sessions_otel.degradation import falling_back, guarded
from langswarm_sessions_otel.identity import TurnIdentity, correlation_of, is_inside, within
from langswarm_sessions_otel.process.running import RUNNING_TURNS
from langswarm_sessions_otel.propagation import links_of
from langswarm_sessions_otel.scopes.chat import ChatScope, ForeignChatScope, RequestOption
from langswarm_sessions_otel.scopes.scope import Attributes, Recorder
from langswarm_sessions_otel.scopes.steps import RebuildScope, StorageScope, SummaryScope
from langswarm_sessions_otel.scopes.tool import ToolScope
from langswarm_sessions_otel.scopes.turn_events import TurnEvents


class TurnScope(TurnEvents):
    """The ``invoke_agent`` span of a turn, made by `Telemetry.turn`."""

    __slots__ = (
        "__weakref__",
        "_around",
        "_first_chunk_after",
        "_identity",
        "_inference_calls",
        "_saved",
        "_stream",
        "_tool_calls",
        "agent_name",
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
        metric: Attributes = {
            semconv.PROVIDER_NAME: semconv.provider_name(provider),
            semconv.REQUEST_MODEL: model,
            semconv.SESSION_MODE: mode,
        }
        super().__init__(
            recorder, f"{semconv.TURN_OPERATION} {agent_name}", attributes=attributes, metric=metric, provider=provider
        )
        self._identity = TurnIdentity(session_id, correlation)
        self.agent_name = agent_name
        self._stream = stream
        self._inference_calls = 0
        self._tool_calls = 0
        self._saved: tuple[int, int] = (0, 0)
        self._first_chunk_after: float | None = None
        self._around: beside.RecordedElsewhere | None = None

    # ------------------------------------------------------------------ what the turn goes through

    @guarded("began")
    def began(self, *, turn_index: int, previous: str | None = None, mode: str | None = None) -> None:
        """Tell what storage knows of the turn.

        Args:
            turn_index: Number of the turn in its session, from 1.
            previous: What the session keeps of its traces: its last turn and a handoff since are linked to.
            mode: Resolved mode, ``native`` or ``client``.
        """
        if mode is not None and mode != self._metric[semconv.SESSION_MODE]:
            self._metric[semconv.SESSION_MODE] = self._ending[semconv.SESSION_MODE] = mode
        if not self.recording:
            return
        self._span.set_attribute(semconv.TURN_INDEX, turn_index)  # at once, so that a turn that is killed has it too
        last_turn, handoff = links_of(previous)
        if last_turn is not None:
            self._span.add_link(last_turn, {semconv.LINK_KIND: semconv.LINK_PREVIOUS_TURN})
        if handoff is not None:
            self._span.add_link(handoff, {semconv.LINK_KIND: semconv.LINK_HANDOFF})

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
        sdk_calls: Sequence[str] = (),
        aside: bool = False,
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
            sdk_calls: The SDK's functions that the request goes through, each ``module:Class.function``.
            aside: Whether it is no part of the answer, such as a summary.

        Returns:
            A context manager; tell it of the answer with its methods.
        """
        self._inference_calls += 1
        return ChatScope(
            self,
            provider=provider,
            model=model,
            stream=stream,
            previous_response_id=previous_response_id,
            server_address=server_address,
            server_port=server_port,
            request_options=request_options,
            elsewhere=self._recorded_elsewhere(sdk_calls, aside=aside),
        )

    @falling_back("beside", to=None)
    def _recorded_elsewhere(self, sdk_calls: Sequence[str], *, aside: bool) -> beside.RecordedElsewhere | None:
        return beside.recorded_elsewhere(self.child_context(), sdk_calls, around=None if aside else self._around)

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
        self._tool_calls += 1
        return ToolScope(self, name=name, call_id=call_id, description=description)

    def rebuild(self, *, reason: str, provider: str, attempt: int = 1) -> RebuildScope:
        """Open the span of a rebuild of the native thread.

        Args:
            reason: ``not_found``, ``locked`` or ``corrupt``.
            provider: Our name of the provider.
            attempt: Number of the attempt, from 1.

        Returns:
            A context manager; tell it the cost with `RebuildScope.replayed`.
        """
        return RebuildScope(self, reason=reason, provider=provider, attempt=attempt)

    def summary(self) -> SummaryScope:
        """Open the span of summarising what fell out of the window.

        Returns:
            A context manager; tell it what was summarised with `SummaryScope.written`.
        """
        return SummaryScope(self)

    # ------------------------------------------------------------------ content

    @property
    def captures_content(self) -> bool:
        """Whether content told to this turn's chats is recorded; ask before building it."""
        recorder = self._recorder
        content = recorder.content
        if content is None:
            return False
        return (content.on_spans and self.recording) or (
            content.on_events and recorder.events is not None and recorder.events.tells_details
        )

    @property
    def shows_content(self) -> bool:
        """Whether content told to this turn and its tools is on their spans; ask before building it."""
        content = self._recorder.content
        return content is not None and content.on_spans and self.recording

    @guarded("content")
    def input_content(self, said: str | Sequence[Message]) -> None:
        """Record the turn's input, if content is captured (`shows_content`).

        Args:
            said: What was said to the model: a text, or messages as `ChatScope.content` takes them.
        """
        content = self._recorder.content
        if said and content is not None and self.shows_content:
            value, mime_type = content.shown("input", said)
            self._ending[semconv.INPUT_VALUE] = value
            self._ending[semconv.INPUT_MIME_TYPE] = mime_type

    @guarded("content")
    def output_content(self, said: str | Sequence[Message]) -> None:
        """Record the turn's answer, if content is captured (`shows_content`).

        Args:
            said: What the model said: a text, or messages as `ChatScope.content` takes them.
        """
        content = self._recorder.content
        if said and content is not None and self.shows_content:
            value, mime_type = content.shown("output", said)
            self._ending[semconv.OUTPUT_VALUE] = value
            self._ending[semconv.OUTPUT_MIME_TYPE] = mime_type

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

    def runs_no_more(self) -> None:
        """Tell that the turn is over, though its end is yet to be told: nobody shall think that it hangs."""
        RUNNING_TURNS.ended(self)

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
        RUNNING_TURNS.began(self)
        if self._recorder.settings.baggage:
            context = baggage.set_baggage(semconv.CONVERSATION_ID, self._identity.session_id, context)
        self._around, context = beside.taken_around(context)
        return within(self._identity, beside.name_conversation(context, self._identity.session_id))

    def _record(self, elapsed: float, attributes: Attributes) -> None:
        RUNNING_TURNS.ended(self)
        instruments = self._recorder.instruments
        if self._first_chunk_after is not None:
            instruments.turn_first_chunk.measure(self._first_chunk_after, self._metric, self._context)
        messages, size = self._saved
        if messages:
            instruments.messages_avoided.measure(messages, {semconv.PROVIDER_NAME: self._provider}, self._context)
        if size:
            instruments.bytes_avoided.measure(size, {semconv.PROVIDER_NAME: self._provider}, self._context)
        agent: Attributes = {
            semconv.AGENT_NAME: self.agent_name,
            semconv.REQUEST_MODEL: self._metric[semconv.REQUEST_MODEL],
        }
        if self._tool_calls:  # other turns call the model once: its own metrics say so, and measurements cost time
            instruments.inference_calls.measure(self._inference_calls, agent, self._context)
            instruments.tool_calls.measure(self._tool_calls, agent, self._context)
        if self.error_type is not None:
            agent = {**agent, semconv.ERROR_TYPE: self.error_type}
        attributes = {**attributes, semconv.REQUEST_STREAM: self._stream}
        instruments.turn_duration.measure(elapsed, attributes, self._context)
        instruments.agent_duration.measure(elapsed, agent, self._context)
