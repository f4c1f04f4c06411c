"""A provider's log that something else holds: waited for as long as retries last, then left for a new one."""

from __future__ import annotations

import pytest

from langswarm_sessions import ProviderUnavailableError, Session, SessionLifecycleHook
from tests.session.kit import OpenManager
from tests.turns.logs import ask, known_to_both, log_session, native_of

STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])


class Heard(SessionLifecycleHook):
    def __init__(self) -> None:
        self.reasons: list[str] = []

    async def on_session_rebuilt(self, session_id: str, provider: str, reason: str) -> None:
        self.reasons.append(reason)


async def begun(open_manager: OpenManager, *hooks: Heard) -> Session:
    session = await log_session(open_manager("memory", hooks=list(hooks)))
    await session.send_message("one")
    return session


@STREAMED
async def test_one_that_stays_locked_is_rebuilt_within_the_turn(open_manager: OpenManager, streamed: bool) -> None:
    hook = Heard()
    session = await begun(open_manager, hook)
    before = await native_of(session)
    session.provider_session.fail_next("busy", times=3)
    assert await ask(session, "two", streamed) == "Mock response to: two"
    assert hook.reasons == ["locked"]
    after = await native_of(session)
    assert after["id"] != before["id"]
    assert after["suspect"] is False
    assert await ask(session, "three", streamed) == "Mock response to: three"
    await known_to_both(session)
    metrics = await session.get_metrics()
    assert (metrics.rebuilds, metrics.retries) == (1, 2)


@STREAMED
async def test_one_that_is_let_go_of_in_time_is_gone_on_with(open_manager: OpenManager, streamed: bool) -> None:
    session = await begun(open_manager)
    before = await native_of(session)
    session.provider_session.fail_next("busy", times=2)
    assert await ask(session, "two", streamed) == "Mock response to: two"
    assert (await native_of(session))["id"] == before["id"]
    assert (await session.get_metrics()).rebuilds == 0


async def test_the_new_one_is_not_rebuilt_again(open_manager: OpenManager) -> None:
    session = await begun(open_manager)
    session.provider_session.fail_next("busy", times=6)
    with pytest.raises(ProviderUnavailableError, match="holds the conversation"):
        await session.send_message("two")
    assert len(session.provider_session.requests) == 1 + 3 + 3


async def test_an_outage_is_no_lock(open_manager: OpenManager) -> None:
    session = await begun(open_manager)
    session.provider_session.fail_next("unavailable", times=3)
    with pytest.raises(ProviderUnavailableError, match="is down"):
        await session.send_message("two")
    assert len(session.provider_session.requests) == 1 + 3
