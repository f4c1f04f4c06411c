"""A stock LangChain agent with a tool, and the same agent with one line changed: killed, and started again.

Many users talk to each agent at once when its process is killed: some answers are there, some are not. A new process
gets from every user what they have no answer to yet, and the rest. Then it is counted what either agent has lost, said
twice or done twice. No key is needed: the model is a rule. Needs: pip install 'langswarm-sessions[langchain]'

    python examples/agent_killed.py             a small comparison
    python examples/agent_killed.py --users 50  a larger one
"""

# pyright: reportUnknownVariableType=false
from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver

from langswarm_sessions import create_session_manager, set_session_manager
from langswarm_sessions_langchain import SessionAgentMiddleware

QUESTIONS = ("I am {user}.", "What is the weather in Rome?", "Who am I?")


class Rule(BaseChatModel):
    """Stands in for a chat model: asks a tool for the weather, and knows what it was told."""

    @property
    def _llm_type(self) -> str:
        return "rule"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """Take tools."""
        return self.bind(tools=tools, **kwargs)

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])

    def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        last = messages[-1]
        if isinstance(last, ToolMessage):
            Fuse.burn()
            return AIMessage(f"In Rome: {last.text}")
        if "weather" in last.text:
            return AIMessage("", tool_calls=[{"name": "get_weather", "args": {"city": "Rome"}, "id": "call-1"}])
        names = [m.text[5:-1] for m in messages if isinstance(m, HumanMessage) and m.text.startswith("I am ")]
        return AIMessage(f"You are {names[-1]}." if names else "I do not know.")


class Fuse:
    """Kills this very process after so many answers."""

    left: int | None = None

    @classmethod
    def burn(cls) -> None:
        """Come one answer nearer to the end."""
        if cls.left is not None:
            cls.left -= 1
            if cls.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    with Path("tool_runs.txt").open("a") as log:
        log.write(f"{city}\n")
    return "sunny"


def stock_agent() -> Any:
    return create_agent(
        Rule(),
        tools=[get_weather],
        system_prompt="You are a helpful assistant.",
        checkpointer=InMemorySaver(),
    )


def kept_agent() -> Any:
    return create_agent(
        Rule(),
        tools=[get_weather],
        system_prompt="You are a helpful assistant.",
        middleware=[SessionAgentMiddleware()],
    )


AGENTS: dict[str, Callable[[], Any]] = {"stock": stock_agent, "with a session": kept_agent}


async def talk(kind: str, users: int, fuse: int | None) -> list[list[str]]:
    """Let every user ask, and write down what was answered: what a caller would have seen before the process died.

    Returns:
        What the agent has of each conversation at the end.
    """
    Fuse.left = fuse
    manager = create_session_manager(storage="sqlite")
    set_session_manager(manager)
    agent = AGENTS[kind]()
    told = answered()

    async def user(number: int) -> None:
        config: Any = {"configurable": {"thread_id": f"user-{number}"}}
        for at, question in enumerate(QUESTIONS):
            key = f"{number}/{at}"
            if key in told:
                continue
            text = question.format(user=f"user {number}")
            message = {"role": "user", "content": text, "id": key}  # the same when it is sent again
            result = await agent.ainvoke({"messages": [message]}, config)
            write_down(key, result["messages"][-1].text)

    await asyncio.gather(*map(user, range(users)))
    there = [await conversation(kind, agent, manager, number) for number in range(users)]
    await manager.close()
    return there


def write_down(key: str, answer: str) -> None:
    """Keep what a user was answered."""
    with Path("answers.txt").open("a") as log:
        log.write(json.dumps([key, answer]) + "\n")


def answered() -> dict[str, str]:
    """Return what has been answered so far, by user and question."""
    path = Path("answers.txt")
    return dict(json.loads(line) for line in path.read_text().splitlines()) if path.exists() else {}


async def conversation(kind: str, agent: Any, manager: Any, number: int) -> list[str]:
    """Return what an agent has of a conversation at the end."""
    if kind == "stock":
        state = await agent.aget_state({"configurable": {"thread_id": f"user-{number}"}})
        return [message.text or "calls get_weather" for message in state.values.get("messages", [])]
    session = await manager.get_session(f"user-{number}")
    said = await session.get_messages()
    shown = [m for m in said if m.role != "system" and m.status == "completed"]
    return [m.content or "".join(r.content for r in m.tool_results) or "calls get_weather" for m in shown]


def in_a_process(folder: str, kind: str, users: int, fuse: int | None) -> int | None:
    """Talk in a process of its own; return how it ended."""

    def run() -> None:
        os.chdir(folder)
        there = asyncio.run(talk(kind, users, fuse))
        Path("conversations.json").write_text(json.dumps(there))

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(300)
    return process.exitcode


def compare(kind: str, users: int) -> dict[str, int]:
    """Run one agent: a process that is killed, and another one that goes on."""
    with tempfile.TemporaryDirectory() as folder:
        assert in_a_process(folder, kind, users, max(1, users // 2)) == -signal.SIGKILL
        assert in_a_process(folder, kind, users, None) == 0
        there: list[list[str]] = json.loads((Path(folder) / "conversations.json").read_text())
        answers = dict(map(json.loads, (Path(folder) / "answers.txt").read_text().splitlines()))
        runs = len((Path(folder) / "tool_runs.txt").read_text().splitlines())
    due = [
        [
            f"I am user {n}.",
            f"You are user {n}.",
            QUESTIONS[1],
            "calls get_weather",
            "sunny",
            "In Rome: sunny",
            QUESTIONS[2],
            f"You are user {n}.",
        ]
        for n in range(users)
    ]
    return {
        "messages lost": sum(
            max(0, want.count(m) - have.count(m)) for want, have in zip(due, there, strict=True) for m in set(want)
        ),
        "messages doubled": sum(
            max(0, have.count(m) - want.count(m)) for want, have in zip(due, there, strict=True) for m in set(want)
        ),
        "users the agent knows": sum(answers[f"{n}/2"] == f"You are user {n}." for n in range(users)),
        "tool runs too many": runs - users,
    }


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--users", type=int, default=8)
    arguments.add_argument("--only", choices=AGENTS, action="append", help="one of the agents")
    given = arguments.parse_args()
    found = {kind: compare(kind, given.users) for kind in given.only or AGENTS}
    print(f"{given.users} users at once, killed in the middle, started again".ljust(54), *(f"{k:>16}" for k in found))
    for line in next(iter(found.values())):
        print(line.ljust(54), *(f"{counts[line]:>16}" for counts in found.values()))


if __name__ == "__main__":
    main()
