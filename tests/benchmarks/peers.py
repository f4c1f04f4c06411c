"""The same turn with what LangChain and the OpenAI Agents SDK bring for storing a conversation.

The peers are installed in the benchmark's environment only, so they are described here by what is used of them.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from tests.benchmarks.bare import INPUT, mock_answer
from tests.benchmarks.measure import Turn

__all__ = ["agents_turn", "langchain_turn"]

Item = dict[str, str]


class AgentsSession(Protocol):
    """The OpenAI Agents SDK's interface of a session, as far as a turn uses it."""

    async def get_items(self, limit: int | None = None) -> list[Item]:
        """Return the newest items."""
        ...

    async def add_items(self, items: list[Item]) -> None:
        """Append items."""
        ...


async def agents_turn(folder: Path, *, stored: int, window: int | None) -> Turn:
    """Return a turn with the OpenAI Agents SDK's SQLiteSession: read the history, append input and answer."""
    made = import_module("agents").SQLiteSession("s", folder / f"agents-{stored}-{window}.db")
    session = cast("AgentsSession", made)
    await session.add_items([_item("user" if at % 2 == 0 else "assistant", INPUT) for at in range(stored)])

    async def turn() -> None:
        await session.get_items(window)
        await session.add_items([_item("user", INPUT)])
        await session.add_items([_item("assistant", mock_answer(INPUT))])

    return turn


async def langchain_turn(folder: Path, *, stored: int) -> Turn:
    """Return a turn with LangChain's SQLChatMessageHistory: read the history, append input and answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = import_module("langchain_community.chat_message_histories").SQLChatMessageHistory(
            "s", connection=f"sqlite:///{folder / f'langchain-{stored}.db'}"
        )
    history = cast("BaseChatMessageHistory", made)
    messages: list[BaseMessage] = []
    for at in range(stored):
        messages.append(HumanMessage(INPUT) if at % 2 == 0 else AIMessage(INPUT))
    history.add_messages(messages)

    async def turn() -> None:
        _ = history.messages
        history.add_messages([HumanMessage(INPUT), AIMessage(mock_answer(INPUT))])

    return turn


def _item(role: str, content: str) -> Item:
    return {"role": role, "content": content}
