"""A run whose process is killed, and another process that goes on with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from langswarm_sessions import create_session_manager
from langswarm_sessions_frameworks.google_adk import AdkSessionService
from tests.frameworks.google_adk.scripted import model_of, run, runner_of

ROOT = Path(__file__).parents[3]

KILLED = """
    import asyncio, os, signal
    from langswarm_sessions import create_session_manager
    from langswarm_sessions_frameworks.google_adk import AdkSessionService
    from tests.frameworks.google_adk.scripted import ScriptedModel, call, run, runner_of

    class Fatal(ScriptedModel):
        async def generate_content_async(self, llm_request, stream=False):
            if not self.script:
                os.kill(os.getpid(), signal.SIGKILL)
            async for response in super().generate_content_async(llm_request, stream):
                yield response

    async def main():
        manager = create_session_manager(storage="sqlite", storage_config={"db_path": "chat.db"})
        runner = runner_of(AdkSessionService(manager), auto_create_session=True)
        runner.agent.model = Fatal(script=[call("Oslo")])
        await run(runner, "How is Oslo?")

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


async def test_the_question_and_the_tool_s_result_are_there(tmp_path: Path) -> None:
    kill_a_run(tmp_path)
    async with create_session_manager(
        storage="sqlite", storage_config={"db_path": str(tmp_path / "chat.db")}
    ) as manager:
        runner = runner_of(AdkSessionService(manager), "Sunny.")
        await run(runner, "Go on")
        assert model_of(runner).told == [
            [
                ("user", "How is Oslo?"),
                ("model", "weather({'city': 'Oslo'})"),
                ("user", "={'weather': 'sunny in Oslo'}"),
                ("user", "Go on"),
            ]
        ]
        session = await runner.session_service.get_session(app_name="trips", user_id="ada", session_id="s1")
        assert session is not None
        assert (len(session.events), session.state["last_city"]) == (5, "Oslo")
