"""The span of one run of a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.degradation import guarded
from langswarm_sessions_otel.scopes.scope import Attributes
from langswarm_sessions_otel.scopes.steps import StepScope

if TYPE_CHECKING:
    from langswarm_sessions_otel.scopes.turn import TurnScope


class ToolScope(StepScope):
    """The ``execute_tool`` span of one call of a tool, made by `TurnScope.tool`.

    What a tool was told and said is content: it is on the span only if content is captured.
    """

    __slots__ = ()

    def __init__(self, turn: TurnScope, *, name: str | None, call_id: str, description: str | None) -> None:
        attributes: Attributes = {
            semconv.OPERATION_NAME: semconv.TOOL_OPERATION,
            semconv.TOOL_CALL_ID: call_id,
            semconv.TOOL_TYPE: semconv.TOOL_TYPE_FUNCTION,
        }
        if name is not None:
            attributes[semconv.TOOL_NAME] = name
        if description is not None:
            content = turn.recorder.content  # whose redaction sees it among the definitions of tools, too
            attributes[semconv.TOOL_DESCRIPTION] = (
                description if content is None else content.text("tool_definitions", description)
            )
        metric: Attributes = {
            semconv.TOOL_NAME: semconv.UNKNOWN_TOOL if name is None else name,
            semconv.TOOL_TYPE: semconv.TOOL_TYPE_FUNCTION,
            semconv.AGENT_NAME: turn.agent_name,
        }
        shown = semconv.TOOL_OPERATION if name is None else f"{semconv.TOOL_OPERATION} {name}"
        super().__init__(turn, shown, attributes=attributes, metric=metric)

    @guarded("finished")
    def finished(self, *, error_type: str | None = None) -> None:
        """Tell how the call ended.

        Args:
            error_type: What went wrong, None for nothing.
        """
        if error_type is not None:
            self._fail(error_type)

    @guarded("content")
    def content(self, *, arguments: object = None, result: str | None = None) -> None:
        """Record what the tool was told and said, if content is captured (`TurnScope.shows_content`).

        It may be called once with what it is told and once more with what it said.

        Args:
            arguments: What the model passed: JSON, or a text that is none.
            result: What the model is given; None where there is nothing.
        """
        content = self._recorder.content
        if content is None or not content.on_spans or not self.recording:
            return
        if arguments is not None:
            self._ending[semconv.TOOL_CALL_ARGUMENTS] = content.value("tool_arguments", arguments)
        if result is not None:
            self._ending[semconv.TOOL_CALL_RESULT] = content.text("tool_result", result)

    def _record(self, elapsed: float, attributes: Attributes) -> None:
        self._recorder.instruments.tool_duration.measure(elapsed, attributes, self._context)
