"""An import whose process is killed, and run again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

from langchain_core.messages import HumanMessage, message_to_dict

from langswarm_sessions import SessionManager
from tests.importing.written import adds_up, digests, write_rows

SIZES = {"a": 20, "b": 510, "c": 30}

PROGRAM = """
import os, signal, sys
from langswarm_sessions import create_session_manager

left = int(sys.argv[1])

def listen(progress):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

with create_session_manager("sqlite", storage_config={"db_path": "ours.db"}, blocking=True) as manager:
    manager.import_from("chat.db", user_id="ada", on_progress=listen, resume=True)
"""


def killed_after(pages: int) -> int:
    """Import in a process that is killed after some pages; return how it ended."""
    return subprocess.run([sys.executable, "-c", PROGRAM, str(pages)], check=False, timeout=60).returncode


async def test_a_killed_import_is_finished_by_the_next_one(manager: SessionManager) -> None:
    write_rows(
        "chat.db",
        [
            (name, json.dumps(message_to_dict(HumanMessage(f"{name}{number}"))))
            for number in range(max(SIZES.values()))
            for name, size in SIZES.items()
            if number < size
        ],
    )
    before = digests()
    assert killed_after(pages=1) == -signal.SIGKILL
    [half] = [session for session in await manager.get_user_sessions("ada") if session.session_id == "b"]
    assert 0 < half.message_count < SIZES["b"]
    report = await manager.import_from("chat.db", user_id="ada", resume=True)
    assert adds_up(report)
    assert report.is_complete
    assert report.messages_already_there > 0
    assert (report.messages_read, report.sessions_extended, report.sessions_imported) == (560, 1, 1)
    assert digests() == before
    for name, size in SIZES.items():
        messages = await (await manager.get_session(name)).get_messages()
        assert [message.content for message in messages] == [f"{name}{number}" for number in range(size)]
        assert [message.seq for message in messages] == list(range(1, size + 1))
        assert len({message.message_id for message in messages}) == size
