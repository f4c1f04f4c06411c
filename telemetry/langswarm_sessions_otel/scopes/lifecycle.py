"""Spans that stand beside turns: a session's transitions, and the user's hooks."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.degradation import guarded
from langswarm_sessions_otel.identity import correlation_of, current_turn
from langswarm_sessions_otel.propagation import links_of, with_handoff
from langswarm_sessions_otel.scopes.jobs import below_job
from langswarm_sessions_otel.scopes.scope import Attributes, Recorder, SpanScope


def session_attributes(session_id: str, *, always_grouped: bool) -> Attributes:
    """Return the ids of a span that may lie outside a turn.

    Backends count every trace with a conversation id as a turn of that conversation, and take its first input and last
    output from them: outside a turn only our own id is given, unless the user's backend wants it otherwise.
    """
    if always_grouped or current_turn(session_id) is not None:
        return {**correlation_of(session_id)}
    return {semconv.LANGSWARM_SESSION_ID: session_id}


class LifecycleScope(SpanScope):
    """The span of a session's transition, made by `Telemetry.lifecycle`."""

    __slots__ = ("_is_stored", "_is_transition", "_job")

    def __init__(
        self, recorder: Recorder, transition: str, *, session_id: str, mode: str | None, provider: str | None
    ) -> None:
        metric: Attributes = {semconv.SESSION_TRANSITION: transition}
        if mode is not None:
            metric[semconv.SESSION_MODE] = mode
        attributes = session_attributes(session_id, always_grouped=recorder.settings.group_lifecycle)
        attributes.update(metric)
        if provider is not None:
            attributes[semconv.PROVIDER_NAME] = semconv.provider_name(provider)
        super().__init__(recorder, semconv.LIFECYCLE_SPAN + transition, attributes=attributes, metric=metric)
        self._is_transition = True
        self._is_stored = False
        self._job: SpanContext | None = None

    @guarded("known")
    def known(self, *, mode: str, provider: str) -> None:
        """Tell what the session is, once it was read.

        Args:
            mode: The session's strategy.
            provider: Our name of the provider.
        """
        self._metric[semconv.SESSION_MODE] = self._ending[semconv.SESSION_MODE] = mode
        self._ending[semconv.PROVIDER_NAME] = semconv.provider_name(provider)

    def stored(self) -> None:
        """Tell that the transition took place: what goes wrong from here on, such as in a hook, does not undo it."""
        self._is_stored = True

    def unchanged(self) -> None:
        """Tell that the session was there already: the span stays, no transition is counted."""
        self._is_transition = False

    @guarded("handed_over")
    def handing_over(self, *, agent_name: str, source: tuple[str, str], target: tuple[str, str]) -> None:
        """Tell who is to hand the session to whom, before anything can go wrong.

        Args:
            agent_name: The agent, which stays the same.
            source: Provider and model that answered so far.
            target: Provider and model that are to answer from now on.
        """
        self._ending[semconv.AGENT_NAME] = agent_name
        self._ending[semconv.HANDOFF_FROM_PROVIDER] = semconv.provider_name(source[0])
        self._ending[semconv.HANDOFF_FROM_MODEL] = source[1]
        self._ending[semconv.HANDOFF_TO_PROVIDER] = semconv.provider_name(target[0])
        self._ending[semconv.HANDOFF_TO_MODEL] = target[1]

    @guarded("handed_over")
    def handed_over(self, *, source_mode: str, target_mode: str, messages: int, last_turn: str | None) -> None:
        """Tell what the session's new provider is given.

        Args:
            source_mode: ``native`` where the one that hands over held the conversation, else ``client``.
            target_mode: The mode of the next turn.
            messages: Messages that the next turn sends.
            last_turn: What the session keeps of its traces: its last turn is linked to.
        """
        self._ending[semconv.HANDOFF_FROM_MODE] = source_mode
        self._ending[semconv.HANDOFF_TO_MODE] = target_mode
        self._ending[semconv.HANDOFF_MESSAGES] = messages
        source_turn, _ = links_of(last_turn)
        if source_turn is not None and self.recording:
            self._span.add_link(source_turn, {semconv.LINK_KIND: semconv.LINK_SOURCE_TURN})

    def kept_with(self, trace_state: str | None) -> str | None:
        """Return what the session is to keep of its traces after this handoff, so that its next turn links back.

        Args:
            trace_state: What it kept so far.
        """
        return with_handoff(trace_state, self.traceparent)

    def _parent(self) -> Context:
        parent, self._job = below_job(super()._parent())
        return parent

    @guarded("start")
    def _open(self) -> None:
        super()._open()
        if self._job is not None and self.recording:
            self._span.add_link(self._job, {semconv.LINK_KIND: semconv.LINK_JOB})

    def _fail(self, error_type: str) -> bool:
        return not self._is_stored and super()._fail(error_type)

    def _record(self, elapsed: float, attributes: Attributes) -> None:
        if not self._is_transition:
            return
        self._recorder.instruments.transitions.measure(1, attributes, self._context)
        events = self._recorder.events
        if events is not None and events.transitions and self.error_type is None:
            told = {**self._attributes, **self._ending}
            events.transition(str(attributes[semconv.SESSION_TRANSITION]), told, context=self._context)


class HookScope(SpanScope):
    """The span of a user's hook, made by `Telemetry.hook`."""

    __slots__ = ()

    def __init__(self, recorder: Recorder, *, name: str, point: str, session_id: str) -> None:
        metric: Attributes = {semconv.HOOK_NAME: name, semconv.HOOK_POINT: point}
        attributes = session_attributes(session_id, always_grouped=recorder.settings.group_lifecycle)
        super().__init__(recorder, semconv.HOOK_SPAN + name, attributes={**attributes, **metric}, metric=metric)

    def _record(self, elapsed: float, attributes: Attributes) -> None:
        self._recorder.instruments.hook_duration.measure(elapsed, attributes, self._context)
