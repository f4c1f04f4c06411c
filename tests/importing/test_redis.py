"""Histories in Redis, written by langchain-community and by langchain-redis."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from langswarm_sessions import SessionManager
from langswarm_sessions.errors import ConfigurationError, MissingDependencyError, StorageError
from langswarm_sessions.importing import RedisChatHistorySource
from tests.histories.servers import redis_with_search
from tests.importing.written import CONVERSATION, adds_up, as_langchain, connected, quietly, without_ids

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PLAIN = (HumanMessage("hi"), AIMessage("hello"), ToolMessage("sun", tool_call_id="c1"), HumanMessage("bye"))


def write_lists(url: str, session_id: str, messages: Iterable[BaseMessage], **options: Any) -> None:
    """Write with langchain-community."""
    histories: Any = quietly(lambda: importlib.import_module("langchain_community.chat_message_histories"))
    history = histories.RedisChatMessageHistory(session_id, url=url, **options)
    history.add_messages(list(messages))
    history.redis_client.close()


def write_documents(url: str, session_id: str, messages: Iterable[BaseMessage], **options: Any) -> None:
    """Write with langchain-redis."""
    from langchain_redis import RedisChatMessageHistory

    with connected(url) as client:
        history = quietly(lambda: RedisChatMessageHistory(session_id, redis_client=client, **options))
        history.add_messages(list(messages))


def everything(url: str) -> Mapping[bytes, bytes]:
    """Return all keys with what they hold, as the server dumps it."""
    with connected(url) as client:
        return {key: client.dump(key) for key in client.scan_iter()}


async def test_lists_become_sessions(manager: SessionManager, empty_valkey: str) -> None:
    many = [HumanMessage(f"message {number}") for number in range(520)]
    write_lists(empty_valkey, "rome", CONVERSATION)
    write_lists(empty_valkey, "user:1:many", many)
    before = everything(empty_valkey)
    report = await manager.import_from(empty_valkey, user_id="ada")
    assert adds_up(report)
    assert (report.sessions_imported, report.messages_stored, report.is_complete) == (2, 526, True)
    assert without_ids(await as_langchain(manager, "rome")) == without_ids(CONVERSATION)
    assert [message.text for message in await as_langchain(manager, "user:1:many")] == [item.text for item in many]
    write_lists(empty_valkey, "rome", [HumanMessage("more")])
    for resume, stored in ((True, 1), (False, 0)):
        again = await manager.import_from(empty_valkey, user_id="ada", resume=resume)
        assert (again.messages_stored, again.messages_read) == (stored, 527)
    assert everything(empty_valkey).keys() == before.keys()
    assert everything(empty_valkey)[b"message_store:user:1:many"] == before[b"message_store:user:1:many"]


async def test_documents_become_sessions_and_what_was_lost_before_is_told(
    manager: SessionManager, redis_stack: str
) -> None:
    await check_documents(manager, redis_stack)


@pytest.mark.accept
async def test_documents_of_a_server_with_its_own_json_are_read(manager: SessionManager, tmp_path: Path) -> None:
    with redis_with_search(tmp_path) as url:
        await check_documents(manager, url)


async def check_documents(manager: SessionManager, redis_stack: str) -> None:
    """Write with langchain-redis and import it, twice more after it grew."""
    write_documents(redis_stack, "rome", PLAIN)
    write_documents(redis_stack, "a:b", PLAIN[:1])
    report = await manager.import_from(redis_stack, user_id="ada")
    assert adds_up(report)
    assert (report.sessions_imported, report.messages_stored, report.is_complete) == (2, 5, True)
    assert "kept no tool calls" in report.notes[0]
    assert without_ids(await as_langchain(manager, "rome")) == without_ids(PLAIN)
    times = [message.timestamp for message in await (await manager.get_session("rome")).get_messages()]
    assert times == sorted(set(times))
    write_documents(redis_stack, "rome", [HumanMessage("more")])
    for resume, stored in ((True, 1), (False, 0)):
        again = await manager.import_from(redis_stack, user_id="ada", resume=resume)
        assert (again.messages_stored, again.messages_read) == (stored, 6)
    assert (await as_langchain(manager, "rome"))[-1].text == "more"


async def test_documents_kept_as_hashes_are_read(manager: SessionManager, empty_valkey: str) -> None:
    with connected(empty_valkey) as client:
        for at, name in enumerate(("01KAJ0000000000000000000ZZ", "01KAJ0000000000000000000AA")):
            fields: dict[Any, Any] = {
                "type": "human",
                "data": json.dumps({"content": f"said {at}", "type": "human"}),
                "timestamp": str(1e9 + at),
            }
            client.hset(f"chat:rome:{name}", mapping=fields)
        client.set("chat:not-a-message", "1")
    await manager.import_from(empty_valkey, user_id="ada")
    assert [message.text for message in await as_langchain(manager, "rome")] == ["said 0", "said 1"]
    assert (await manager.get_session("rome")).created_at.timestamp() == 1e9


async def test_keys_of_other_names_are_named(manager: SessionManager, empty_valkey: str) -> None:
    with pytest.raises(ConfigurationError, match="no chat history under 'message_store:' or 'chat:'"):
        await manager.import_from(empty_valkey, user_id="ada")
    write_lists(empty_valkey, "rome", PLAIN, key_prefix="kept[*]:")
    source = RedisChatHistorySource(empty_valkey, key_prefix="kept[*]:")
    assert (await manager.import_from(source, user_id="ada")).messages_stored == 4


async def test_what_cannot_be_read_is_told(manager: SessionManager, empty_valkey: str) -> None:
    write_lists(empty_valkey, "rome", PLAIN[:1])
    with connected(empty_valkey) as client:
        client.lpush("message_store:rome", "secret {")
    write_lists(empty_valkey, "rome", PLAIN[1:2])
    report = await manager.import_from(empty_valkey, user_id="ada")
    assert adds_up(report)
    assert [(problem.row, problem.reason) for problem in report.problems] == [("1", "it is not JSON")]


async def test_keys_that_are_no_histories_are_passed_by_and_said_so(manager: SessionManager, empty_valkey: str) -> None:
    write_lists(empty_valkey, "rome", PLAIN[:1])
    with connected(empty_valkey) as client:
        client.set("message_store:a-setting", "1")
        client.set("chat:config", "no message at all")
        client.lpush(b"message_store:caf\xe9", json.dumps({"type": "human", "data": {"content": "hi"}}), b"\xff")
    report = await manager.import_from(empty_valkey, user_id="ada")
    assert adds_up(report)
    assert (report.sessions_imported, report.messages_stored) == (2, 2)
    assert report.notes == ("keys that begin with 'message_store:' and are no part of a history: 1",)
    assert [(problem.session_id, problem.reason) for problem in report.problems] == [
        ("caf\\udce9", "it is not UTF-8 text")
    ]


async def test_documents_that_are_none_are_told(manager: SessionManager, empty_valkey: str) -> None:
    with connected(empty_valkey) as client:
        names = [f"chat:rome:01KAJ0000000000000000000{letter}{letter}" for letter in "ABCD"]
        client.set(names[0], "secret {")
        client.hset(names[1], mapping={"type": "human", "data": "secret {", "timestamp": "1"})
        client.lpush("chat:list", "x")
        client.delete("chat:list")
        client.sadd(names[2], "x")
        client.set(names[3], json.dumps({"type": "human", "data": {"content": "hi"}, "timestamp": "yesterday"}))
    report = await manager.import_from(empty_valkey, user_id="ada")
    assert adds_up(report)
    assert (report.messages_stored, report.messages_refused) == (1, 3)
    assert "secret" not in str(report.to_json())


@pytest.mark.parametrize(
    "url",
    [
        "redis://:se@cret@127.0.0.1:1/0",
        "redis://127.0.0.1:1/0?password=secret",
        "redis://me:secret@127.0.0.1:1/0",
        "redis://127.0.0.1:secret/0",
    ],
)
async def test_no_password_is_told(manager: SessionManager, url: str) -> None:
    with pytest.raises((StorageError, ConfigurationError)) as refused:
        await manager.import_from(url, user_id="ada")
    assert not {"secret", "cret"} & set(re.split(r"[^a-z]+", f"{refused.value} {refused.value.__cause__!r}"))
    assert "cret" not in repr(RedisChatHistorySource(url))


async def test_a_missing_package_is_told_with_its_extra(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("redis", "redis.asyncio", "redis.exceptions"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'langswarm-sessions\[redis\]'"):
        await manager.import_from("redis://127.0.0.1:1/0", user_id="ada")
