"""A process that dies in the middle of a turn of a SessionChatModel, and the next one."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from langchain_core.messages import HumanMessage

from langswarm_sessions import create_session_manager
from langswarm_sessions_langchain import SessionChatModel
from tests.langchain.chains import Scripted, told

_DYING = """
import os, signal, sys
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import HumanMessage
from langswarm_sessions import create_session_manager
from langswarm_sessions_langchain import SessionChatModel

chat = GenericFakeChatModel(messages=iter(["first answer", "second answer"]))
manager = create_session_manager(storage="sqlite", storage_config={"db_path": "chat.db"}, providers={"chat": chat})
model = SessionChatModel(manager=manager, provider="chat", model="fake", session_id="s")
first = model.invoke([HumanMessage("one", id="m1")])
for chunk in model.stream([HumanMessage("one", id="m1"), first, HumanMessage("two", id="m2")]):
    os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_a_killed_turn_is_resumed_by_its_message(own_folder: Path) -> None:
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", _DYING], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    chat = Scripted(script=["second answer"])
    manager = create_session_manager(
        storage="sqlite", storage_config={"db_path": str(own_folder / "chat.db")}, providers={"chat": chat}
    )
    model = SessionChatModel(manager=manager, provider="chat", model="fake", session_id="s")
    given = [HumanMessage("one", id="m1"), HumanMessage("two", id="m2")]
    answers = [await model.ainvoke(given) for _ in range(2)]
    assert [answer.text.strip() for answer in answers] == ["second answer"] * 2
    assert len(chat.asked) == 1
    assert [message.text for message in chat.asked[0]] == ["one", "first answer", "two"]
    said = [(role, text.strip(), status) for role, text, status in await told(manager, "s")]
    assert said == [
        ("user", "one", "completed"),
        ("assistant", "first answer", "completed"),
        ("user", "two", "completed"),
        ("assistant", "second answer", "completed"),
    ]
    await manager.close()
