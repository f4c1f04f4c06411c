"""The span of one call of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.beside import RecordedElsewhere, Silenced, silencing
from langswarm_sessions_otel.content.capture import ContentKind, Message
from langswarm_sessions_otel.degradation import guarded
from langswarm_sessions_otel.events import EventAttributes
from langswarm_sessions_otel.scopes.scope import Attributes
from langswarm_sessions_otel.scopes.steps import StepScope

if TYPE_CHECKING:
    from langswarm_sessions_otel.scopes.turn import TurnScope

RequestOption = str | bool | int | float | None

_OPTIONS: Final = {
    "temperature": semconv.REQUEST_TEMPERATURE,
    "max_tokens": semconv.REQUEST_MAX_TOKENS,
    "top_p": semconv.REQUEST_TOP_P,
}
_TOKEN_ATTRIBUTES: Final[dict[semconv.TokenUse, str]] = {
    "input": semconv.INPUT_TOKENS,
    "output": semconv.OUTPUT_TOKENS,
    "cached": semconv.CACHED_TOKENS,
    "reasoning": semconv.REASONING_TOKENS,
}

_BROKEN_OFF: Final = frozenset({"cancelled", "abandoned", "idle", "lease_lost"})

_TOLD_SECONDS: Final = 0.001


class ChatScope(StepScope):
    """The ``chat`` span of one call of the model, made by `TurnScope.chat`."""

    __slots__ = (
        "_elsewhere",
        "_first_chunk_after",
        "_held_up",
        "_is_given",
        "_said",
        "_since",
        "_stream",
        "_tokens",
    )

    def __init__(
        self,
        turn: TurnScope,
        *,
        provider: str,
        model: str,
        stream: bool,
        previous_response_id: str | None,
        server_address: str | None,
        server_port: int | None,
        request_options: Mapping[str, RequestOption] | None,
        elsewhere: RecordedElsewhere | None = None,
    ) -> None:
        metric: Attributes = {
            semconv.OPERATION_NAME: semconv.CHAT_OPERATION,
            semconv.PROVIDER_NAME: semconv.provider_name(provider),
            semconv.REQUEST_MODEL: model,
        }
        if server_address is not None:
            metric[semconv.SERVER_ADDRESS] = server_address
            if server_port is not None:
                metric[semconv.SERVER_PORT] = server_port
        attributes: Attributes = {**metric, semconv.AGENT_NAME: turn.agent_name}
        if stream:
            attributes[semconv.REQUEST_STREAM] = True
        if previous_response_id is not None:
            attributes[semconv.PREVIOUS_RESPONSE_ID] = previous_response_id
        for option, name in _OPTIONS.items() if request_options else ():
            value = request_options.get(option) if request_options else None
            if value is not None:
                attributes[name] = value
        name = f"{semconv.CHAT_OPERATION} {model}"
        super().__init__(turn, name, attributes=attributes, metric=metric, kind=SpanKind.CLIENT)
        self._elsewhere = elsewhere
        self._stream = stream
        self._first_chunk_after: float | None = None
        self._since = 0.0  # since when the provider is waited for, or the next piece not asked for yet
        self._is_given = True  # whether all that was asked for is there
        self._held_up = 0.0  # seconds in which nothing was asked for
        self._tokens: dict[semconv.TokenUse, int | None] = {}
        self._said: EventAttributes = {}  # in structured form, for the event

    def asks(self) -> None:
        """Take note that the next piece of a stream is asked for: until now its reader was slow, not the provider."""
        if self._is_given:
            moment = perf_counter()
            self._held_up += moment - (self._since or self._started)
            self._since = moment
            self._is_given = False

    @guarded("chunk")
    def chunk(self, *, is_shown: bool = True) -> None:
        """Take note of a chunk of the answer: how long the provider took for the first one, and for each other one.

        Args:
            is_shown: Whether the turn's reader gets it now; one that is held back is no first chunk of the turn.
        """
        moment = perf_counter()
        if self._first_chunk_after is None:
            self._first_chunk_after = moment - self._started - self._held_up
            if is_shown:
                self._turn.first_chunk()
        elif self._stream and self._is_measured:
            self._recorder.instruments.chat_chunk.measure(moment - self._since, self._metric, self._context)
        self._since = moment
        self._is_given = True

    @guarded("finished")
    def finished(
        self,
        *,
        response_model: str | None = None,
        response_id: str | None = None,
        finish_reason: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
    ) -> None:
        """Tell what came back; unknown values are left out.

        Args:
            response_model: Model that answered.
            response_id: The provider's id of the answer.
            finish_reason: Why the model stopped.
            input_tokens: Tokens read, cached ones included.
            output_tokens: Tokens written, reasoning included.
            cached_tokens: Tokens read from the provider's cache.
            cache_write_tokens: Tokens written to the provider's cache.
            reasoning_tokens: Tokens written as reasoning.
        """
        self._tokens = {
            "input": input_tokens,
            "output": output_tokens,
            "cached": cached_tokens,
            "cache_write": cache_write_tokens,
            "reasoning": reasoning_tokens,
        }
        if response_model is not None:  # anew: older SDKs keep what they are given
            self._metric = {**self._metric, semconv.RESPONSE_MODEL: response_model}
        if not (self.recording or self._is_told):
            return
        if response_model is not None:
            self._ending[semconv.RESPONSE_MODEL] = response_model
        if response_id is not None:
            self._ending[semconv.RESPONSE_ID] = response_id
        if finish_reason is not None:
            self._ending[semconv.FINISH_REASONS] = (finish_reason,)
        for use, count in self._tokens.items():
            if count is not None:
                name = _TOKEN_ATTRIBUTES.get(use) or self._recorder.settings.client_metrics.cache_write_tokens
                self._ending[name] = count

    def compacted(self) -> None:
        """Tell that the model saw a shorter view of what was said before: a window, a summary, a compaction."""
        self._ending[semconv.CONVERSATION_COMPACTED] = True

    @guarded("content")
    def content(
        self,
        *,
        instructions: str | None = None,
        input_messages: Sequence[Message] = (),
        output_messages: Sequence[Message] = (),
        tool_definitions: Sequence[Message] = (),
    ) -> None:
        """Record what was said, if content is captured (`TurnScope.captures_content`).

        It may be called once with what is sent and once more with what came back.

        Args:
            instructions: System instructions.
            input_messages: Messages sent, each ``{"role": ..., "parts": [{"type": ...}]}``.
            output_messages: Messages received, in the same form.
            tool_definitions: Tools that the model may call, each ``{"type": ..., "name": ...}``.
        """
        if self._elsewhere is not None or not self._turn.captures_content:
            return
        if instructions is not None:
            self._write(semconv.SYSTEM_INSTRUCTIONS, "instructions", [{"type": "text", "content": instructions}])
        self._write(semconv.INPUT_MESSAGES, "input", input_messages)
        self._write(semconv.OUTPUT_MESSAGES, "output", output_messages)
        self._write(semconv.TOOL_DEFINITIONS, "tool_definitions", tool_definitions)

    def _write(self, name: str, kind: ContentKind, items: Sequence[Message]) -> None:
        content = self._recorder.content
        if content is None or not items:
            return
        objects = content.objects(kind, items)
        newest = kind != "tool_definitions"
        if content.on_spans and self.recording and (text := content.for_span(objects, newest=newest)) is not None:
            self._ending[name] = text
        if content.on_events and self._is_told and (few := content.for_event(objects, newest=newest)) is not None:
            self._said[name] = few

    @property
    def _is_told(self) -> bool:
        """Whether the call is told of as an event, and by us."""
        events = self._recorder.events
        return events is not None and events.tells_details and self._elsewhere is None

    def _tell_error(self, error: BaseException) -> None:
        if self.error_type not in _BROKEN_OFF:  # such a call did not fail
            self._tell_failure(error)
        super()._tell_error(error)

    @guarded("event")
    def _tell_failure(self, error: BaseException) -> None:
        events = self._recorder.events
        if events is None or not events.is_heard or self._elsewhere is not None:
            return
        attributes: EventAttributes = {**self._attributes, semconv.ERROR_TYPE: self.error_type}
        events.failed_call(error, attributes, content=self._recorder.content, context=self._context)

    @guarded("event")
    def _tell_details(self) -> None:
        events = self._recorder.events
        if events is None or not self._is_told:
            return
        ending = {name: value for name, value in self._ending.items() if name not in semconv.CONTENT_ATTRIBUTES}
        events.inference_details({**self._attributes, **ending, **self._said}, context=self._context)

    @property
    def _is_measured(self) -> bool:
        """Whether its metrics are ours to record."""
        return self._elsewhere is None or not self._elsewhere.metrics

    def _bind(self, context: Context) -> Context:
        silenced = Silenced.WHO_LISTENS if self._elsewhere is None else self._elsewhere.silenced
        return silencing(context, silenced, provider=self._metric.get(semconv.PROVIDER_NAME))

    @guarded("start")
    def _open(self) -> None:
        if self._elsewhere is None:
            super()._open()
            return
        self._context = self._bind(self._parent())
        self._token = context_api.attach(self._context)

    def _seconds_held_up(self, elapsed: float) -> float:
        """Return how long nothing was asked for of what the provider still had to say."""
        if self._stream and self._is_given and self.error_type in _BROKEN_OFF:
            return self._held_up + self._started + elapsed - (self._since or self._started)
        return self._held_up

    def _record(self, elapsed: float, attributes: Attributes) -> None:
        if not self._is_measured:
            return
        instruments = self._recorder.instruments
        for metric, instrument in instruments.tokens:
            count = self._tokens.get(metric.use)
            if count is None or (self.error_type is not None and not metric.when_failed):
                continue
            more = {} if metric.attribute is None else {metric.attribute[0]: metric.attribute[1]}
            instrument.measure(count, {**self._metric, **more}, self._context)
        if self._stream and self._first_chunk_after is not None:
            self._ending[semconv.TIME_TO_FIRST_CHUNK] = self._first_chunk_after
            instruments.chat_first_chunk.measure(self._first_chunk_after, self._metric, self._context)
        held_up = self._seconds_held_up(elapsed)
        if held_up >= _TOLD_SECONDS:
            self._ending[semconv.READER_WAIT] = round(held_up, 3)
        instruments.chat_duration.measure(elapsed - held_up, attributes, self._context)
        self._tell_details()


class ForeignChatScope(ChatScope):
    """A call of the model that others make and tell of, such as a wrapped chain: no span and no metric of ours."""

    __slots__ = ()

    def __init__(self, turn: TurnScope) -> None:
        super().__init__(
            turn,
            provider="",
            model="",
            stream=False,
            previous_response_id=None,
            server_address=None,
            server_port=None,
            request_options=None,
        )

    def __enter__(self) -> Self:
        self._started = perf_counter()
        return self

    def content(self, **_: object) -> None:
        """Others record it."""

    def failed(self, error: BaseException) -> None:
        """Others tell of it."""

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass
