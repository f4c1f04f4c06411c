"""Live provider sessions: kept as long as their session lives, given back when it is refused or deleted."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from langswarm_sessions import ConfigurationError, SessionExistsError, SessionManager
from tests.session.kit import OpenManager


class Counting:
    """Keeps its own history; knows how often it was made and cleaned up."""

    provider_session_id = None
    made: weakref.WeakSet[Counting]

    def __init__(self) -> None:
        self.cleaned = 0
        self.said: list[str] = []
        if hasattr(type(self), "made"):
            type(self).made.add(self)

    async def send_message(self, content: str) -> str:
        self.said.append(content)
        return f"{len(self.said)}: {content}"

    async def get_provider_metadata(self) -> dict[str, Any]:
        return {}

    async def update_provider_config(self, config: dict[str, Any]) -> None: ...

    async def cleanup_provider_resources(self) -> None:
        self.cleaned += 1


async def create(manager: SessionManager, session_id: str, **options: Any) -> Any:
    return await manager.create_session("user", "mine", "m", session_id=session_id, **options)


async def test_a_refused_session_leaves_a_ready_made_object_free_and_untouched(open_manager: OpenManager) -> None:
    mine = Counting()
    manager = open_manager("memory", providers={"mine": mine})
    with pytest.raises(ConfigurationError, match="client"):
        await create(manager, "refused", strategy="client")
    await manager.create_session("user", "mock", "m", session_id="taken")
    with pytest.raises(SessionExistsError):
        await create(manager, "taken")
    assert mine.cleaned == 0
    session = await create(manager, "s")
    assert (await session.send_message("hi")).content == "1: hi"
    with pytest.raises(SessionExistsError):
        await create(manager, "s")
    with pytest.raises(ConfigurationError, match="one object keeps one conversation"):
        await create(manager, "second")
    assert (await session.send_message("still there?")).content == "2: still there?"


async def test_a_deleted_session_frees_a_ready_made_object(open_manager: OpenManager) -> None:
    mine = Counting()
    manager = open_manager("memory", providers={"mine": mine})
    await create(manager, "s")
    await manager.delete_session("s")
    assert mine.cleaned == 1
    assert (await (await create(manager, "next")).send_message("hi")).content == "1: hi"


async def test_what_a_factory_made_for_a_refused_session_is_cleaned_up_and_let_go(open_manager: OpenManager) -> None:
    made: list[Counting] = []

    def factory() -> Counting:
        made.append(Counting())
        return made[-1]

    manager = open_manager("memory", providers={"mine": factory})
    session = await create(manager, "s")
    await session.send_message("one")
    with pytest.raises(ConfigurationError, match="client"):
        await create(manager, "refused", strategy="client")
    with pytest.raises(SessionExistsError):
        await create(manager, "s")
    assert [one.cleaned for one in made] == [0, 1, 1]
    left = [weakref.ref(one) for one in made[1:]]
    made.clear()
    assert (await session.send_message("two")).content == "2: two"
    gc.collect()
    assert [one() for one in left] == [None, None]


async def test_a_provider_that_keeps_nothing_is_not_kept(open_manager: OpenManager) -> None:
    class Stateless(Counting):
        keeps_state = False
        made = weakref.WeakSet["Counting"]()

    manager = open_manager("memory", providers={"mine": Stateless})
    for number in range(20):
        assert (await (await create(manager, str(number))).send_message("hi")).content == "1: hi"
    gc.collect()
    assert not Stateless.made
    assert (await (await manager.get_session("0")).send_message("again")).content == "1: again"


async def test_the_mock_forgets_a_deleted_session(open_manager: OpenManager, backend: str) -> None:
    manager = open_manager(backend)
    connection: Any = None
    for number in range(3):
        session = await manager.create_session("user", "mock", "m", session_id=str(number))
        await session.send_message("canary")
        connection = session.provider_session._connection
    assert len(connection.nodes) == 3
    await manager.delete_session("0")
    await manager.cleanup_inactive_sessions(0)
    await manager.cleanup_archived_sessions(0)
    assert len(connection.nodes) == 0
    assert not connection._scripts
    await manager.restore_session("0")
    assert (await (await manager.get_session("0")).send_message("hi")).content == "Mock response to: hi"
