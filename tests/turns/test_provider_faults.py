"""What a provider does wrong: retries, deadlines, lost state, overflow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tenacity import AsyncRetrying

from langswarm_sessions import (
    AuthenticationError,
    ContextOverflowError,
    NativeStateLostError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    RetryPolicy,
    Session,
    SessionLifecycleHook,
    SessionManager,
)
from tests.session.kit import Gate, OpenManager


async def test_passing_failures_are_retried_and_counted(session: Session) -> None:
    session.provider_session.fail_next("rate_limit")
    session.provider_session.fail_next("unavailable")
    assert (await session.send_message("hi")).content == "Mock response to: hi"
    metrics = await session.get_metrics()
    assert (metrics.retries, metrics.total_messages) == (2, 2)
    assert len(session.provider_session.requests) == 3


async def test_attempts_are_bounded(session: Session) -> None:
    session.provider_session.fail_next("unavailable", times=9)
    with pytest.raises(ProviderError) as caught:
        await session.send_message("hi")
    assert len(session.provider_session.requests) == 3
    assert caught.value.session_id == session.session_id
    assert [message.status for message in await session.get_messages()] == ["failed"]


@pytest.mark.parametrize("fault", ["auth", "quota", "refused"])
async def test_lasting_failures_are_not_retried(session: Session, fault: str) -> None:
    session.provider_session.fail_next(fault)
    with pytest.raises(ProviderError):
        await session.send_message("hi")
    assert len(session.provider_session.requests) == 1
    assert (await session.get_metrics()).retries == 0


async def test_retry_after_is_honoured_up_to_the_cap(
    open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = _waits_are_noted(monkeypatch)
    manager = open_manager("memory", retry=RetryPolicy(initial_delay=0, jitter=0, retry_after_cap=60))
    session = await manager.create_session("user", "mock", "m")
    session.provider_session.fail_next("rate_limit", retry_after=7.5)
    session.provider_session.fail_next("rate_limit", retry_after=60)
    await session.send_message("hi")
    assert waited == [7.5, 60]
    session.provider_session.fail_next("rate_limit", retry_after=61)
    with pytest.raises(RateLimitError) as caught:
        await session.send_message("hi")
    assert caught.value.retry_after == 61
    assert len(waited) == 2


async def test_backoff_grows_and_has_a_bound(open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = _waits_are_noted(monkeypatch)
    policy = RetryPolicy(max_attempts=6, initial_delay=1, multiplier=3, max_delay=10, jitter=0)
    session = await open_manager("memory", retry=policy).create_session("user", "mock", "m")
    session.provider_session.fail_next("unavailable", times=5)
    await session.send_message("hi")
    assert waited == [1, 3, 9, 10, 10]


async def test_the_turns_timeout_ends_it_as_failed(session: Session) -> None:
    gate = Gate("never")
    session.provider_session.set_responses([gate])
    with pytest.raises(ProviderTimeoutError, match="timeout=") as caught:
        await session.send_message("hi", timeout=0.5)
    assert caught.value.retryable
    assert gate.closed
    assert [message.status for message in await session.get_messages()] == ["failed"]
    assert (await session.send_message("on")).content == "Mock response to: on"


async def test_the_policys_deadline_counts_retries(open_manager: OpenManager) -> None:
    policy = RetryPolicy(max_attempts=50, initial_delay=0.5, multiplier=1, jitter=0, deadline=3)
    session = await open_manager("memory", retry=policy).create_session("user", "mock", "m")
    session.provider_session.fail_next("unavailable", times=50)
    with pytest.raises(ProviderUnavailableError):  # its own error, at once: the next pause would be the end
        await session.send_message("hi")
    assert 1 < len(session.provider_session.requests) < 50


async def test_a_providers_own_timeout_error_is_not_taken_for_the_deadline(open_manager: OpenManager) -> None:
    manager = open_manager("memory", retry=RetryPolicy(max_attempts=1, deadline=None))
    session = await manager.create_session("user", "mock", "m")
    session.provider_session.fail_next(TimeoutError("socket"))
    with pytest.raises(TimeoutError, match="socket"):
        await session.send_message("hi")
    assert [message.status for message in await session.get_messages()] == ["failed"]


async def test_a_foreign_error_ends_the_turn_and_goes_to_the_caller(session: Session) -> None:
    session.provider_session.fail_next(ZeroDivisionError("oops"))
    with pytest.raises(ZeroDivisionError):
        await session.send_message("hi")
    assert [message.status for message in await session.get_messages()] == ["failed"]
    assert (await session.send_message("on")).content == "Mock response to: on"


class Heard(SessionLifecycleHook):
    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    async def on_session_rebuilt(self, session_id: str, provider: str, reason: str) -> None:
        self.heard.append(("rebuilt", session_id, provider, reason))

    async def on_message_sent(self, session_id: str, message: Any) -> None:
        self.heard.append(("sent", session_id, message.content))

    async def on_session_error(self, session_id: str, error: Exception) -> None:
        self.heard.append(("error", session_id, type(error)))


@pytest.mark.parametrize("streamed", [False, True])
async def test_lost_native_state_is_rebuilt_inside_the_turn_once(
    open_manager: OpenManager, backend: str, streamed: bool
) -> None:
    hook = Heard()
    manager = open_manager(backend, hooks=[hook])
    session = await manager.create_session("user", "mock", "m", session_id="s")
    events = manager.session_events()
    await session.send_message("one")
    await session.send_message("two")
    before = session.provider_session_id
    session.provider_session.forget()
    if streamed:
        text = "".join([chunk async for chunk in session.send_message_stream("three")])
    else:
        text = (await session.send_message("three")).content
    assert text == "Mock response to: three"
    assert session.provider_session_id not in {None, before}
    assert [line for line in session.provider_session.seen if line[0] == "user"] == [
        ("user", "one"),
        ("user", "two"),
        ("user", "three"),
    ]
    metrics = await session.get_metrics()
    assert (metrics.rebuilds, metrics.retries, metrics.total_messages) == (1, 0, 6)
    assert hook.heard[2:] == [("rebuilt", "s", "mock", "not_found"), ("sent", "s", "Mock response to: three")]
    seen = [(await anext(events)).type.value for _ in range(4)]
    assert seen == ["message_sent", "message_sent", "session_rebuilt", "message_sent"]
    await session.send_message("four")
    assert (await session.get_metrics()).rebuilds == 1


async def test_state_lost_twice_in_one_turn_is_an_error(session: Session) -> None:
    await session.send_message("one")
    session.provider_session.forget()
    session.provider_session.set_responses([_raise(NativeStateLostError("gone again"))])
    with pytest.raises(NativeStateLostError):
        await session.send_message("two")
    session.provider_session.set_responses([])
    assert (await session.send_message("three")).content == "Mock response to: three"


async def test_a_new_process_rebuilds_what_the_mock_forgot(open_manager: OpenManager) -> None:
    session = await open_manager().create_session("user", "mock", "m", session_id="s")
    await session.send_message("one")
    reopened = await open_manager().get_session("s")
    await reopened.send_message("two")
    assert [text for role, text in reopened.provider_session.seen if role == "user"] == ["one", "two"]
    assert (await reopened.get_metrics()).rebuilds == 1


async def test_failed_inputs_are_not_rebuilt(session: Session) -> None:
    await session.send_message("one")
    session.provider_session.fail_next("auth")
    with pytest.raises(AuthenticationError):
        await session.send_message("lost")
    session.provider_session.forget()
    await session.send_message("two")
    assert [text for role, text in session.provider_session.seen if role == "user"] == ["one", "two"]


@pytest.mark.parametrize("strategy", ["native", "client"])
async def test_overflow_trims_harder_and_retries_once(manager: SessionManager, strategy: str) -> None:
    session = await manager.create_session("user", "mock", "m", strategy=strategy)
    for number in range(6):
        await session.send_message(f"{number} " + "x" * 400)
    session.provider_session.fail_next("overflow")
    before = len(session.provider_session.requests)
    assert (await session.send_message("more")).content == "Mock response to: more"
    sent = session.provider_session.requests[before:]
    assert len(sent) == 2
    assert 1 < len(sent[1].messages) < 13
    assert sent[1].native is None
    assert sent[1].messages[-1].content == "more"
    assert len(await session.get_messages()) == 14, "nothing stored is trimmed"


async def test_overflow_that_stays_is_raised(session: Session) -> None:
    for number in range(4):
        await session.send_message(str(number))
    session.provider_session.fail_next("overflow", times=9)
    with pytest.raises(ContextOverflowError):
        await session.send_message("more")
    assert (await session.get_messages())[-1].status == "failed"


async def test_a_single_message_that_overflows_is_raised_at_once(session: Session) -> None:
    session.provider_session.fail_next("overflow", times=9)
    with pytest.raises(ContextOverflowError):
        await session.send_message("huge")
    assert len(session.provider_session.requests) == 1


def _waits_are_noted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let retries note their waits instead of waiting."""
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(seconds)

    def without_waiting(**options: Any) -> AsyncRetrying:
        options["sleep"] = note
        return AsyncRetrying(**options)

    monkeypatch.setattr("langswarm_sessions.retry.AsyncRetrying", without_waiting)
    return waited


def _raise(error: Exception) -> Any:
    def reply(_: object) -> str:
        raise error

    return reply


async def test_turns_of_different_sessions_run_at_once(manager: SessionManager) -> None:
    gates = [Gate("answer") for _ in range(4)]
    sessions = [await manager.create_session("user", "mock", "m") for _ in gates]
    calls: list[asyncio.Future[Any]] = []
    for one, gate in zip(sessions, gates, strict=True):
        one.provider_session.set_responses([gate])
        calls.append(asyncio.ensure_future(one.send_message("hi")))
    await asyncio.gather(*(gate.asked.wait() for gate in gates))
    for gate in gates:
        gate.let()
    assert [reply.content for reply in await asyncio.gather(*calls)] == ["answer"] * 4
