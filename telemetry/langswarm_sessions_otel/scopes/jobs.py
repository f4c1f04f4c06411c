"""Work over many sessions: its span, and how much lies below it.

A trace of many thousand spans is one that backends cut, refuse, or cannot show.
"""

from __future__ import annotations

from typing import Final

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.degradation import guarded
from langswarm_sessions_otel.scopes.scope import Attributes, Recorder, SpanScope

MOST_SPANS_BELOW: Final = 100
_CURRENT_JOB: Final = context_api.create_key("langswarm-sessions-job")


class JobScope(SpanScope):
    """The span of work over many sessions, made by `Telemetry.job`."""

    __slots__ = ("_spans_below", "_transitions")

    def __init__(self, recorder: Recorder, job: str) -> None:
        name: Attributes = {semconv.JOB_NAME: job}
        super().__init__(recorder, semconv.LIFECYCLE_SPAN + job, attributes=name, metric=name)
        self._transitions = 0
        self._spans_below = 0

    @guarded("done")
    def done(self, *, sessions: int, messages: int | None = None, dry_run: bool = False) -> None:
        """Tell what the job changed.

        Args:
            sessions: Sessions that it created or changed, or in a dry run would.
            messages: Messages that it stored.
            dry_run: Whether it only looked.
        """
        self._ending[semconv.JOB_SESSIONS] = sessions
        if messages is not None:
            self._ending[semconv.JOB_MESSAGES] = messages
        if dry_run:
            self._ending[semconv.JOB_DRY_RUN] = True

    def purged(self, sessions: int) -> None:
        """Tell how many sessions are gone for good; each of them is counted as a transition.

        Args:
            sessions: Sessions that were destroyed.
        """
        self._transitions = sessions

    def has_room(self) -> bool:
        """Whether one more span may lie directly below this one; it is counted."""
        self._spans_below += 1
        return self._spans_below <= MOST_SPANS_BELOW

    @property
    def place(self) -> SpanContext:
        """Where its span is."""
        return self._span.get_span_context()

    def _bind(self, context: Context) -> Context:
        return context_api.set_value(_CURRENT_JOB, self, context)

    def _record(self, elapsed: float, attributes: Attributes) -> None:
        instruments = self._recorder.instruments
        if self._transitions:
            purge: Attributes = {semconv.SESSION_TRANSITION: semconv.PURGE}
            instruments.transitions.measure(self._transitions, purge, self._context)
        instruments.job_duration.measure(elapsed, attributes, self._context)


def below_job(context: Context) -> tuple[Context, SpanContext | None]:
    """Return what a session's span of a job starts in.

    Args:
        context: The current context.

    Returns:
        The context, in which the job has done its part; and the job's span, if that has no room for more: the session's
        is a root then, that is linked to it.
    """
    job = context.get(_CURRENT_JOB)
    if not isinstance(job, JobScope):
        return context, None
    context = context_api.set_value(_CURRENT_JOB, None, context)
    if job.has_room():
        return context, None
    return trace.set_span_in_context(trace.INVALID_SPAN, context), job.place


def has_room(context: Context) -> bool:
    """Whether a span that is no root may be opened in a context: the job that is directly above, if any, has room."""
    job = context.get(_CURRENT_JOB)
    return not isinstance(job, JobScope) or job.has_room()
