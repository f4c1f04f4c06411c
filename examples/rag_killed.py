"""A stock LangChain RAG chain, and the same chain with one line changed: killed in the middle, and started again.

Many users talk to each chain at once when its process is killed: some answers are out, some are half out, some
questions are not asked yet. A new process is asked what has no answer yet, and then what was asked before. Then it is
counted what either chain has lost. No key is needed: the model is a rule, the embeddings are computed from the words.
Needs numpy beside this library, for LangChain's InMemoryVectorStore: pip install numpy

    python examples/rag_killed.py             a small comparison
    python examples/rag_killed.py --users 50  a larger one
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from langswarm_sessions import create_session_manager, set_session_manager
from langswarm_sessions_langchain import SessionChatModel

QUESTIONS = ("Where does {user} sleep?", "Where does {user} eat?")
LAST = "What did {user} ask before?"
NOTES = ("Pilgrims sleep in the monastery.", "Pilgrims eat at the inn.", "The road to Rome is long.")


class Rule(BaseChatModel):
    """Stands in for a chat model: it says again what it was asked. Kills this very process after so many words."""

    words_left: int | None = None

    @property
    def _llm_type(self) -> str:
        return "rule"

    def _answer(self, messages: list[BaseMessage]) -> str:
        asked = [
            re.findall(r"Question: (.*)", message.text) for message in messages if isinstance(message, HumanMessage)
        ]
        return "You asked: " + " / ".join(dict.fromkeys(question for found in asked for question in found))

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self._answer(messages)))])

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> Iterator[ChatGenerationChunk]:
        for word in re.findall(r"\S+\s*", self._answer(messages)):
            if self.words_left is not None:
                self.words_left -= 1
                if self.words_left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


def format_docs(docs: list[Document]) -> str:
    return "\n\n".join(doc.page_content for doc in docs)


def rag_chain(llm: BaseChatModel) -> Runnable[str, str]:
    """Return the chain as LangChain's tutorial writes it."""
    vector_store = InMemoryVectorStore(DeterministicFakeEmbedding(size=32))
    vector_store.add_documents([Document(note) for note in NOTES])
    retriever = vector_store.as_retriever(search_kwargs={"k": 1})
    prompt = ChatPromptTemplate.from_messages(
        [
            ("system", "You are an assistant for question-answering tasks. Use the context to answer the question."),
            ("human", "Question: {question}\nContext: {context}"),
        ]
    )
    return {"context": retriever | format_docs, "question": RunnablePassthrough()} | prompt | llm | StrOutputParser()


def stock(rule: Rule) -> Runnable[str, str]:
    llm = rule
    return rag_chain(llm)


def kept(rule: Rule) -> Runnable[str, str]:
    manager = create_session_manager(storage="sqlite", providers={"rule": rule})
    set_session_manager(manager)
    llm = SessionChatModel(provider="rule", model="rule")
    return rag_chain(llm)


CHAINS: dict[str, Callable[[Rule], Runnable[str, str]]] = {"stock": stock, "kept": kept}


async def talk(chain: Runnable[str, str], user: str, questions: list[str]) -> None:
    """Ask one after the other, and tell of every answer that came whole."""
    for question in questions:
        asked = question.format(user=user)
        answer = ""
        async for piece in chain.astream(asked, {"configurable": {"session_id": user}}):
            answer += piece
        print(json.dumps({"user": user, "asked": asked, "answer": answer}), flush=True)


async def serve(name: str, plan: dict[str, list[str]], words: int | None) -> None:
    chain = CHAINS[name](Rule(words_left=words))
    await asyncio.gather(*(talk(chain, user, questions) for user, questions in plan.items()))


def run(
    name: str, plan: dict[str, list[str]], folder: Path, words: int | None = None
) -> tuple[list[dict[str, str]], int]:
    """Run one process of a chain; return the answers its users got, and how it ended."""
    command = [sys.executable, str(Path(__file__).resolve()), "--serve", name, json.dumps(plan), str(words or 0)]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


def compare(name: str, users: list[str]) -> dict[str, int]:
    """Let a process be killed when half of the words are out, start another one, and count what is known there."""
    with tempfile.TemporaryDirectory() as folder:
        words = len(users) * 8
        before, code = run(name, {user: list(QUESTIONS) for user in users}, Path(folder), words)
        assert code == -signal.SIGKILL, f"the process ended with {code}"
        answered = {(entry["user"], entry["asked"]) for entry in before}
        unanswered = {
            user: [question for question in QUESTIONS if (user, question.format(user=user)) not in answered]
            for user in users
        }
        after, code = run(name, {user: [*unanswered[user], LAST] for user in users}, Path(folder))
        assert code == 0, f"the process ended with {code}"
    recalled = {entry["user"]: entry["answer"] for entry in after if entry["asked"] == LAST.format(user=entry["user"])}
    asked = [(user, question.format(user=user)) for user in users for question in QUESTIONS]
    return {
        "turns taken": len(asked),
        "answered before the kill": len(before),
        "turns lost": sum(question not in recalled[user] for user, question in asked),
        "words of other users": sum(other in recalled[user] for user in users for other in users if other != user),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=5)
    parser.add_argument("--serve", nargs=3, metavar=("NAME", "PLAN", "WORDS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        name, plan, words = given.serve
        asyncio.run(serve(name, json.loads(plan), int(words) or None))
        return
    users = [f"user{number:03}" for number in range(given.users)]
    counts = {name: compare(name, users) for name in CHAINS}
    print(f"{'':<26}" + "".join(f"{name:>8}" for name in counts))
    for row in counts["stock"]:
        print(f"{row:<26}" + "".join(f"{counted[row]:>8}" for counted in counts.values()))
    if counts["kept"]["turns lost"] or counts["kept"]["words of other users"]:
        raise SystemExit("the chain with a session lost turns")


if __name__ == "__main__":
    main()
