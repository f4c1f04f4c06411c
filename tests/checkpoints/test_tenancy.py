"""Whose a thread is: nobody else reads or touches it."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions import InvalidInputError, SessionAccessError, SessionManager, SessionNotFoundError
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver
from tests.checkpoints.graphs import chat, say, texts, thread


async def ids_of(saver: SessionCheckpointSaver, config: Any = None) -> set[str]:
    return {found.checkpoint["id"] async for found in saver.alist(config)}


async def test_the_same_thread_id_of_two_users_is_two_threads(manager: SessionManager) -> None:
    alice, bob = (SessionCheckpointSaver(manager, user_id=name) for name in ("alice", "bob"))
    await chat(alice).ainvoke(say("secret of alice"), thread("t"))
    await chat(bob).ainvoke(say("secret of bob"), thread("t"))
    assert texts((await chat(alice).aget_state(thread("t"))).values)[0] == "secret of alice"
    assert texts((await chat(bob).aget_state(thread("t"))).values)[0] == "secret of bob"
    assert not await ids_of(alice) & await ids_of(bob)
    assert await ids_of(SessionCheckpointSaver(manager)) == set(), "without a user it is nobody else's either"


async def test_another_users_thread_cannot_be_touched(manager: SessionManager) -> None:
    alice, bob = (SessionCheckpointSaver(manager, user_id=name) for name in ("alice", "bob"))
    await chat(alice).ainvoke(say("hi"), thread("t", run_id="r"))
    before = await ids_of(alice)
    [checkpoint_id] = [found.checkpoint["id"] async for found in alice.alist(thread("t"), limit=1)]
    assert await bob.aget_tuple(thread("t", checkpoint_id=checkpoint_id)) is None
    await bob.adelete_thread("t")
    await bob.aprune(["t"])
    await bob.aprune(["t"], strategy="delete")
    await bob.adelete_for_runs(["r"])
    with pytest.raises(SessionNotFoundError, match="no thread"):
        await bob.acopy_thread("t", "mine")
    await bob.aput_writes(thread("t", checkpoint_ns="", checkpoint_id=checkpoint_id), [("x", 1)], "task")
    assert await ids_of(alice) == before
    read = await alice.aget_tuple(thread("t"))
    assert read is not None
    assert read.pending_writes == []


async def test_threads_that_nobody_uses_go_and_no_other_users(manager: SessionManager) -> None:
    shared, alice, bob = (SessionCheckpointSaver(manager, user_id=name) for name in (None, "alice", "bob"))
    for saver in (alice, bob):
        await chat(saver).ainvoke(say("hi"), thread("t"))
    assert await alice.adelete_inactive_threads(1) == 0
    assert await shared.adelete_inactive_threads(0) == 0, "its user is nobody's"
    assert await alice.adelete_inactive_threads(0) == 1
    assert await ids_of(alice) == set()
    assert await ids_of(bob)
    with pytest.raises(SessionAccessError, match="one user"):
        await bob.adelete_inactive_threads(0, all_users=True)
    assert await shared.adelete_inactive_threads(0, all_users=True) == 1
    assert await ids_of(bob) == set()


async def test_a_purged_session_takes_the_thread_of_its_id_along(manager: SessionManager) -> None:
    saver = SessionCheckpointSaver(manager)
    for name in ("s1", "s2"):
        await chat(saver.for_user("alice")).ainvoke(say("hi"), thread(name))
        await manager.create_session("alice", "mock", "mock-model", session_id=name)
    await chat(saver.for_user("bob")).ainvoke(say("hi"), thread("s1"))
    await manager.delete_session("s1")
    assert await ids_of(saver.for_user("alice"), thread("s1")), "deleting is soft"
    assert await manager.cleanup_deleted_sessions(0) == 1
    assert await ids_of(saver.for_user("alice"), thread("s1")) == set()
    assert await ids_of(saver.for_user("alice"), thread("s2"))
    assert await ids_of(saver.for_user("bob"), thread("s1"))


async def test_a_config_may_say_whose_thread_it_is(saver: SessionCheckpointSaver) -> None:
    graph = chat(saver)
    for name in ("alice", "bob"):
        await graph.ainvoke(say(f"I am {name}"), thread("t", user_id=name))
    for name in ("alice", "bob"):
        state = await graph.aget_state(thread("t", user_id=name))
        assert texts(state.values)[0] == f"I am {name}"
        assert texts((await graph.aget_state(state.config)).values)[0] == f"I am {name}"
        assert texts((await chat(saver.for_user(name)).aget_state(thread("t"))).values)[0] == f"I am {name}"
    assert (await graph.aget_state(thread("t"))).values == {}


async def test_a_savers_user_is_not_overruled(manager: SessionManager) -> None:
    alice = SessionCheckpointSaver(manager, user_id="alice")
    await chat(alice).ainvoke(say("hi"), thread("t", user_id="alice"))
    with pytest.raises(SessionAccessError, match="names another"):
        await chat(alice).ainvoke(say("hi"), thread("t", user_id="bob"))


@pytest.mark.parametrize("config", [{}, {"thread_id": ""}, {"thread_id": None}, {"thread_id": "t", "user_id": ""}])
async def test_who_is_not_named_is_refused(saver: SessionCheckpointSaver, config: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"thread_id|user_id"):
        await saver.aget_tuple({"configurable": config})
