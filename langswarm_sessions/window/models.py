"""What is known of models' windows, and what the requests of sessions have taught of them."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import TypeVar

from langswarm_sessions.ids import monotonic
from langswarm_sessions.interfaces.provider import EngineProvider, ModelLimits, ProviderRequest
from langswarm_sessions.messages.tokens import told_tokens
from langswarm_sessions.records import SessionRecord, TurnOptions
from langswarm_sessions.window.room import WindowRoom, answer_tokens
from langswarm_sessions.window.table import table_limits

__all__ = ["ModelWindows"]

T = TypeVar("T")
logger = logging.getLogger(__name__)

_SMALLEST_WINDOW = 4_096
_LEAST_LEARNED = _SMALLEST_WINDOW // 2  # what a model takes that nobody named: less was not its window's fault
_RISE = 16
_NEAR = 0.5
_ASKING_SECONDS = 2.0
_RESTING_SECONDS = 300.0
_STEPS = 16
_GROWTH = 20
_KEPT_SESSIONS = 10_000

_Model = tuple[str, str, str | None, int | None]
_Session = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What requests of a session taught while its budget was `base`: what fits, from where on the transcript is sent,
    and of what size the last count was.
    """

    base: int
    tokens: int | None = None
    begins_after: int = 0
    counted: int = 0


class ModelWindows:
    """The windows of the models of one manager. Nothing is looked up before a conversation is long enough to matter."""

    def __init__(self) -> None:
        self._limits: dict[_Model, ModelLimits | None] = {}
        self._asked: set[_Model] = set()
        self._resting: dict[_Model, float] = {}
        self._lessons: OrderedDict[_Session, _Lesson] = OrderedDict()

    def room(
        self, provider: EngineProvider, record: SessionRecord, *, options: TurnOptions, instructions: str | None = None
    ) -> WindowRoom:
        """Return what is known of the room of a session's window. No I/O.

        Args:
            provider: Who answers.
            record: The session's row.
            options: The turn's tools.
            instructions: The turn's instructions (None: those in force).
        """
        limits = self._limits.get(_model(provider)) if self._limits else None
        lesson = self._lessons.get(_session(provider, record))
        if limits is None:
            room = WindowRoom()
        else:
            told = instructions or record.instructions or record.provider_config.get("instructions")
            room = WindowRoom(
                limits=limits,
                answer=answer_tokens(limits, max_tokens=record.provider_config.get("max_tokens")),
                told=told_tokens(told, options.tools),
            )
        if lesson is None or lesson.base != room.unlearned(record.config):
            return room
        return replace(room, learned=lesson.tokens, begins_after=lesson.begins_after)

    async def look_up(self, provider: EngineProvider, *, tokens: int) -> None:
        """Find out how much a model takes, if a request of this size makes it matter and it is not known yet.

        The table is looked into first; the provider is asked where the table does not know the model or its figure is
        near, once, and not for long.

        Args:
            provider: Who answers.
            tokens: About how many tokens it is about to be sent.
        """
        model = _model(provider)
        if tokens < _SMALLEST_WINDOW * _NEAR or model in self._asked:
            return
        await self.look_into_table(provider, tokens=tokens)
        known = self._limits[model]
        if known is not None and tokens < known.context_tokens * _NEAR:
            return
        self._asked.add(model)
        told = await _in_time(provider.model_limits(), what="the model's limits", provider=provider)
        if told is not None and told.context_tokens > 0:
            self._limits[model] = told

    async def look_into_table(self, provider: EngineProvider, *, tokens: int) -> None:
        """Find out what the table says a model takes, if a request of this size makes it matter; nobody is asked.

        Args:
            provider: Who would answer.
            tokens: About how many tokens it would be sent.
        """
        model = _model(provider)
        if tokens >= _SMALLEST_WINDOW * _NEAR and model not in self._limits:
            self._limits[model] = await asyncio.to_thread(table_limits, provider.profile.otel_name, provider.model)

    async def whole(self, provider: EngineProvider, *, tokens: int) -> int | None:
        """Return how many tokens a request of its own may hold; None when nobody knows.

        Args:
            provider: Who would answer.
            tokens: About how many tokens there are to send.
        """
        await self.look_up(provider, tokens=tokens)
        limits = self._limits.get(_model(provider))
        if limits is None:
            return None
        return WindowRoom(limits=limits, answer=answer_tokens(limits, max_tokens=None)).whole

    def note_limit(self, provider: EngineProvider, *, tokens: int) -> None:
        """Take note of what a provider said that its model takes when it refused a request.

        Args:
            provider: Who refused.
            tokens: What it named.
        """
        model = _model(provider)
        self._asked.add(model)
        self._limits[model] = replace(
            self._limits.get(model) or ModelLimits(context_tokens=tokens), context_tokens=tokens, is_told=True
        )

    async def count(
        self,
        provider: EngineProvider,
        record: SessionRecord,
        request: ProviderRequest,
        *,
        room: WindowRoom,
        tokens: int,
    ) -> int | None:
        """Let the provider count a request; return the budget that fits if it is longer than was estimated.

        It is counted again only when it has grown by a twentieth of the room. None: it fits, as far as can be known.

        Args:
            provider: Who answers.
            record: The session's row.
            request: What is about to be sent.
            room: The room it was made for.
            tokens: How many tokens its messages were estimated at.
        """
        model, base = _model(provider), room.unlearned(record.config)
        lesson = self._lesson(provider, record, base)
        grown = tokens - lesson.counted
        if 0 <= grown < base // _GROWTH or self._resting.get(model, 0.0) > monotonic():
            return None
        counted = await _in_time(provider.count_tokens(request), what="a count of tokens", provider=provider)
        if counted is None:
            self._resting[model] = monotonic() + _RESTING_SECONDS
            return None
        self._learn(provider, record, replace(lesson, counted=tokens))
        own = counted - told_tokens(request.instructions, request.options.tools)
        if own <= base:
            return None
        step = max(1, base // _STEPS)
        return max(step, base * tokens // own // step * step)

    def shrink(self, provider: EngineProvider, record: SessionRecord, *, room: WindowRoom, tokens: int) -> None:
        """Take note that no more than so many estimated tokens are worth trying.

        Args:
            provider: Who answers.
            record: The session's row.
            room: The room of the request that was too long.
            tokens: The new bound. What no window is smaller than is tried all the same, unless its provider says less.
        """
        lesson = self._lesson(provider, record, room.unlearned(record.config))
        worth_trying = max(tokens, min(_LEAST_LEARNED, room.whole or _LEAST_LEARNED))
        least = worth_trying if lesson.tokens is None else min(worth_trying, lesson.tokens)
        self._learn(provider, record, replace(lesson, tokens=least))

    def begin_after(self, provider: EngineProvider, record: SessionRecord, *, room: WindowRoom, seq: int) -> None:
        """Take note that what was said so far is not worth sending again, and that nothing is known of what comes.

        Args:
            provider: Who answers.
            record: The session's row.
            room: The room of the request that was too long.
            seq: Up to which message.
        """
        lesson = self._lesson(provider, record, room.unlearned(record.config))
        self._learn(provider, record, replace(lesson, begins_after=max(seq, lesson.begins_after)))

    def grow(self, provider: EngineProvider, record: SessionRecord, *, room: WindowRoom) -> None:
        """Take note that a window which filled what was learned was taken: a little more is worth trying.

        Args:
            provider: Who answers.
            record: The session's row.
            room: The room of the request that was taken.
        """
        lesson = self._lesson(provider, record, room.unlearned(record.config))
        if lesson.tokens is not None:
            more = lesson.tokens + max(1, lesson.tokens // _RISE)
            self._learn(provider, record, replace(lesson, tokens=more if more < lesson.base else None))

    def _lesson(self, provider: EngineProvider, record: SessionRecord, base: int) -> _Lesson:
        known = self._lessons.get(_session(provider, record))
        return known if known is not None and known.base == base else _Lesson(base)

    def _learn(self, provider: EngineProvider, record: SessionRecord, lesson: _Lesson) -> None:
        session = _session(provider, record)
        self._lessons[session] = lesson
        self._lessons.move_to_end(session)
        while len(self._lessons) > _KEPT_SESSIONS:
            self._lessons.popitem(last=False)


async def _in_time(work: Awaitable[T], *, what: str, provider: EngineProvider) -> T | None:
    """Return what is nice to know, or None: no turn fails over it or waits for long."""
    try:
        async with asyncio.timeout(_ASKING_SECONDS):
            return await work
    except Exception as error:  # noqa: BLE001 - whatever a provider's SDK raises: it is done without
        logger.info("%s did not tell %s (%s); it is estimated.", provider.name, what, type(error).__name__)
        return None


def _model(provider: EngineProvider) -> _Model:
    return (provider.name, provider.model, *provider.endpoint())


def _session(provider: EngineProvider, record: SessionRecord) -> _Session:
    return record.session_id, provider.name, provider.model
