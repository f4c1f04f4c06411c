"""What a provider must do whose conversations are logs: say what became of a request whose answer got lost."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions.errors import NativeStateLostError, ProviderError
from langswarm_sessions.interfaces.provider import Completed, EngineSession, ProviderRequest
from langswarm_sessions.messages import ToolCall, text_of
from langswarm_sessions.records import TurnOptions
from langswarm_sessions.testing.provider_kit import (
    CLOCK,
    ProviderRig,
    Wanted,
    answer,
    read,
    results,
    state_after,
    user,
)
from langswarm_sessions.testing.provider_states import StateContract

__all__ = ["LogContract"]

_LOOKS = 5


async def _lose(session: EngineSession, request: ProviderRequest) -> None:
    """Send a request whose answer gets lost: the error must not claim that nothing happened."""
    with pytest.raises(ProviderError) as caught:
        await read(session, request)
    assert caught.value.retryable
    assert caught.value.is_ambiguous


async def _fate(session: EngineSession, request: ProviderRequest) -> Completed | None:
    """Ask what became of a request, again while the provider says it is busy, as the turn engine does."""
    for _ in range(_LOOKS - 1):
        try:
            return await session.reconcile(request)
        except ProviderError as error:
            if not error.retryable:
                raise
    return await session.reconcile(request)


class LogContract(StateContract):
    """What every provider must do whose conversations are logs: each request is put at the end of the same one."""

    async def test_a_log_grows_in_place(self, rig: ProviderRig) -> None:
        """One conversation, one id; what was noted for it is text."""
        session = rig.session()
        first = await answer(session, user("one"), keep_native=True)
        second = await answer(session, user("two"), native=state_after(session, first), keep_native=True)
        third = await answer(session, user("three"), native=state_after(session, second), keep_native=True)
        assert first.native_id == second.native_id == third.native_id
        assert rig.seen().user_texts == ["one", "two", "three"]
        assert all(isinstance(text, str) for text in (*third.native_memo, *third.native_memo.values()))

    async def test_a_request_that_never_arrived_is_absent(self, rig: ProviderRig) -> None:
        """None: it may be sent again, and then stands in the log once, even if the same was said before."""
        session = rig.session()
        first = await answer(session, user("again"), keep_native=True)
        request = ProviderRequest(messages=(user("again"),), native=state_after(session, first), keep_native=True)
        rig.fail_before_arrival()
        await _lose(session, request)
        assert await _fate(session, request) is None
        _, sent = await read(session, request)
        assert sent.native_id is not None  # the log's, or that of a fork of it, where the request may still arrive
        assert rig.seen().user_texts == ["again", "again"]

    async def test_an_answer_that_arrived_is_adopted(self, rig: ProviderRig) -> None:
        """The whole answer, however often it is asked for; the log goes on from it."""
        session = rig.session()
        first = await answer(session, user("one"), keep_native=True)
        request = ProviderRequest(messages=(user("two"),), native=state_after(session, first), keep_native=True)
        rig.say("An answer that got lost.")
        rig.fail_after_arrival()
        await _lose(session, request)
        adopted = await _fate(session, request)
        assert adopted is not None
        assert text_of(adopted.parts) == "An answer that got lost."
        assert (adopted.native_id, adopted.finish_reason) == (first.native_id, "stop")
        again = await _fate(session, request)
        assert again is not None
        assert again.parts == adopted.parts
        third = await answer(session, user("three"), native=state_after(session, adopted), keep_native=True)
        assert third.native_id == first.native_id
        assert rig.seen().user_texts == ["one", "two", "three"]

    async def test_adopted_tool_calls_can_be_answered(self, rig: ProviderRig) -> None:
        """They keep their order, ids and arguments."""
        session = rig.session()
        fields: dict[str, Any] = {"keep_native": True, "options": TurnOptions(tools=(CLOCK,))}
        first = await answer(session, user("hi"), **fields)
        request = ProviderRequest(messages=(user("time?"),), native=state_after(session, first), **fields)
        rig.say([Wanted("clock", {"zone": "UTC"}), Wanted("clock", {"zone": "CET"})])
        rig.fail_after_arrival()
        await _lose(session, request)
        adopted = await _fate(session, request)
        assert adopted is not None
        calls = [part for part in adopted.parts if isinstance(part, ToolCall)]
        assert [call.arguments for call in calls] == [{"zone": "UTC"}, {"zone": "CET"}]
        assert adopted.finish_reason == "tool_calls"
        output = results((calls[0].id, "12:00"), (calls[1].id, "13:00"))
        rig.say("It is noon.")
        told = await answer(session, output, native=state_after(session, adopted), **fields)
        assert text_of(told.parts) == "It is noon."

    async def test_a_log_that_grew_unseen_is_not_sent_on_top_of(self, rig: ProviderRig) -> None:
        """What somebody else said is not taken for the answer, nor part of what the model is given with the request.

        A provider that cannot leave it out calls its state lost.
        """
        session = rig.session()
        known = state_after(session, await answer(session, user("one"), keep_native=True))
        await answer(session, user("elsewhere"), native=known, keep_native=True)
        request = ProviderRequest(messages=(user("two"),), native=known, keep_native=True)
        try:
            fate = await _fate(session, request)
        except NativeStateLostError:
            return
        assert fate is None
        _, sent = await read(session, request)
        assert sent.native_id not in {None, known.id}
        assert rig.seen().user_texts == ["one", "two"]

    async def test_a_log_that_is_gone_is_lost(self, rig: ProviderRig) -> None:
        """Looking into a conversation that was deleted asks for a rebuild."""
        session = rig.session()
        known = state_after(session, await answer(session, user("one"), keep_native=True))
        rig.forget()
        with pytest.raises(NativeStateLostError):
            await _fate(session, ProviderRequest(messages=(user("two"),), native=known, keep_native=True))
