"""Limits and circuits with real SDKs against test servers: what is on the wire counts, by provider, address and key."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from langswarm_sessions import (
    AuthenticationError,
    ProviderUnavailableError,
    RetryPolicy,
    Session,
    SessionManager,
    create_session_manager,
)
from langswarm_sessions.interfaces.provider import EngineProvider
from langswarm_sessions.turns.traffic import shared
from tests.session.kit import OpenManager
from tests.support.openai_server import OpenAIServer
from tests.support.openai_server import faults as openai_faults
from tests.traffic.kit import Clock

MINUTE = pytest.approx(60, abs=0.01)
ONCE = RetryPolicy(max_attempts=1)


@dataclass(frozen=True)
class Place:
    """A provider that a server of ours stands for."""

    name: str
    model: str
    server: Any
    down: Callable[[], Any]

    def manager(self, open_manager: OpenManager, **settings: Any) -> SessionManager:
        held = {**self.server.credential, **settings}
        return open_manager("memory", providers={self.name: held}, retry=ONCE, telemetry=False)

    async def session(self, open_manager: OpenManager, **settings: Any) -> Session:
        return await self.manager(open_manager, **settings).create_session("user", self.name, self.model)


@pytest.fixture(params=["openai", "anthropic", "mistral"])
def place(request: pytest.FixtureRequest) -> Place:
    name = str(request.param)
    model = {"openai": "gpt-6-astra", "anthropic": "claude-opus-5", "mistral": "mistral-large-latest"}[name]
    faults = __import__(f"tests.support.{name}_server.faults", fromlist=["http_error"])
    return Place(name, model, request.getfixturevalue(f"{name}_server"), lambda: faults.http_error(503))


async def test_no_more_than_the_limit_is_on_the_wire(place: Place, open_manager: OpenManager, clock: Clock) -> None:
    session = await place.session(open_manager, requests_per_minute=2)
    for text in ("one", "two"):
        await session.send_message(text)
    assert clock.slept == []
    begun, before = clock.time(), len(place.server.posts)
    await session.send_message("three")
    assert clock.slept == [MINUTE]
    assert clock.time() - begun == MINUTE
    assert len(place.server.posts) == before + 1


async def test_managers_with_the_same_key_share_the_count(
    place: Place, open_manager: OpenManager, clock: Clock
) -> None:
    for limit, waits in ((2, 0), (3, 0), (2, 1)):
        session = await place.session(open_manager, requests_per_minute=limit)
        await session.send_message("hi")
        assert len(clock.slept) == waits, "each is held to its own limit of what all have sent"
    other = await place.session(open_manager, requests_per_minute=2, api_key="another-key")
    with pytest.raises(AuthenticationError):
        await other.send_message("hi")
    assert len(clock.slept) == 1, "another key has a count of its own"


async def test_an_outage_is_known_to_every_manager_of_the_process(
    place: Place, open_manager: OpenManager, clock: Clock
) -> None:
    first, second = [await place.session(open_manager) for _ in range(2)]
    place.server.fault(place.down(), times=5)
    for _ in range(5):
        with pytest.raises(ProviderUnavailableError, match="503"):
            await first.send_message("hi")
    before = len(place.server.posts)
    for session in (first, second):
        with pytest.raises(ProviderUnavailableError, match=r"circuit_breaker") as caught:
            await session.send_message("hi")
        assert caught.value.retry_after == 30
    assert len(place.server.posts) == before, "nothing was sent"
    clock.passes(30)
    assert (await second.send_message("hi")).content
    assert (await first.send_message("hi")).content


async def test_without_a_circuit_it_is_asked_every_time(place: Place, open_manager: OpenManager, clock: Clock) -> None:
    session = await place.session(open_manager, circuit_breaker=None)
    place.server.fault(place.down(), times=8)
    for _ in range(8):
        with pytest.raises(ProviderUnavailableError, match="503"):
            await session.send_message("hi")
    assert len(place.server.posts) == 8


async def test_requests_that_are_wrong_open_nothing(place: Place, open_manager: OpenManager, clock: Clock) -> None:
    wrong = await place.session(open_manager, api_key="another-key")
    for _ in range(7):
        with pytest.raises(AuthenticationError):
            await wrong.send_message("hi")


async def test_the_key_is_kept_and_shown_nowhere(place: Place, open_manager: OpenManager, clock: Clock) -> None:
    session = await place.session(open_manager, requests_per_minute=1)
    await session.send_message("hi")
    provider = session.provider_session
    assert isinstance(provider, EngineProvider)
    rules, key = provider.traffic, place.server.credential["api_key"]
    assert rules is not None
    assert key not in repr(rules)
    assert key not in repr(rules.scope)
    assert key.encode() not in pickle.dumps(rules.scope)
    for registry in (shared._limiters, shared._circuits):
        assert key not in repr(list(registry._values))


async def test_another_address_is_another_place(open_manager: OpenManager, clock: Clock) -> None:
    with OpenAIServer() as here, OpenAIServer() as there:
        manager = open_manager(
            "memory", providers={"openai": {**here.credential, "requests_per_minute": 1}}, retry=ONCE, telemetry=False
        )
        near = await manager.create_session("user", "openai", "gpt-6-astra")
        far = await manager.create_session(
            "user", "openai", "gpt-6-astra", provider_config={"base_url": there.base_url}
        )
        await near.send_message("hi")
        here.fault(openai_faults.http_error(503), times=5)
        for _ in range(5):
            clock.passes(60.01)
            with pytest.raises(ProviderUnavailableError, match="503"):
                await near.send_message("hi")
        with pytest.raises(ProviderUnavailableError, match="circuit_breaker"):
            await near.send_message("hi")
        assert (await far.send_message("hi")).content
        assert clock.slept == []
        here.wait_until_idle()
        there.wait_until_idle()


async def test_ready_made_clients_are_counted_by_their_key(
    openai_server: OpenAIServer, open_manager: OpenManager, clock: Clock
) -> None:
    from openai import AsyncOpenAI

    for waits in (0, 1):
        client = AsyncOpenAI(**openai_server.credential)  # type: ignore[arg-type]
        held = {"client": client, "requests_per_minute": 1}
        manager = open_manager("memory", providers={"openai": held}, telemetry=False)
        session = await manager.create_session("user", "openai", "gpt-6-astra")
        await session.send_message("hi")
        assert len(clock.slept) == waits
        await client.close()


async def test_keys_that_cannot_be_told_are_counted_by_manager(
    openai_server: OpenAIServer, open_manager: OpenManager, clock: Clock
) -> None:
    async def key() -> str:
        return openai_server.credential["api_key"]

    held = {**openai_server.credential, "api_key": key, "requests_per_minute": 1}
    managers = [open_manager("memory", providers={"openai": held}, telemetry=False) for _ in range(2)]
    sessions = [await manager.create_session("user", "openai", "gpt-6-astra") for manager in managers]
    for session in sessions:
        await session.send_message("hi")
    assert clock.slept == []
    await sessions[0].send_message("hi")
    assert clock.slept == [MINUTE]


def test_blocking_managers_in_threads_share_the_count(openai_server: OpenAIServer, clock: Clock) -> None:
    held = {**openai_server.credential, "requests_per_minute": 4}
    begun, failed = clock.time(), list[BaseException]()

    def talk() -> None:
        try:
            with create_session_manager(
                "memory", providers={"openai": held}, telemetry=False, blocking=True
            ) as manager:
                session = manager.create_session("user", "openai", "gpt-6-astra")
                for _ in range(3):
                    session.send_message("hi")
        except BaseException as error:  # noqa: BLE001 - the test raises it where it is seen
            failed.append(error)

    threads = [threading.Thread(target=talk) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(openai_server.creates) == 12
    assert clock.time() - begun == pytest.approx(120, abs=0.1), "four at once, and four more a minute"


async def test_counts_are_kept_when_nobody_holds_them_and_not_forever(
    openai_server: OpenAIServer, open_manager: OpenManager, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "_REMEMBERED", 2)
    held = {**openai_server.credential, "requests_per_minute": 1}

    async def ask() -> None:
        manager = SessionManager("memory", providers={"openai": held}, telemetry=False)
        async with manager:
            session = await manager.create_session("user", "openai", "gpt-6-astra")
            await session.send_message("hi")

    await ask()
    gc.collect()
    await ask()
    assert clock.slept == [MINUTE]
    for number in range(3):
        shared._limiters.of(number)
    assert len(shared._limiters._values) == 2
    await asyncio.sleep(0)
