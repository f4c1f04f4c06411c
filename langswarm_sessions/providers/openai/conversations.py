"""Turns on a conversation: a log that OpenAI keeps, where nothing may be entered twice.

A request that failed without a clear word may have been carried out all the same. Before the next one is sent, the
items of the conversation are read: what arrived is adopted, what did not is sent again, and anything else is given up
for a new conversation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from langswarm_sessions.errors import NativeStateLostError
from langswarm_sessions.interfaces.provider import Completed, ProviderEvent, ProviderRequest, TextDelta
from langswarm_sessions.messages import text_of
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.openai.answers import NEWEST_ITEM, adopted_answer, completed_answer, newest_item
from langswarm_sessions.providers.openai.asking import Asking
from langswarm_sessions.providers.openai.errors import OPENAI_FAILURES, foreign_errors, is_definite
from langswarm_sessions.providers.openai.mapping import Item, input_items
from langswarm_sessions.providers.openai.responses_turn import response_events
from langswarm_sessions.providers.openai.settings import merged_metadata
from langswarm_sessions.providers.openai.turn_fate import Fate, fate_of

if TYPE_CHECKING:
    from openai.types.responses import Response

__all__ = ["OpenTurn", "log_events", "look_up"]

_PAGE = 100
_MOST_ITEMS = 1000
_WAIT_SECONDS = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_DOUBLED = "doubled"
"""In a native state's memo: the conversation holds more than it should."""


@dataclass(slots=True, kw_only=True)
class OpenTurn:
    """A turn on a conversation whose end is not known yet.

    Args:
        conversation: Its id.
        is_new: Whether it was opened for this turn.
        is_empty: Whether the provider refused the turn, so that nothing of it is there.
        was_absent: Whether the turn was looked for, and not found, since it was last sent.
        response_id: The response, as soon as it is known.
    """

    conversation: str
    is_new: bool = False
    is_empty: bool = False
    was_absent: bool = False
    response_id: str | None = None

    def hear(self, response_id: str) -> None:
        """Note the response."""
        self.response_id = response_id


async def log_events(asking: Asking, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
    """Send a turn to its conversation, or to a new one, unless an earlier attempt is there already.

    Raises:
        NativeStateLostError: What the conversation holds is not what it should hold.
    """
    turns = asking.connection.open_turns
    earlier = _earlier(turns.get(asking.session_id), request)
    if earlier is not None and not earlier.was_absent:
        arrived = await look_up(asking, request)
        if arrived is not None:
            yield TextDelta(text_of(arrived.parts))
            yield arrived
            return
        earlier = turns.get(asking.session_id)
    if request.native is None:
        turn = await _new_turn(asking)
    elif _DOUBLED in request.native.memo:
        raise OPENAI_FAILURES.lost(Failure())
    else:
        turn = earlier or OpenTurn(conversation=request.native.id)
    turn.is_empty = turn.was_absent = False
    turn.response_id = None
    turns[asking.session_id] = turn
    async with aclosing(_sent(asking, request, turn, is_first=earlier is None)) as events:
        async for event in events:
            yield event


def _earlier(turn: OpenTurn | None, request: ProviderRequest) -> OpenTurn | None:
    """Return the turn that is in doubt on the conversation a request continues."""
    if turn is None or request.native is None or turn.conversation != request.native.id:
        return None
    return turn


async def _sent(
    asking: Asking, request: ProviderRequest, turn: OpenTurn, *, is_first: bool
) -> AsyncGenerator[ProviderEvent, None]:
    turns = asking.connection.open_turns
    events = response_events(asking, request, conversation=turn.conversation, heard=turn.hear)
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Completed):
                    if not is_first:
                        event = await _checked(asking, request, event)
                    turns.pop(asking.session_id, None)
                yield event
    except foreign_errors() as error:
        if is_definite(error):
            turn.is_empty = True
            if is_first and not turn.is_new:
                turns.pop(asking.session_id, None)
        raise


# Conversations


async def _new_turn(asking: Asking) -> OpenTurn:
    """Open a conversation; one that an earlier attempt opened in vain is used if it is empty, else deleted."""
    left = asking.connection.open_turns.get(asking.session_id)
    if left is not None and left.is_new:
        if left.is_empty:
            return left
        with suppress(*foreign_errors()):
            await asking.client.conversations.delete(left.conversation, timeout=asking.timeout)
    made: object = await asking.client.conversations.create(
        metadata=merged_metadata(asking.config, ("thread_metadata", "conversation_metadata")), timeout=asking.timeout
    )
    conversation: object = getattr(made, "id", None)
    if not isinstance(conversation, str) or not conversation:
        raise OPENAI_FAILURES.error(OPENAI_FAILURES.illegible)
    return OpenTurn(conversation=conversation, is_new=True)


async def _items_after(asking: Asking, conversation: str, item_id: str) -> list[Item]:
    """Return the items of a conversation after one of them, oldest first."""
    listing = asking.client.conversations.items.with_raw_response  # the SDK's own pages stumble over other answers
    items: list[Item] = []
    while True:
        after = str(items[-1].get("id")) if items else item_id
        answer = await listing.list(
            conversation, after=after, order="asc", limit=_PAGE, include=asking.include, timeout=asking.timeout
        )
        page: object = answer.http_response.json()
        found = _items_of(page)
        items += found
        if not found or not cast(Item, page).get("has_more") or len(items) > _MOST_ITEMS:
            return items


def _items_of(page: object) -> list[Item]:
    data: object = cast(Item, page).get("data") if isinstance(page, dict) else None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in cast(list[object], data)):
        raise OPENAI_FAILURES.error(OPENAI_FAILURES.illegible)
    return cast(list[Item], data)


# Reconciling


async def look_up(asking: Asking, request: ProviderRequest) -> Completed | None:
    """Return the answer of a turn that was sent before, if the conversation holds it; None if nothing arrived.

    Raises:
        NativeStateLostError: What the conversation holds fits neither.
    """
    turns = asking.connection.open_turns
    turn = _earlier(turns.get(asking.session_id), request)
    native = request.native
    newest = native.memo.get(NEWEST_ITEM) if native is not None else None
    if native is None or newest is None:
        raise OPENAI_FAILURES.lost(Failure())
    try:
        response = await _ended(asking, turn.response_id) if turn is not None and turn.response_id else None
        found = await _items_after(asking, native.id, newest)
    except NativeStateLostError:
        turns.pop(asking.session_id, None)
        raise
    sent = input_items(request.messages, model=asking.model, is_own=asking.is_own)
    fate = fate_of(sent, found, status=None if response is None else response.status)
    if fate is Fate.ABSENT and turn is not None and response is None:
        turn.was_absent = True  # it may arrive yet
        return None
    turns.pop(asking.session_id, None)
    if fate is Fate.TORN:
        raise OPENAI_FAILURES.lost(Failure())
    return None if fate is Fate.ABSENT else _adopted(asking, found[len(sent) :], response, conversation=native.id)


def _adopted(asking: Asking, answer: list[Item], response: Response | None, *, conversation: str) -> Completed:
    if response is None:
        return adopted_answer(answer, model=asking.model, conversation=conversation)
    told = completed_answer(
        response, model=asking.model, items=(), kept=True, request_id=None, conversation=conversation
    )
    return replace(told, native_memo=newest_item(answer))


async def _ended(asking: Asking, response_id: str) -> Response | None:
    """Wait for a response to end and return it; None when the provider does not know it.

    Raises:
        NativeStateLostError: It does not end. Half of the time is left to tell it all to a new conversation.
    """
    from openai import NotFoundError

    patience = asking.seconds / 2 if asking.seconds else _WAIT_SECONDS
    pause, waited = _FIRST_PAUSE, 0.0
    while True:
        try:
            response = await asking.client.responses.retrieve(
                response_id, include=asking.include, timeout=asking.timeout
            )
        except NotFoundError:
            return None
        if not isinstance(getattr(response, "status", None), str):
            raise OPENAI_FAILURES.error(OPENAI_FAILURES.illegible)
        if response.status not in {"queued", "in_progress"}:
            return response
        if waited >= patience:
            raise OPENAI_FAILURES.lost(Failure())
        await asyncio.sleep(pause)
        waited, pause = waited + pause, min(pause * 2, _LONGEST_PAUSE)


async def _checked(asking: Asking, request: ProviderRequest, completed: Completed) -> Completed:
    """Look whether an earlier attempt of the turn has been entered too; then the conversation is not gone on with."""
    native = request.native
    newest = native.memo.get(NEWEST_ITEM) if native is not None else None
    items: list[Item] = list((completed.payload or {}).get("items", ()))
    expected = len(input_items(request.messages, model=asking.model, is_own=asking.is_own)) + len(items)
    with suppress(NativeStateLostError, *foreign_errors()):
        if native is not None and newest is not None:
            found = await _items_after(asking, native.id, newest)
            if len(found) == expected:
                return completed
    return replace(completed, native_memo={_DOUBLED: "yes"})
