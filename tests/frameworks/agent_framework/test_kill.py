"""A run whose process is killed, and another process that goes on with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from agent_framework import AgentSession

from langswarm_sessions import create_session_manager
from langswarm_sessions_frameworks.agent_framework import SessionHistoryProvider
from tests.frameworks.agent_framework.scripted import ScriptedClient, agent_of

ROOT = Path(__file__).parents[3]

KILLED = """
    import asyncio, os, signal
    from agent_framework import AgentSession
    from langswarm_sessions import create_session_manager
    from langswarm_sessions_frameworks.agent_framework import SessionHistoryProvider
    from tests.frameworks.agent_framework.scripted import ScriptedClient, agent_of, calls

    class Fatal(ScriptedClient):
        def _inner_get_response(self, **request):
            if not self.script:
                os.kill(os.getpid(), signal.SIGKILL)
            return super()._inner_get_response(**request)

    async def main():
        manager = create_session_manager(storage="sqlite", storage_config={"db_path": "chat.db"})
        agent = agent_of(
            Fatal([calls("Oslo"), calls("Rome")]),
            SessionHistoryProvider(manager),
            require_per_service_call_history_persistence=True,
        )
        await agent.run("How is it?", session=AgentSession(session_id="trip"))

    asyncio.run(main())
"""


def kill_a_run(folder: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{textwrap.dedent(KILLED)}"],
        cwd=folder,
        check=False,
        capture_output=True,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()


async def test_the_question_and_a_tool_s_result_are_there(tmp_path: Path) -> None:
    kill_a_run(tmp_path)
    async with create_session_manager(
        storage="sqlite", storage_config={"db_path": str(tmp_path / "chat.db")}
    ) as manager:
        client = ScriptedClient(["Sunny."])
        await agent_of(client, SessionHistoryProvider(manager)).run("Go on", session=AgentSession(session_id="trip"))
    assert client.told == [
        [
            ("user", "How is it?"),
            ("assistant", "weather(call_Oslo)"),
            ("tool", "call_Oslo=sunny in Oslo"),
            ("assistant", "weather(call_Rome)"),
            ("tool", "call_Rome=The tool call was interrupted; there is no result."),
            ("user", "Go on"),
        ]
    ]
