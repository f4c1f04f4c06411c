"""The conformance suite of providers: what the turn engine relies on, as tests to inherit.

Write a `ProviderRig` that makes your provider's counterparty say and do what a test asks for, then:

    class TestMine(ProviderContract):
        @pytest.fixture
        async def rig(self): ...

A provider that keeps conversations (the `native` of its profile) takes the part for their kind as well:
`class TestMine(ProviderContract, NodeContract)`, `LogContract` for logs, `StateContract` for ephemeral ones. Run it
with pytest and pytest-asyncio (`asyncio_mode = "auto"`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, cast

import pytest

from langswarm_sessions.errors import (
    AuthenticationError,
    ConfigurationError,
    ContextOverflowError,
    IncompleteStreamError,
    NativeStateLostError,
    ProviderUnavailableError,
    RateLimitError,
    SessionError,
)
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest, TextDelta
from langswarm_sessions.messages import SessionMessage, text_of
from langswarm_sessions.providers.base import answer_message
from langswarm_sessions.records import NativeKind, TurnOptions
from langswarm_sessions.testing.provider_kit import (
    CLOCK,
    ContractFault,
    ProviderRig,
    RigFixtures,
    Seen,
    Wanted,
    answer,
    ask_for_times,
    read,
    state_after,
    user,
)
from langswarm_sessions.testing.provider_logs import LogContract
from langswarm_sessions.testing.provider_states import NodeContract, StateContract

__all__ = [
    "ContractFault",
    "LogContract",
    "NodeContract",
    "ProviderContract",
    "ProviderRig",
    "Seen",
    "StateContract",
    "Wanted",
]

_PARTS = {part.__name__: part for part in (StateContract, NodeContract, LogContract)}
_TURNS_OF_THE_LOOP = 50


class ProviderContract(RigFixtures):
    """What every provider must do. Inherit, and give a fixture `rig`."""

    async def test_the_deltas_are_the_answer(self, rig: ProviderRig) -> None:
        """The pieces, joined, are the text of the one Completed that ends the stream."""
        rig.say("A whole answer, in several words.")
        events, completed = await read(rig.session(), ProviderRequest(messages=(user("hi"),)))
        deltas = [event.text for event in events if isinstance(event, TextDelta)]
        assert len(deltas) > 1
        assert "".join(deltas) == text_of(completed.parts) == "A whole answer, in several words."
        assert [type(event) for event in events].count(Completed) == 1
        assert completed.finish_reason == "stop"
        assert completed.usage.total_tokens == completed.usage.input_tokens + completed.usage.output_tokens > 0

    async def test_what_is_kept_is_what_the_profile_says(self, rig: ProviderRig) -> None:
        """The suite has the part for the kind of conversation the profile names, and the answers have its id."""
        session = rig.session()
        kind = session.profile.native
        inherited = {name for name, part in _PARTS.items() if isinstance(self, part)}
        wanted = {NativeKind.NONE: set[str](), NativeKind.EPHEMERAL: {"StateContract"}}.get(
            kind, {"StateContract", f"{kind.title()}Contract"}
        )
        assert inherited == wanted, f"profile.native is {kind!s}: the test class must inherit what belongs to it"
        assert ((await answer(session, user("one"), keep_native=True)).native_id is None) is (kind is NativeKind.NONE)

    async def test_the_users_face_answers_both_ways(self, rig: ProviderRig) -> None:
        """Unbound, send_message and send_message_stream say the same."""
        session = rig.session()
        rig.say("same words")
        rig.say("same words")
        whole = await session.send_message("one")
        stream = cast(Callable[[str], AsyncIterator[str]], getattr(session, "send_message_stream"))  # noqa: B009
        pieces = [piece async for piece in stream("two")]
        assert isinstance(whole, SessionMessage)
        assert whole.content == "".join(pieces) == "same words"
        assert whole.provider_metadata["usage"]["total_tokens"] > 0

    async def test_client_mode_sends_the_window_and_keeps_nothing(self, rig: ProviderRig) -> None:
        """Without keep_native the messages are all there is, and no id comes back."""
        session = rig.session()
        assert session.profile.client, "the suite is for providers that can be given a window"
        history = answer_message(await answer(session, user("one")))
        completed = await answer(session, user("one"), history, user("two"))
        assert rig.seen().user_texts == ["one", "two"]
        assert not rig.seen().continued
        assert completed.native_id is None

    async def test_parallel_tool_calls_go_round(self, rig: ProviderRig) -> None:
        """Calls keep their order, ids and arguments; their results are accepted, in any order."""
        session = rig.session()
        options = TurnOptions(tools=(CLOCK,))
        asked, output = await ask_for_times(rig, session, user("time?"), options=options)
        rig.say("It is noon.")
        told = await answer(session, user("time?"), answer_message(asked), output, options=options)
        assert text_of(told.parts) == "It is noon."

    @pytest.mark.parametrize(
        ("fault", "error", "retryable"),
        [
            (ContractFault.RATE_LIMIT, RateLimitError, True),
            (ContractFault.UNAVAILABLE, ProviderUnavailableError, True),
            (ContractFault.AUTH, AuthenticationError, False),
            (ContractFault.OVERFLOW, ContextOverflowError, False),
            (ContractFault.DROP, IncompleteStreamError, True),
            (ContractFault.EOF, IncompleteStreamError, True),
        ],
    )
    async def test_faults_are_classified(
        self, rig: ProviderRig, fault: ContractFault, error: type[SessionError], retryable: bool
    ) -> None:
        """Each failure is this library's error, says whether to retry, and leaves the session usable."""
        session = rig.session()
        rig.fail(fault)
        with pytest.raises(error) as caught:
            await answer(session, user("canary-7f3a"))
        assert caught.value.retryable is retryable
        assert "canary-7f3a" not in str(caught.value)
        assert session.translate(caught.value) is caught.value
        if fault is ContractFault.RATE_LIMIT:
            assert isinstance(caught.value, RateLimitError)
            assert caught.value.retry_after == 2
        rig.say("up again")
        assert text_of((await answer(session, user("hi"))).parts) == "up again"

    async def test_a_reader_that_leaves_leaves_nothing_behind(self, rig: ProviderRig) -> None:
        """Closing the iterator early ends the request: no task stays, and the next request works."""
        session = rig.session()
        before = asyncio.all_tasks()
        events: Any = session.stream_turn(ProviderRequest(messages=(user("hi"),)))
        async with aclosing(events):
            async for event in events:
                if isinstance(event, TextDelta):
                    break
        for _ in range(_TURNS_OF_THE_LOOP):  # an SDK's own generators are ended by tasks of the loop
            if asyncio.all_tasks() == before:
                break
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        rig.say("next")
        assert text_of((await answer(session, user("hi"))).parts) == "next"

    async def test_instructions_and_tools_go_with_every_request(self, rig: ProviderRig) -> None:
        """What changed between two turns reaches the model on the second, native or not.

        A provider that fixes them when a conversation begins calls its state lost, and is given the conversation anew.
        """
        session = rig.session()
        keep = session.profile.native is not NativeKind.NONE
        first = await answer(session, user("one"), keep_native=keep, instructions="Be brief.")
        assert (rig.seen().instructions, rig.seen().tool_names) == ("Be brief.", [])
        changed: dict[str, Any] = {"instructions": "Be kind.", "options": TurnOptions(tools=(CLOCK,))}
        native = state_after(session, first) if keep else None
        try:
            await answer(session, user("two"), native=native, keep_native=keep, **changed)
        except NativeStateLostError:
            assert keep, "nothing was kept that could be lost"
            await answer(session, user("one"), answer_message(first), user("two"), keep_native=True, **changed)
        assert (rig.seen().instructions, rig.seen().tool_names) == ("Be kind.", ["clock"])

    async def test_settings_are_checked_and_nothing_secret_is_told(self, rig: ProviderRig) -> None:
        """Unknown settings are refused; metadata is plain JSON; the key shows up nowhere."""
        session = rig.session({"temperature": 0.5})
        await session.update_provider_config({"max_tokens": 100})
        with pytest.raises(ConfigurationError, match="temperature"):
            await session.update_provider_config({"temprature": 1})
        with pytest.raises(ConfigurationError, match="providers="):
            await session.update_provider_config({"api_key": "sk-0"})
        metadata = await session.get_provider_metadata()
        assert metadata["config"] == {"temperature": 0.5, "max_tokens": 100}
        for shown in (json.dumps(metadata), repr(session), repr(session.endpoint())):
            assert not rig.secret or rig.secret not in shown

    async def test_cleaning_up_twice_is_once(self, rig: ProviderRig) -> None:
        """cleanup_provider_resources can be called again."""
        session = rig.session()
        await answer(session, user("hi"), keep_native=session.profile.native is not NativeKind.NONE)
        await session.cleanup_provider_resources()
        await session.cleanup_provider_resources()
