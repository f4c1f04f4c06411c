"""What can happen in a turn that is no step of its own: events on its span, and the metrics that go with them."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.util.types import AttributeValue

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.degradation import guarded
from langswarm_sessions_otel.propagation import error_type_of
from langswarm_sessions_otel.scopes.causes import Causes
from langswarm_sessions_otel.scopes.lease import LeaseHolder, LeaseWait
from langswarm_sessions_otel.scopes.scope import Attributes, Recorder, SpanScope


class TurnEvents(SpanScope):
    """A turn's span, as far as it takes note of what is no step: events, and how the turn is broken off.

    Args:
        recorder: What to record with.
        name: Name of the span.
        attributes: Attributes known at the start.
        metric: Attributes of its metrics.
        provider: Our name of the session's provider.

    Attributes:
        causes: Where the turn's steps learn why they are broken off.
    """

    __slots__ = ("_provider", "causes", "waited_for_others")

    def __init__(
        self, recorder: Recorder, name: str, *, attributes: Attributes, metric: Attributes, provider: str
    ) -> None:
        super().__init__(recorder, name, attributes=attributes, metric=metric)
        self.causes = Causes()
        self._provider = semconv.provider_name(provider)
        self.waited_for_others = 0.0  # seconds, within the span of the storage operation that begins the turn

    @guarded("event")
    def event(self, name: str, attributes: Mapping[str, AttributeValue] | None = None) -> None:
        """Add a span event.

        Args:
            name: Name of the event.
            attributes: Its attributes; no content.
        """
        if self.recording:
            self._span.add_event(name, attributes)

    def retrying(self, *, attempt: int, error_type: str, delay_seconds: float) -> None:
        """Add a span event: the model is called again.

        Args:
            attempt: Number of the attempt that failed, from 1.
            error_type: What it failed with.
            delay_seconds: How long the next one waits.
        """
        attributes: Attributes = {
            semconv.RETRY_ATTEMPT: attempt,
            semconv.ERROR_TYPE: error_type,
            semconv.RETRY_DELAY: delay_seconds,
        }
        self.event(semconv.RETRY_EVENT, attributes)

    @guarded("event")
    def charged(self, cost: float, *, provider: str, model: str, source: str) -> None:
        """Record the metric, and on the span the sum: an answer of a model cost something.

        Args:
            cost: In US dollars.
            provider: Our name of the provider.
            model: The model that was asked for.
            source: Where its price comes from.
        """
        attributes: Attributes = {
            semconv.PROVIDER_NAME: semconv.provider_name(provider),
            semconv.REQUEST_MODEL: model,
        }
        self._recorder.instruments.cost.measure(cost, attributes, self._context)
        if self.recording:
            before = self._ending.get(semconv.COST_USD)
            total = cost + (before if isinstance(before, float) else 0.0)
            self._ending[semconv.COST_USD] = round(total, 12)
            known = self._ending.setdefault(semconv.COST_SOURCE, source)
            if known != source:
                self._ending[semconv.COST_SOURCE] = semconv.COST_SOURCE_MIXED

    @guarded("event")
    def cost_is_partial(self) -> None:
        """Say on the span, and count once, that something was, or may have been, billed beside the cost it tells."""
        if semconv.COST_IS_PARTIAL in self._ending:
            return
        self._ending[semconv.COST_IS_PARTIAL] = True
        attributes = {name: self._metric[name] for name in (semconv.PROVIDER_NAME, semconv.REQUEST_MODEL)}
        self._recorder.instruments.unpriced_turns.measure(1, attributes, self._context)

    @guarded("event")
    def rate_limited(self, *, provider: str, wait_seconds: float) -> None:
        """Add a span event and record the metric: a request waited for its place within the limits a minute.

        Args:
            provider: Our name of the provider.
            wait_seconds: How long it waited, whether it got its place or not.
        """
        name = semconv.provider_name(provider)
        self.event(
            semconv.RATE_LIMITED_EVENT, {semconv.PROVIDER_NAME: name, semconv.RATE_LIMIT_WAIT: round(wait_seconds, 3)}
        )
        self._recorder.instruments.rate_limit_waits.measure(wait_seconds, {semconv.PROVIDER_NAME: name}, self._context)

    def circuit_opened(self, *, provider: str) -> None:
        """Add a span event: after the failure of this turn's request nothing is sent to the provider for a while.

        Args:
            provider: Our name of the provider.
        """
        name = semconv.provider_name(provider)
        self.event(semconv.CIRCUIT_OPENED_EVENT, {semconv.PROVIDER_NAME: name})

    @guarded("event")
    def circuit_refused(self, *, provider: str, retry_after_seconds: float) -> None:
        """Add a span event and count it: a request was not sent, because the provider is down.

        Args:
            provider: Our name of the provider.
            retry_after_seconds: When it is tried again.
        """
        name = semconv.provider_name(provider)
        self.event(
            semconv.CIRCUIT_REFUSED_EVENT,
            {semconv.PROVIDER_NAME: name, semconv.CIRCUIT_RETRY_AFTER: round(retry_after_seconds, 3)},
        )
        self._recorder.instruments.circuit_refusals.measure(1, {semconv.PROVIDER_NAME: name}, self._context)

    @guarded("event")
    def fell_back(self, *, source: str, target: str, model: str, mode: str, error: BaseException) -> None:
        """Add a span event: another provider answers from here on. Span and metrics tell of that one.

        Args:
            source: Our name of the provider that could not.
            target: Our name of the one that does.
            model: The model that it is asked for.
            mode: How it is given the conversation, ``native`` or ``client``.
            error: Why.
        """
        provider = semconv.provider_name(target)
        names: Attributes = {semconv.FALLBACK_FROM: semconv.provider_name(source), semconv.FALLBACK_TO: provider}
        self.event(semconv.FALLBACK_EVENT, {**names, semconv.ERROR_TYPE: error_type_of(error)})
        answers: Attributes = {semconv.REQUEST_MODEL: model, semconv.SESSION_MODE: mode}
        self._ending.update({**names, **answers})
        self._metric.update({**answers, semconv.PROVIDER_NAME: provider})
        self._metric[semconv.FALLBACK_FROM] = names[semconv.FALLBACK_FROM]

    def was_recorded(self) -> None:
        """Add a span event: the turn's idempotency key has its answer already, nobody was asked again."""
        self.event(semconv.RECORDED_EVENT)

    def paused(self) -> None:
        """Add a span event: the run waits for somebody, and another one will go on with it."""
        self.event(semconv.PAUSED_EVENT)

    def reconciled(self, outcome: str) -> None:
        """Add a span event: the provider's log was looked through for what an earlier attempt left there.

        Args:
            outcome: ``adopted``, ``absent`` or ``contradiction``.
        """
        self.event(semconv.RECONCILED_EVENT, {semconv.RECONCILE_OUTCOME: outcome})

    def window_trimmed(self, *, messages_sent: int) -> None:
        """Add a span event: the provider found the window too long, a smaller one is sent.

        Args:
            messages_sent: Messages of the smaller one.
        """
        self.event(semconv.TRIMMED_EVENT, {semconv.MESSAGES_SENT: messages_sent})

    # ------------------------------------------------------------------ its session

    def lease_wait(self, *, held_by: LeaseHolder) -> LeaseWait:
        """Wait for a session that another turn holds.

        Args:
            held_by: ``this_manager`` for a turn of the same session manager, ``another_manager`` for one of another
                manager, mostly in another process.

        Returns:
            A context manager for the time of waiting.
        """
        return LeaseWait(self, held_by)

    @guarded("lease")
    def lease_waited(self, *, seconds: float, held_by: LeaseHolder, error: BaseException | None = None) -> None:
        """Add a span event and record the metric: the turn waited for a session that another turn held.

        Args:
            seconds: How long.
            held_by: Whose turn held it; see `lease_wait`.
            error: Why it waited in vain, None when it got the session.
        """
        if held_by == "another_manager":
            self.waited_for_others += seconds
        attributes: Attributes = {semconv.PROVIDER_NAME: self._provider, semconv.LEASE_HELD_BY: held_by}
        if error is not None:
            cause = self.causes.of(error)
            attributes[semconv.ERROR_TYPE] = cause if isinstance(cause, str) else error_type_of(cause)
        if self.recording:
            event: Attributes = {**attributes, semconv.LEASE_WAIT: round(seconds, 3)}
            event.pop(semconv.PROVIDER_NAME)
            self._span.add_event(semconv.LEASE_WAITED_EVENT, event)
        self._recorder.instruments.lease_waits.measure(seconds, attributes, self._context)

    @guarded("lease")
    def lease_taken_over(self) -> None:
        """Add a span event and count it: the turn took over the lease of one that died or fell silent."""
        if self.recording:
            self._span.add_event(semconv.LEASE_TAKEN_OVER_EVENT)
        self._recorder.instruments.lease_takeovers.measure(1, {semconv.PROVIDER_NAME: self._provider}, self._context)

    @guarded("lease")
    def lease_lost(self) -> None:
        """Add a span event and count it: the turn found that another one had taken its lease over."""
        if self.recording:
            self._span.add_event(semconv.LEASE_LOST_EVENT)
        self._recorder.instruments.leases_lost.measure(1, {semconv.PROVIDER_NAME: self._provider}, self._context)

    # ------------------------------------------------------------------ how it is broken off

    @guarded("fail")
    def interrupted(self, reason: str) -> None:
        """Mark the turn as broken off.

        Args:
            reason: ``cancelled``, ``abandoned``, ``idle`` or ``lease_lost``.
        """
        self._fail(reason)
