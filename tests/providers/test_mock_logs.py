"""The mock provider's logs: conversations that grow in place, faults before and after arrival, and what is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from langswarm_sessions import ConfigurationError, InvalidInputError, SessionManager, create_session_manager
from langswarm_sessions.errors import NativeStateLostError, ProviderError, ProviderUnavailableError
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.providers import MockProviderSession
from langswarm_sessions.providers.mock import MockConnection, MockFault, MockStored
from langswarm_sessions.providers.mock.connection import profile_of
from langswarm_sessions.records import NativeKind, NativeState

ONE = [("user", "one"), ("assistant", "Mock response to: one")]
TWO = [("user", "two"), ("assistant", "Mock response to: two")]


def mock_with(**config: Any) -> MockProviderSession:
    return MockProviderSession(config={"native": "log", **config})


def asking(mock: MockProviderSession, text: str) -> ProviderRequest:
    return ProviderRequest(
        messages=(SessionMessage(role=Role.USER, content=text),), native=mock._native, keep_native=True
    )


async def log_after(mock: MockProviderSession, text: str) -> list[tuple[str, str]]:
    """Send something that fails, and return what the log then holds."""
    with pytest.raises(ProviderError):
        await mock.send_message(text)
    return mock.seen


async def test_a_log_keeps_its_id_and_grows() -> None:
    mock = mock_with()
    await mock.send_message("one")
    first = mock.provider_session_id
    assert [piece async for piece in mock.send_message_stream("two")][-1] == "two"
    assert mock.provider_session_id == first
    assert mock.seen == ONE + TWO
    assert mock.conversations == {first: ONE + TWO}


async def test_it_takes_what_it_is_sent_even_twice() -> None:
    mock = mock_with()
    await mock.send_message("one")
    request = asking(mock, "two")
    for _ in range(2):
        assert [event async for event in mock.stream_turn(request)]
    assert mock.seen == ONE + TWO + TWO


async def test_usage_counts_the_log() -> None:
    mock = mock_with()
    first = (await mock.send_message("a" * 40)).provider_metadata["usage"]
    second = (await mock.send_message("b" * 40)).provider_metadata["usage"]
    assert (first["input_tokens"], second["cached_tokens"]) == (10, first["total_tokens"])
    assert second["input_tokens"] == first["total_tokens"] + 10


@pytest.mark.parametrize(
    ("stored", "held"), [("nothing", ONE), ("input", [*ONE, TWO[0]]), ("answer", ONE + TWO), ("later", ONE)]
)
@pytest.mark.parametrize("fault", ["timeout", "unavailable", "drop", "eof"])
async def test_what_a_failed_request_leaves_in_the_log(fault: str, stored: str, held: list[tuple[str, str]]) -> None:
    for after_chunks in (0, 2, 99):
        mock = mock_with()
        await mock.send_message("one")
        mock.fail_next(fault, stored=stored, after_chunks=after_chunks)
        assert await log_after(mock, "two") == held


@pytest.mark.parametrize(
    ("fault", "after_chunks", "held"),
    [("timeout", None, ONE), ("drop", None, [*ONE, TWO[0]]), ("timeout", 1, [*ONE, TWO[0]]), ("auth", None, ONE)],
)
async def test_unless_told_what_was_begun_is_stored(
    fault: str, after_chunks: int | None, held: list[tuple[str, str]]
) -> None:
    mock = mock_with()
    await mock.send_message("one")
    mock.fail_next(fault, after_chunks=after_chunks)
    assert await log_after(mock, "two") == held


async def test_a_request_that_never_arrived_uses_up_no_answer() -> None:
    mock = mock_with()
    mock.set_responses(["scripted"])
    mock.fail_next("timeout")
    with pytest.raises(ProviderError):
        await mock.send_message("one")
    assert (await mock.send_message("one")).content == "scripted"


async def test_a_look_finds_the_answer_nothing_or_something_else() -> None:
    mock = mock_with()
    await mock.send_message("one")
    request = asking(mock, "two")
    assert await mock.reconcile(request) is None
    mock.fail_next("timeout", stored="answer")
    assert await log_after(mock, "two") == ONE + TWO
    found = await mock.reconcile(request)
    assert isinstance(found, Completed)
    assert (found.native_id, found.usage.total_tokens > 0) == (mock.provider_session_id, True)
    assert found == await mock.reconcile(request)
    with pytest.raises(NativeStateLostError, match="is not what"):
        await mock.reconcile(asking(mock, "something else"))
    assert (len(mock.looks), len(mock.requests), mock.seen) == (4, 2, ONE + TWO)


@pytest.mark.parametrize("text", ["two", "something else"])
async def test_input_without_an_answer_is_a_contradiction(text: str) -> None:
    mock = mock_with()
    await mock.send_message("one")
    request = asking(mock, text)
    mock.fail_next("timeout", stored="input")
    await log_after(mock, "two")
    with pytest.raises(NativeStateLostError, match="is not what"):
        await mock.reconcile(request)


async def test_an_answer_still_worked_on_is_not_seen_and_locks_the_log() -> None:
    mock = mock_with()
    await mock.send_message("one")
    request = asking(mock, "two")
    mock.fail_next("timeout", stored=MockStored.LATER)
    await log_after(mock, "two")
    assert await mock.reconcile(request) is None
    with pytest.raises(ProviderUnavailableError, match="another request holds") as caught:
        await mock.send_message("two")
    assert (caught.value.status_code, caught.value.retryable, caught.value.is_ambiguous) == (409, True, False)
    assert await mock.reconcile(request) is not None
    assert mock.seen == ONE + TWO


async def test_looks_fail_as_told() -> None:
    mock = mock_with()
    await mock.send_message("one")
    request = asking(mock, "two")
    mock.fail_reconcile(MockFault.BUSY, times=2)
    for _ in range(2):
        with pytest.raises(ProviderUnavailableError):
            await mock.reconcile(request)
    assert await mock.reconcile(request) is None
    with pytest.raises(InvalidInputError, match="fault"):
        mock.fail_reconcile("no such fault")


async def test_a_deleted_log_is_lost_to_turns_and_looks() -> None:
    mock = mock_with()
    await mock.send_message("one")
    request = asking(mock, "two")
    assert request.native is not None
    for lose in (mock.delete_native(request.native), mock.delete_native(request.native)):
        await lose
    for attempt in (mock.send_message("two"), mock.reconcile(request)):
        with pytest.raises(NativeStateLostError):
            await attempt
    mock = mock_with()
    await mock.send_message("one")
    mock.fail_next("lost")
    with pytest.raises(NativeStateLostError):
        await mock.send_message("two")
    assert mock.conversations == {}


async def test_a_node_is_no_log_and_cannot_be_looked_into() -> None:
    mock = MockProviderSession()
    await mock.send_message("one")
    with pytest.raises(NativeStateLostError):
        await mock.reconcile(asking(mock, "two"))
    node = NativeState(provider="mock", kind=NativeKind.NODE, id=mock.provider_session_id or "", cursor=1, turn_id="t")
    with pytest.raises(NativeStateLostError):
        async for _ in mock_with().stream_turn(ProviderRequest(messages=(), native=node, keep_native=True)):
            pass


async def test_of_a_session_the_newest_hundred_logs_and_two_thousand_items_are_kept() -> None:
    connection = MockConnection()
    mock = connection.open("s", "m", {"native": "log"})
    request = ProviderRequest(messages=(SessionMessage(role=Role.USER, content="new"),), keep_native=True)
    for _ in range(105):
        assert [event async for event in mock.stream_turn(request)]
    assert len(mock.conversations) == 100
    for number in range(1005):
        await mock.send_message(str(number))
    assert len(mock.seen) == 2000
    assert await mock.reconcile(asking(mock, "next")) is None
    connection.forget("s")
    assert mock.conversations == {}


@pytest.mark.parametrize(
    ("config", "kind"),
    [({}, "node"), ({"native": None}, "node"), ({"native": "node"}, "node"), ({"native": "log"}, "log"),
     ({"native": "none"}, "none")],
)  # fmt: skip
async def test_the_setting_says_what_is_kept(config: dict[str, Any], kind: str) -> None:
    mock = MockProviderSession(config=config)
    assert mock.profile.native == profile_of(config).native == kind
    assert (await mock.get_provider_metadata())["native"] == kind
    await mock.send_message("one")
    assert ((mock.provider_session_id or "none")[:7]) == {"node": "mocknod", "log": "mocklog", "none": "none"}[kind]


def test_a_kind_it_does_not_keep_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"native must be 'node', 'log' or 'none'.* no 'ephemeral'"):
        MockConnection().check("m", {"native": "ephemeral"})
    with pytest.raises(ConfigurationError, match="native must be"):
        MockProviderSession(config={"native": "thread"})


@pytest.mark.parametrize("stored", ["", "half", 1])
def test_what_is_stored_must_be_one_of_four(stored: Any) -> None:
    with pytest.raises(InvalidInputError, match="stored must be one of nothing, input, answer, later"):
        mock_with().fail_next("timeout", stored=stored)


@pytest.fixture
async def manager() -> AsyncIterator[SessionManager]:
    async with create_session_manager(storage="memory") as manager:
        yield manager


async def test_a_session_without_native_state_sends_the_window(manager: SessionManager) -> None:
    session = await manager.create_session("ada", "mock", "m", provider_config={"native": "none"})
    for text in ("one", "two"):
        await session.send_message(text)
    assert session.provider_session_id is None
    assert len(session.provider_session.requests[-1].messages) == 3
    with pytest.raises(ConfigurationError, match="'native': 'none'"):
        await manager.create_session("ada", "mock", "m", provider_config={"native": "none"}, strategy="native")
    with pytest.raises(ConfigurationError, match="no 'ephemeral'"):
        await manager.create_session("ada", "mock", "m", provider_config={"native": "ephemeral"})
