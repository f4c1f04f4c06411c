"""The span of one call of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from opentelemetry.trace import SpanKind

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.degradation import guarded
from langswarm_sessions_otel.scope import Attributes
from langswarm_sessions_otel.steps import StepScope

if TYPE_CHECKING:
    from langswarm_sessions_otel.turn import TurnScope

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


class ChatScope(StepScope):
    """The ``chat`` span of one call of the model, made by `TurnScope.chat`."""

    __slots__ = ("_first_chunk_after", "_metric", "_stream", "_tokens")

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
    ) -> None:
        self._metric: Attributes = {
            semconv.OPERATION_NAME: semconv.CHAT_OPERATION,
            semconv.PROVIDER_NAME: provider,
            semconv.REQUEST_MODEL: model,
        }
        if server_address is not None:
            self._metric[semconv.SERVER_ADDRESS] = server_address
            if server_port is not None:
                self._metric[semconv.SERVER_PORT] = server_port
        attributes = dict(self._metric)
        if stream:
            attributes[semconv.REQUEST_STREAM] = True
        if previous_response_id is not None:
            attributes[semconv.PREVIOUS_RESPONSE_ID] = previous_response_id
        for option, name in _OPTIONS.items() if request_options else ():
            value = request_options.get(option) if request_options else None
            if value is not None:
                attributes[name] = value
        super().__init__(turn, f"{semconv.CHAT_OPERATION} {model}", attributes=attributes, kind=SpanKind.CLIENT)
        self._stream = stream
        self._first_chunk_after: float | None = None
        self._tokens: dict[semconv.TokenUse, int | None] = {}

    @guarded("first_chunk")
    def first_chunk(self) -> None:
        """Take note of the first chunk; later calls change nothing."""
        if self._first_chunk_after is None:
            self._first_chunk_after = perf_counter() - self._started
            self._turn.first_chunk()

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
            reasoning_tokens: Tokens written as reasoning.
        """
        self._tokens = {
            "input": input_tokens,
            "output": output_tokens,
            "cached": cached_tokens,
            "reasoning": reasoning_tokens,
        }
        if response_model is not None:
            self._metric[semconv.RESPONSE_MODEL] = response_model
        if not self.recording:
            return
        if response_model is not None:
            self._ending[semconv.RESPONSE_MODEL] = response_model
        if response_id is not None:
            self._ending[semconv.RESPONSE_ID] = response_id
        if finish_reason is not None:
            self._ending[semconv.FINISH_REASONS] = (finish_reason,)
        for use, count in self._tokens.items():
            if count is not None:
                self._ending[_TOKEN_ATTRIBUTES[use]] = count

    @guarded("content")
    def content(
        self,
        *,
        instructions: str | None = None,
        input_messages: Sequence[Mapping[str, object]] = (),
        output_messages: Sequence[Mapping[str, object]] = (),
    ) -> None:
        """Record what was said, as JSON text, if content is captured (`TurnScope.captures_content`).

        Args:
            instructions: System instructions.
            input_messages: Messages sent, each ``{"role": ..., "parts": [{"type": ...}]}``.
            output_messages: Messages received, in the same form.
        """
        if not (self.recording and self._recorder.settings.capture_content):
            return
        if instructions is not None:
            self._ending[semconv.SYSTEM_INSTRUCTIONS] = _json_text([{"type": "text", "content": instructions}])
        if input_messages:
            self._ending[semconv.INPUT_MESSAGES] = _json_text(input_messages)
        if output_messages:
            self._ending[semconv.OUTPUT_MESSAGES] = _json_text(output_messages)

    def _record(self, elapsed: float) -> None:
        instruments = self._recorder.instruments
        attributes = self._metric
        for metric, record in instruments.tokens:
            count = self._tokens.get(metric.use)
            if count is None or (self.error_type is not None and not metric.when_failed):
                continue
            more = attributes if metric.attribute is None else {**attributes, metric.attribute[0]: metric.attribute[1]}
            record(count, more, self._context)
        if self._stream and self._first_chunk_after is not None:
            self._ending[semconv.TIME_TO_FIRST_CHUNK] = self._first_chunk_after
            instruments.chat_first_chunk.record(self._first_chunk_after, attributes, self._context)
        if self.error_type is not None:
            attributes = {**attributes, semconv.ERROR_TYPE: self.error_type}
        instruments.chat_duration.record(elapsed, attributes, self._context)


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

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


def _json_text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
