"""SIGKILL between a call and its result: the finished tool is not run again, the other is, and the model goes on."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from langswarm_sessions import Session
from tests.session.kit import in_database
from tests.support import openai_server as kit
from tests.tool_calls.conftest import WAYS
from tests.tool_calls.kit import called, roles, shown
from tests.tool_calls.programs import PRELOAD, Noting, die_between_call_and_result, open_manager

KEYS = pytest.mark.parametrize("key", ["order-7", None], ids=["by key", "by resume_tools"])
SERVED = [
    pytest.param({}, id="node"),
    pytest.param({"native": "log"}, id="log", marks=pytest.mark.accept),
    pytest.param({"store": False}, id="client", marks=pytest.mark.accept),
]


def killed(folder: Path, key: str | None, *, providers: dict[str, Any] | None = None, script: list[Any]) -> None:
    """Let a process die with one result stored and the other tool running."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    heard, said = context.Pipe(duplex=False)
    arguments = (folder, providers or {}, script, key, said)
    process = context.Process(target=die_between_call_and_result, args=arguments)
    process.start()
    said.close()
    with heard:
        assert heard.poll(60)
        assert heard.recv() == "one is stored, the other runs"
        process.kill()
        process.join()


async def gone_on_with(session: Session, key: str | None, tools: Noting) -> str:
    if key is None:
        return (await session.resume_tools(tools.all)).content
    return (await session.send_message("buy it", tools=tools.all, run_tools=True, idempotency_key=key)).content


def held(folder: Path) -> list[dict[str, Any]]:
    return in_database(folder / "sessions.db", "SELECT lease_turn_id, next_seq FROM sessions")


@KEYS
@pytest.mark.parametrize("way", list(WAYS))
async def test_on_the_mock(own_folder: Path, way: str, key: str | None) -> None:
    (own_folder / "logs").mkdir()
    async with open_manager(own_folder, {}) as manager:
        await manager.create_session("user", "mock", "m", session_id="s", **WAYS[way])
    killed(own_folder, key, script=[called("pay", "ship"), "never said"])
    assert held(own_folder)[0]["lease_turn_id"] is not None, "the dead process still has the lease"
    async with open_manager(own_folder, {}) as manager:
        session = await manager.get_session("s")
        assert shown(await session.get_messages()) == ["buy it", ["c1", "c2"], ["paid"]]
        tools = Noting(own_folder / "runs")
        assert await gone_on_with(session, key, tools) == "Mock response to: paid, shipped"
        assert sorted(tools.runs) == ["pay", "ship", "ship"]
        stored = await session.get_messages()
        assert roles(stored) == ["user", "assistant", "tool", "tool", "assistant"]
        assert {message.status.value for message in stored} == {"completed"}
        assert (await session.send_message("thanks")).content == "Mock response to: thanks"
    assert held(own_folder) == [{"lease_turn_id": None, "next_seq": 8}]


@KEYS
@pytest.mark.parametrize("settings", SERVED)
async def test_on_openai(own_folder: Path, settings: dict[str, Any], key: str | None, openai_server: Any) -> None:
    providers = {"openai": openai_server.credential}
    openai_server.script(
        kit.Reply(tool_calls=(kit.ToolCall("pay", {}), kit.ToolCall("ship", {}))),
        "It is on its way.",
        "You are welcome.",
    )
    async with open_manager(own_folder, providers) as manager:
        await manager.create_session("user", "openai", "gpt-6.1-terra", session_id="s", provider_config=settings)
    killed(own_folder, key, providers=providers, script=[])
    async with open_manager(own_folder, providers) as manager:
        session = await manager.get_session("s")
        tools = Noting(own_folder / "runs")
        assert await gone_on_with(session, key, tools) == "It is on its way."
        assert sorted(tools.runs) == ["pay", "ship", "ship"]
        assert roles(await session.get_messages()) == ["user", "assistant", "tool", "tool", "assistant"]
        assert (await session.send_message("thanks")).content == "You are welcome."
