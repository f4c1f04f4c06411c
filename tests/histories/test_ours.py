"""Our history keeps the contract of histories, on memory and on a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from langswarm_sessions import InvalidInputError, create_session_manager
from langswarm_sessions.testing.langchain import HistoryContract, HistorySubject
from langswarm_sessions_langchain import SessionChatMessageHistory
from tests.histories.openers import ours_on_memory, ours_on_sqlite


class TestOnSqlite(HistoryContract):
    @pytest.fixture
    async def subject(self, tmp_path: Path) -> AsyncIterator[HistorySubject]:
        async with ours_on_sqlite(tmp_path) as subject:
            yield subject


class TestOnMemory(HistoryContract):
    not_applicable = {"processes": "memory is one process's own"}

    @pytest.fixture
    async def subject(self) -> AsyncIterator[HistorySubject]:
        async with ours_on_memory() as subject:
            yield subject


async def test_the_newest_messages_alone_never_begin_with_a_result() -> None:
    call = AIMessage("", tool_calls=[{"name": "clock", "args": {}, "id": "c", "type": "tool_call"}])
    said: list[BaseMessage] = [HumanMessage("time?"), call, ToolMessage("noon", tool_call_id="c"), AIMessage("Noon.")]
    async with create_session_manager(storage="memory") as manager:

        def newest(limit: int | None) -> SessionChatMessageHistory:
            return SessionChatMessageHistory(manager=manager, session_id="s", limit=limit)

        await newest(2).aadd_messages(said)
        read = {limit: [m.type for m in await newest(limit).aget_messages()] for limit in (1, 2, 3, 9, None)}
        assert read[1] == read[2] == ["ai"]
        assert read[3] == ["ai", "tool", "ai"]
        assert read[9] == read[None] == ["human", "ai", "tool", "ai"]
        for wrong in (0, -1, True, 2.5):
            with pytest.raises(InvalidInputError, match="limit must be a whole number"):
                newest(wrong)  # type: ignore[arg-type]
