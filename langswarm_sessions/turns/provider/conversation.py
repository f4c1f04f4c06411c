"""The provider phase of a turn: plan, call, retry, heal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

from langswarm_sessions.errors import (
    ContextOverflowError,
    IncompleteStreamError,
    NativeStateLostError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SessionError,
    StorageError,
)
from langswarm_sessions.interfaces.provider import (
    Completed,
    EngineProvider,
    ProviderEvent,
    ProviderRequest,
    TextDelta,
)
from langswarm_sessions.messages import SessionMessage, text_of
from langswarm_sessions.middleware import ChunkPipeline, MiddlewareChain
from langswarm_sessions.records import Begun, NativeKind, NativeState
from langswarm_sessions.retry import run_with_retry
from langswarm_sessions.strategies import TurnPlan, TurnStrategy
from langswarm_sessions.turns.captured import tell_answer, tell_broken_off, tell_request
from langswarm_sessions.turns.costs import TurnCosts
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.input import TurnInput
from langswarm_sessions.turns.patience import Patience
from langswarm_sessions.turns.provider.replay import Replay
from langswarm_sessions.turns.readers.log import TurnLog
from langswarm_sessions.turns.services import TurnServices
from langswarm_sessions.turns.told import chat_span, note_answer, note_compaction
from langswarm_sessions.turns.traffic import Door, Ticket
from langswarm_sessions.window import estimate_tokens
from langswarm_sessions_otel import ChatScope, TurnScope, error_type_of

__all__ = ["Conversation"]


class Conversation:
    """Gets one answer from one provider. Afterwards it knows what that took.

    Attributes:
        plan: The plan of the request that was answered.
        retries: Attempts made again after a failure.
        rebuilds: Times the provider's state was rebuilt (0 or 1).
        rebuild_reason: Why it was: `not_found`, `locked` when something else does not let go of it, or `corrupt` when
            it is not what the transcript says.
        buffered: Text received while nothing could be shown.
        doubtful: The provider's log that may have grown by what this turn sent, as it was before.
        has_asked: Whether a request was sent.
    """

    def __init__(
        self,
        *,
        services: TurnServices,
        provider: EngineProvider,
        strategy: TurnStrategy,
        turn: TurnInput,
        begun: Begun,
        log: TurnLog,
        chain: MiddlewareChain,
        span: TurnScope,
        deadline: Deadline,
        costs: TurnCosts,
        has_fallback: bool = False,
        is_fallback: bool = False,
    ) -> None:
        self._services = services
        self._provider = provider
        self._strategy = strategy
        self._turn = turn
        self._begun = begun
        self._log = log
        self._chain = chain
        self._span = span
        self._deadline = deadline
        self._costs = costs
        self._is_fallback = is_fallback
        self._patience = Patience(deadline, has_fallback=has_fallback, usual_seconds=services.retry.deadline)
        self._door = Door(provider, patience=self._patience, span=span)
        self._pipeline: ChunkPipeline | None = None
        self.plan: TurnPlan = strategy.plan(begun.session, begun.history, begun.inputs)
        self._replay = Replay(
            services=services,
            provider=provider,
            strategy=strategy,
            begun=begun,
            span=span,
            deadline=deadline,
            costs=costs,
        )
        self.retries = 0
        self.rebuilds = 0
        self.rebuild_reason = "not_found"
        self.buffered = ""
        self.doubtful: NativeState | None = None
        self.has_asked = False
        self._may_have_acted = False  # one of several calls failed; tools may have run before it

    async def run(self) -> Completed:
        """Return the whole answer.

        Raises:
            SessionError: The provider failed and retrying or rebuilding did not help.
            TurnInterrupted: The reader left.
        """
        self._costs.foresee(self._provider)
        limit = self._patience.limit()
        try:
            with self._span.causes.limit(lambda: self._late_error() if limit.expired() else None):
                async with limit:
                    return await self._healing()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise self._late_error() from error

    def _late_error(self) -> SessionError:
        late = self._door.late_error() or ProviderTimeoutError(
            f"No answer within {self._patience.seconds:g} s. Pass a longer timeout=, or set RetryPolicy(deadline=...)."
        )
        return self._named(late)

    async def _healing(self) -> Completed:
        if self.plan.replaces is not None:
            self.rebuild_reason = "corrupt"
            return await self._rebuilding()
        try:
            return await self._fitting(self._begun.history)
        except (NativeStateLostError, ProviderUnavailableError) as error:
            if not self._may_ask_again or not self._is_lost(error):
                raise
        return await self._rebuilding()

    def _is_lost(self, error: NativeStateLostError | ProviderUnavailableError) -> bool:
        """Whether the provider's conversation cannot be gone on with; a log that stays locked cannot either."""
        native = self.plan.native
        if native is None or isinstance(error, NativeStateLostError):
            return native is not None
        is_locked = native.kind is NativeKind.LOG and _is_refusal(error)
        if is_locked:
            self.rebuild_reason = "locked"
        return is_locked

    async def _rebuilding(self) -> Completed:
        self.rebuilds = 1
        with self._span.rebuild(reason=self.rebuild_reason, provider=self._provider.name, attempt=1) as rebuild:
            rebuild.last_good_turn(await self._last_good_turn())
            history: Sequence[SessionMessage] = self._begun.history
            if self.plan.replaces is None:
                history = await self._replay.history()
                self.plan = self._strategy.rebuild(self._begun.session, history, self._begun.inputs)
            try:
                return await self._fitting(history)
            finally:  # its window may have been made smaller
                sent = self.plan.messages
                rebuild.replayed(messages=len(sent), tokens=sum(map(estimate_tokens, sent)))

    async def _last_good_turn(self) -> str | None:
        """Return the traceparent of the last turn that the lost thread holds."""
        lost = self.plan.replaces or self.plan.native
        if lost is None or not self._span.recording:
            return None
        with suppress(StorageError):  # nothing but a link depends on it
            turn = await self._services.storage.load_turn(self._begun.session.session_id, lost.turn_id)
            return None if turn is None else turn.traceparent
        return None

    async def _fitting(self, history: Sequence[SessionMessage]) -> Completed:
        """Send the plan, its window made to fit; once more, with less of it, if the provider finds it too long."""
        self.plan = await self._replay.prepared(self.plan, history, request_of=self._request_of)
        try:
            completed = await self._retrying()
        except ContextOverflowError as error:
            smaller = await self._replay.trimmed(self.plan, error) if self._may_ask_again else None
            if smaller is None:
                raise
        else:
            self._replay.taken(self.plan)
            return completed
        self.plan = smaller
        completed = await self._retrying()
        self._replay.trimmed_was_taken()
        return completed

    async def _retrying(self) -> Completed:
        return await run_with_retry(
            self._attempt,
            self._services.retry,
            may_retry=self._may_retry,
            on_retry=self._note_retry,
            time_left=lambda: self._patience.silent.left,
        )

    def _may_retry(self, error: BaseException) -> bool:
        is_one_request = not self._provider.profile.asks_several
        return is_one_request and not self._door.has_refused(error) and self._may_ask_again

    @property
    def _may_ask_again(self) -> bool:
        """Whether nothing was done yet that another request would do again, nor shown."""
        return not self._may_have_acted and (not self._turn.stream or not self._log.has_spoken)

    def _note_retry(self, attempt: int, error: BaseException, delay: float) -> None:
        self.retries += 1
        self._span.retrying(attempt=attempt, error_type=error_type_of(error), delay_seconds=delay)

    async def _attempt(self) -> Completed:
        self._patience.ask()
        self._pipeline = self._chain.chunks()
        self.buffered = ""
        if not self._turn.stream:
            self._log.restart()
        request = self._request()
        completed = await self._arrived_before(request)
        if completed is None:
            completed = await self._asked(request)
        if self._pipeline is not None and (rest := await self._pipeline.finish()):
            self._log.say(TextDelta(rest))
        return completed

    async def _asked(self, request: ProviderRequest) -> Completed:
        ticket = await self._ticket(request)
        if ticket is None:
            return await self._sent(request)
        with ticket:
            completed = await self._sent(replace(request, timeout=self._deadline.left))
            ticket.used(completed.usage)
        return completed

    async def _ticket(self, request: ProviderRequest | None = None) -> Ticket | None:
        try:
            return await self._door.open(request)
        except ProviderError as error:
            self._named(error)
            raise

    async def _sent(self, request: ProviderRequest) -> Completed:
        with self._chat_span(request) as chat:
            note_compaction(chat, self.plan, self._settings)
            captures = self._span.captures_content
            if captures:
                tell_request(chat, request)
            events = self._provider.stream_turn(request)
            self._costs.ask()
            self.has_asked = True
            try:
                completed = await self._read(events, request, chat)
            except BaseException:
                if captures:  # what came of the answer, if it came piece by piece
                    tell_broken_off(chat, self.buffered)
                raise
            finally:
                await _close(events)
            note_answer(chat, completed)
            if captures:
                tell_answer(chat, completed)
        self._patience.have()
        await self._costs.answered(
            completed, provider=self._provider, settings=self._settings, seconds=self._deadline.left
        )
        return completed

    async def _arrived_before(self, request: ProviderRequest) -> Completed | None:
        """Return the answer of an earlier attempt that arrived although it failed; None when there is none."""
        if self.doubtful is None or request.native != self.doubtful:
            return None
        await self._log.wanted()
        with await self._ticket() or nullcontext():
            arrived = await self._reconciled(request)
        self._span.reconciled("absent" if arrived is None else "adopted")
        if arrived is None:  # or not yet: what comes after this is looked into as well
            return None
        await self._deliver(TextDelta(text_of(arrived.parts)))
        return arrived

    async def _reconciled(self, request: ProviderRequest) -> Completed | None:
        try:
            return await self._provider.reconcile(request)
        except Exception as error:  # as in `_read`
            translated = self._translated(error)
            if isinstance(translated, NativeStateLostError):
                self.rebuild_reason = "corrupt"
                self._span.reconciled("contradiction")
            if translated is error:
                raise
            raise translated from error

    async def _read(self, events: AsyncIterator[ProviderEvent], request: ProviderRequest, chat: ChatScope) -> Completed:
        is_accepted, doubtful_before = False, self.doubtful
        while True:
            await self._log.wanted()
            if request.native is not None and request.native.kind is NativeKind.LOG:
                self.doubtful = request.native
            if request.streamed:
                chat.asks()
            try:
                event = await anext(events)
            except StopAsyncIteration:
                raise self._named(
                    IncompleteStreamError("The provider's stream ended before its terminal event; send the turn again.")
                ) from None
            except Exception as error:  # whatever the provider raised is classified here, once
                translated = self._translated(error)
                if translated is error and self._provider.profile.asks_several:
                    self._may_have_acted = True
                elif not is_accepted:
                    self._costs.refused(translated)
                if not is_accepted and _is_refusal(translated):
                    self.doubtful = doubtful_before
                if translated is error:
                    raise
                raise translated from error
            is_accepted = True
            self._patience.hear()
            if isinstance(event, Completed):
                return event
            if isinstance(event, TextDelta):
                chat.chunk(is_shown=self._pipeline is not None)
                await self._deliver(event)

    async def _deliver(self, delta: TextDelta) -> None:
        self.buffered += delta.text
        if self._pipeline is None:
            return
        shown = await self._pipeline.feed(delta.text)
        # The provider's own chunk says what middleware may have taken out.
        raw = None if self._services.has_middleware else delta.raw
        if shown or raw is not None:
            self._log.say(TextDelta(shown, raw))

    def _request(self) -> ProviderRequest:
        return self._request_of(self.plan)

    def _request_of(self, plan: TurnPlan) -> ProviderRequest:
        record = self._begun.session
        return ProviderRequest(
            messages=plan.messages,
            native=plan.native,
            keep_native=plan.keep_native,
            instructions=record.instructions or record.provider_config.get("instructions"),
            options=self._begun.turn.options,
            timeout=self._deadline.left,
            streamed=self._turn.stream,
        )

    @property
    def _settings(self) -> Mapping[str, Any]:
        session = self._begun.session
        if self._is_fallback:  # it is asked without the session's settings, another model of the same provider too
            return {}
        if self._turn.provider_config is not None:
            return self._turn.provider_config
        return session.provider_config if self._provider.name == session.provider else {}

    def _chat_span(self, request: ProviderRequest) -> ChatScope:
        return chat_span(self._span, self._provider, request, config=self._settings)

    def _translated(self, error: Exception) -> Exception:
        translated = self._provider.translate(error)
        return self._named(translated) if isinstance(translated, SessionError) else translated

    def _named(self, error: SessionError) -> SessionError:
        error.session_id = error.session_id or self._begun.session.session_id
        error.provider = error.provider or self._provider.name
        return error


def _is_refusal(error: Exception) -> bool:
    """Whether the provider said that it did nothing; an error told within an answer is none, whatever its status."""
    if not isinstance(error, ProviderError) or error.is_ambiguous:
        return False
    return error.status_code is not None and error.status_code >= 400


async def _close(events: AsyncIterator[ProviderEvent]) -> None:
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()
