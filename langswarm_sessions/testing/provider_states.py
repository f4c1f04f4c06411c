"""What a provider must do that keeps conversations, whatever their kind, and those whose conversations are nodes."""

from __future__ import annotations

import pytest

from langswarm_sessions.errors import NativeStateLostError
from langswarm_sessions.messages import text_of
from langswarm_sessions.providers.base import answer_message
from langswarm_sessions.records import TurnOptions
from langswarm_sessions.testing.provider_kit import (
    CLOCK,
    ProviderRig,
    RigFixtures,
    answer,
    ask_for_times,
    state_after,
    user,
)

__all__ = ["NodeContract", "StateContract"]


class StateContract(RigFixtures):
    """What every provider must do that keeps conversations."""

    async def test_native_sends_only_what_is_new(self, rig: ProviderRig) -> None:
        """A request that continues a kept conversation carries the delta; the model sees the whole."""
        session = rig.session()
        first = await answer(session, user("one"), keep_native=True)
        second = await answer(session, user("two"), native=state_after(session, first), keep_native=True)
        assert rig.seen().user_texts == ["one", "two"]
        assert rig.seen().continued
        assert second.native_id is not None

    async def test_the_users_face_keeps_the_conversation(self, rig: ProviderRig) -> None:
        """Unbound, one send_message goes on from the other."""
        session = rig.session()
        await session.send_message("one")
        await session.send_message("two")
        assert session.provider_session_id
        assert rig.seen().user_texts == ["one", "two"]

    async def test_parallel_tool_calls_go_round_where_they_are_kept(self, rig: ProviderRig) -> None:
        """The results alone continue the conversation that holds the calls."""
        session = rig.session()
        options = TurnOptions(tools=(CLOCK,))
        asked, output = await ask_for_times(rig, session, user("time?"), keep_native=True, options=options)
        rig.say("It is noon.")
        told = await answer(session, output, native=state_after(session, asked), keep_native=True, options=options)
        assert text_of(told.parts) == "It is noon."

    async def test_lost_state_is_said_and_heals(self, rig: ProviderRig) -> None:
        """A forgotten conversation is NativeStateLostError; a request without it starts anew."""
        session = rig.session()
        first = await answer(session, user("one"), keep_native=True)
        rig.forget()
        with pytest.raises(NativeStateLostError):
            await answer(session, user("two"), native=state_after(session, first), keep_native=True)
        again = await answer(session, user("one"), answer_message(first), user("two"), keep_native=True)
        assert again.native_id not in {None, first.native_id}
        assert rig.seen().user_texts == ["one", "two"]

    async def test_deleting_twice_is_once(self, rig: ProviderRig) -> None:
        """Deleting a conversation that is gone is a success, and it cannot be continued."""
        session = rig.session()
        state = state_after(session, await answer(session, user("hi"), keep_native=True))
        await session.delete_native(state)
        await session.delete_native(state)
        with pytest.raises(NativeStateLostError):
            await answer(session, user("again"), native=state, keep_native=True)


class NodeContract(StateContract):
    """What every provider must do whose conversations are nodes: each answer is one, and none ever changes."""

    async def test_a_node_can_be_continued_twice(self, rig: ProviderRig) -> None:
        """An abandoned retry leaves the conversation as it was."""
        session = rig.session()
        first = state_after(session, await answer(session, user("one"), keep_native=True))
        await answer(session, user("lost"), native=first, keep_native=True)
        await answer(session, user("two"), native=first, keep_native=True)
        assert rig.seen().user_texts == ["one", "two"]
