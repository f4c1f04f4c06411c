"""A small history that is right, and ways to get one wrong: what the kit must tell apart."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import ClassVar

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage, HumanMessage, message_to_dict, messages_from_dict

OPEN_TABLE = "CREATE TABLE IF NOT EXISTS said (id INTEGER PRIMARY KEY, session TEXT, message TEXT)"


class Plain(BaseChatMessageHistory):
    """A table of JSON, as most people write it; right where JSON suffices."""

    database: ClassVar[Path]

    def __init__(self, session_id: str) -> None:
        if not session_id:
            raise ValueError("session_id")
        self.session_id = session_id
        with closing(self.connect()) as database:
            database.execute(OPEN_TABLE)

    def connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.database, timeout=60, isolation_level=None)
        database.execute("PRAGMA synchronous = OFF")
        return database

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        with closing(self.connect()) as database:
            rows = database.execute("SELECT message FROM said WHERE session = ? ORDER BY id", (self.session_id,))
            return messages_from_dict([json.loads(text) for (text,) in rows])

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        rows = [(self.session_id, self.written(message)) for message in messages]
        with closing(self.connect()) as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO said (session, message) VALUES (?, ?)", rows)
            database.execute("COMMIT")

    def written(self, message: BaseMessage) -> str:
        return json.dumps(message_to_dict(message), default=str)

    def clear(self) -> None:
        with closing(self.connect()) as database:
            database.execute("DELETE FROM said WHERE session = ?", (self.session_id,))


class ByTheClock(Plain):
    """Orders by the time of day."""

    def connect(self) -> sqlite3.Connection:
        database = super().connect()
        database.execute("CREATE TABLE IF NOT EXISTS timed (at REAL, session TEXT, message TEXT)")
        return database

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        with closing(self.connect()) as database:
            rows = database.execute("SELECT message FROM timed WHERE session = ? ORDER BY at", (self.session_id,))
            return messages_from_dict([json.loads(text) for (text,) in rows])

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        with closing(self.connect()) as database, database:
            rows = [(time.time(), self.session_id, self.written(message)) for message in messages]
            database.executemany("INSERT INTO timed VALUES (?, ?, ?)", rows)


class NewestFirst(Plain):
    """Gives the newest first."""

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        return super().messages[::-1]


class ReadAndWriteBack(Plain):
    """Reads all, adds, writes all."""

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        everything = [*self.messages, *messages]
        self.clear()
        super().add_messages(everything)


class OneByOne(Plain):
    """Adds a list message by message."""

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        for message in messages:
            super().add_messages([message])

    def written(self, message: BaseMessage) -> str:
        return json.dumps(message_to_dict(message))


class Torn(Plain):
    """Adds a list message by message, and others add theirs between."""

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        for message in messages:
            super().add_messages([message])


class TextAlone(Plain):
    """Keeps type and text."""

    def written(self, message: BaseMessage) -> str:
        kept = {name: value for name, value in message_to_dict(message)["data"].items() if name in KEPT}
        return json.dumps({"type": message.type, "data": kept})


KEPT = ("content", "type", "role", "name", "tool_call_id")


class Strict(Plain):
    """Refuses what JSON does not have."""

    def written(self, message: BaseMessage) -> str:
        return json.dumps(message_to_dict(message))


class NoNul(Plain):
    """Cuts texts at NUL."""

    def written(self, message: BaseMessage) -> str:
        cut = str(message.content).partition("\x00")[0]
        return super().written(message.model_copy(update={"content": cut}) if "\x00" in message.content else message)


class Swallowing(Plain):
    """Says nothing when it fails."""

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        try:
            super().add_messages(messages)
        except sqlite3.Error:
            return

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        try:
            return super().messages
        except sqlite3.Error:
            return []

    def clear(self) -> None:
        try:
            super().clear()
        except sqlite3.Error:
            return


class OnTheLoop(Plain):
    """Async in name."""

    async def aget_messages(self) -> list[BaseMessage]:
        return self.messages

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        await asyncio.sleep(0)
        self.add_messages(messages)


class Waiting(Plain):
    """Waits for another thread on the loop's thread."""

    pool = ThreadPoolExecutor(1)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        self.pool.submit(self.add_messages, messages).result()


class Sleeping(Plain):
    """Sleeps on the loop's thread until a worker is done."""

    async def aclear(self) -> None:
        worker = threading.Thread(target=self.clear)
        worker.start()
        time.sleep(0.001)  # noqa: ASYNC251 - the fault
        worker.join()


class LoopOfItsOwn(Plain):
    """Runs a loop where one may be running."""

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        running = asyncio._get_running_loop()
        if running is not None:
            raise RuntimeError("asyncio.run() cannot be called from a running event loop")
        super().add_messages(messages)


class OneLoop(Plain):
    """Belongs to the loop it was first used in."""

    lock: asyncio.Lock | None = None

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        loop = asyncio.get_running_loop()
        self.loop = getattr(self, "loop", loop)
        if self.loop is not loop:
            raise RuntimeError("attached to a different loop")
        await super().aadd_messages(messages)


class AsyncMissing(Plain):
    """Has one face."""

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        raise ValueError("use add_messages")


class FoldedIds(Plain):
    """Takes ids in upper and lower case for one."""

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id.strip().lower())


class OneForAll(Plain):
    """Takes no id for an id."""

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id or "default")


class ClearsAll(Plain):
    """Clears every session."""

    def clear(self) -> None:
        with closing(self.connect()) as database:
            database.execute("DELETE FROM said")


class Cached(Plain):
    """Remembers what it read, and hands it out."""

    cache: list[BaseMessage] | None = None

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        if self.cache is None:
            self.cache = super().messages
        return self.cache

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        super().add_messages(messages)
        if self.cache is not None:
            self.cache.extend(messages)

    def clear(self) -> None:
        super().clear()
        self.cache = None


class Capped(Plain):
    """Reads ten thousand."""

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        return super().messages[:10_000]


class Comparing(Plain):
    """Looks at every pair of messages it reads; a stand-in for what is dear."""

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        found = super().messages
        for at in range(0, len(found), 4):
            any(message.id == "never" for message in found[:at])
        return found


class Doubling(Plain):
    """Adds twice when it is used by several threads."""

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        again = threading.current_thread() is not threading.main_thread() and len(messages) > 1
        super().add_messages([*messages, *messages] if again else messages)


class NoRemovals(Plain):
    """Knows some types."""

    def written(self, message: BaseMessage) -> str:
        if message.type in ("remove", "chat"):
            raise TypeError(message.type)
        return super().written(message)


class Late(Plain):
    """Is missing what it was told last."""

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        return super().messages[:-1]


class Reopened(Plain):
    """Starts anew whenever it is opened."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"{session_id}/{id(self)}/{time.monotonic_ns()}")


class Numbered(Plain):
    """Gives ids of its own."""

    def written(self, message: BaseMessage) -> str:
        return super().written(message.model_copy(update={"id": f"row-{id(message)}"}))


class Shouting(Plain):
    """Forgets the empty line at the end."""

    def written(self, message: BaseMessage) -> str:
        if isinstance(message, HumanMessage) and isinstance(message.content, str):
            return super().written(message.model_copy(update={"content": message.content.strip()}))
        return super().written(message)


def opened_in(folder: Path, kind: type[Plain], session_id: str) -> Plain:
    """Open one of these in a folder."""
    Plain.database = folder / "said.db"
    return kind(session_id)


def broken_in(folder: Path, kind: type[Plain], session_id: str) -> Plain:
    """Open one of these, and take its table away."""
    history = opened_in(folder, kind, session_id)
    with sqlite3.connect(Plain.database) as database:
        database.execute("DROP TABLE said")
    database.close()
    return history


FAULTS: list[tuple[type[Plain], str, str]] = [
    (NewestFirst, "one_by_one", "out of order from message 0 on"),
    (Late, "long_lists", "600 were added, 599 came back"),
    (ByTheClock, "clock_stands_or_goes_back", "out of order"),
    (Doubling, "threads", "messages came back twice"),
    (ReadAndWriteBack, "threads_of_their_own", "messages were lost"),
    (ReadAndWriteBack, "tasks_of_their_own", "messages were lost"),
    (Torn, "threads", "a list that was added in one call was torn"),
    (Torn, "threads_of_their_own", "a list that was added in one call was torn"),
    (Torn, "tasks", "a list that was added in one call was torn"),
    (Torn, "tasks_of_their_own", "a list that was added in one call was torn"),
    (Torn, "processes", "a list that was added in one call was torn"),
    (OneLoop, "one_loop_after_the_other", "raised RuntimeError: attached to a different loop"),
    (NoRemovals, "message_types", "ChatMessage is refused; RemoveMessage is refused"),
    (TextAlone, "tool_calls", "AIMessage.invalid_tool_calls, AIMessage.tool_calls"),
    (Numbered, "message_ids", "AIMessage.id, HumanMessage.id"),
    (TextAlone, "usage", "AIMessage.usage_metadata"),
    (TextAlone, "response_metadata", "AIMessage.response_metadata"),
    (TextAlone, "additional_kwargs", "HumanMessage.additional_kwargs, HumanMessage.tenant"),
    (TextAlone, "artifacts", "ToolMessage.artifact"),
    (Strict, "odd_artifacts", "raised TypeError"),
    (TextAlone, "chunks", "tool_calls"),
    (Shouting, "unicode_and_size", "blank: not as it was"),
    (NoNul, "nul", "the text was changed"),
    (Swallowing, "failed_writes_raise", "adding raised nothing"),
    (Swallowing, "failed_reads_raise", "reading raised nothing"),
    (Swallowing, "failed_clears_raise", "clearing raised nothing"),
    (OneByOne, "all_or_none", "1 of 3 messages were stored"),
    (OnTheLoop, "loop_is_left_free", "Connection.execute"),
    (Waiting, "loop_is_left_free", "a lock, until another thread lets go of it"),
    (Sleeping, "loop_is_left_free", "time.sleep in tests.histories.faulty.Sleeping.aclear"),
    (AsyncMissing, "blocking_and_async", "ValueError: use add_messages"),
    (LoopOfItsOwn, "blocking_inside_a_loop", "raised RuntimeError"),
    (Reopened, "opened_again", "another opener does not see what was added"),
    (FoldedIds, "apart", "reads 2 messages instead of its own 1"),
    (OneForAll, "empty_id_refused", "it takes an empty session id"),
    (ClearsAll, "cleared", "clearing reached another session"),
    (Cached, "cleared", "another opener still reads what was cleared"),
    (Cached, "lists_are_copies", "changing the list that was read"),
    (Cached, "messages_are_copies", "editing a message that was read"),
    (ReadAndWriteBack, "cost_of_adding", "over 4 times as much CPU in a long history"),
    (Capped, "ten_thousand_messages", "10,050 were added, 10,000 came back"),
    (Comparing, "ten_thousand_messages", "reading 10,050 messages costs"),
]
