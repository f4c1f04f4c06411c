"""Spans that stand beside turns: a session's transitions and the user's hooks."""

from __future__ import annotations

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.degradation import guarded
from langswarm_sessions_otel.identity import correlation_of, current_turn
from langswarm_sessions_otel.propagation import span_context_of
from langswarm_sessions_otel.scope import Attributes, Recorder, SpanScope


def _session_attributes(session_id: str, *, always_grouped: bool) -> Attributes:
    """Return the ids of a span that may lie outside a turn.

    Backends count every trace with a conversation id as a turn of that conversation, and take its first input and last
    output from them: outside a turn only our own id is given, unless the user's backend wants it otherwise.
    """
    if always_grouped or current_turn(session_id) is not None:
        return {**correlation_of(session_id)}
    return {semconv.LANGSWARM_SESSION_ID: session_id}


class LifecycleScope(SpanScope):
    """The span of a session's transition, made by `Telemetry.lifecycle`."""

    __slots__ = ("_is_transition", "_metric")

    def __init__(
        self, recorder: Recorder, transition: str, *, session_id: str, mode: str | None, provider: str | None
    ) -> None:
        self._metric: Attributes = {semconv.SESSION_TRANSITION: transition}
        if mode is not None:
            self._metric[semconv.SESSION_MODE] = mode
        attributes = _session_attributes(session_id, always_grouped=recorder.settings.group_lifecycle)
        attributes.update(self._metric)
        if provider is not None:
            attributes[semconv.PROVIDER_NAME] = semconv.PROVIDER_NAMES.get(provider, provider)
        super().__init__(recorder, semconv.LIFECYCLE_SPAN + transition, attributes=attributes)
        self._is_transition = True

    def unchanged(self) -> None:
        """Tell that the session was there already: the span stays, no transition is counted."""
        self._is_transition = False

    @guarded("handed_over")
    def handed_over(
        self, *, source: tuple[str, str], target: tuple[str, str], messages: int, last_turn: str | None
    ) -> None:
        """Tell who hands the session to whom.

        Args:
            source: Provider and model that answered so far.
            target: Provider and model that answer from now on.
            messages: Messages that the new one is given.
            last_turn: Traceparent of the session's last turn, linked to.
        """
        if not self.recording:
            return
        names = semconv.PROVIDER_NAMES
        self._ending[semconv.HANDOFF_FROM_PROVIDER] = names.get(source[0], source[0])
        self._ending[semconv.HANDOFF_FROM_MODEL] = source[1]
        self._ending[semconv.HANDOFF_TO_PROVIDER] = names.get(target[0], target[0])
        self._ending[semconv.HANDOFF_TO_MODEL] = target[1]
        self._ending[semconv.HANDOFF_MESSAGES] = messages
        context = span_context_of(last_turn) if last_turn else None
        if context is not None:
            self._span.add_link(context, {semconv.LINK_KIND: semconv.LINK_SOURCE_TURN})

    def _record(self, elapsed: float) -> None:
        if not self._is_transition:
            return
        attributes = self._metric
        if self.error_type is not None:
            attributes[semconv.ERROR_TYPE] = self.error_type
        self._recorder.instruments.transitions.add(1, attributes, self._context)


class HookScope(SpanScope):
    """The span of a user's hook, made by `Telemetry.hook`."""

    __slots__ = ()

    def __init__(self, recorder: Recorder, *, name: str, point: str, session_id: str) -> None:
        attributes = _session_attributes(session_id, always_grouped=recorder.settings.group_lifecycle)
        attributes[semconv.HOOK_NAME] = name
        attributes[semconv.HOOK_POINT] = point
        super().__init__(recorder, semconv.HOOK_SPAN + name, attributes=attributes)
