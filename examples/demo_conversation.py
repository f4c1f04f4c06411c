"""A three-turn conversation in a LangChain chain. `demo.py` runs this program, kills it, and runs it again.

It does nothing to survive that: it names the session, and it names each question with an idempotency key. Run from the
top again, a question that was answered gets its recorded answer, one that was cut off is asked again, in its place.

Alone: python examples/demo_conversation.py [DATABASE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from langswarm_sessions import Session, SessionError, create_session_manager
from langswarm_sessions.interfaces import ProviderRequest
from langswarm_sessions_langchain import SessionRunnable
from langswarm_sessions_otel import configure_telemetry

SESSION_ID = "bees"
PACE_SECONDS = 0.06
SYSTEM = "You are an experienced beekeeper. Answer in two or three sentences."
QUESTIONS = (
    "Hello, I am Ada and I keep bees on a roof in Lisbon. What should I look at in autumn?",
    "And how do I bring them through the winter?",
    "Do you remember who I am, and where my bees live?",
)
ANSWERS = (
    "Weigh the hives first: a colony needs about fifteen kilos of honey until spring. Then treat against mites, "
    "and narrow the entrance before the wasps find it.",
    "Leave them alone as far as you can, since every opened lid costs warmth. A roof is windy: strap the hives down "
    "and shelter them from the north, but let damp air out at the top. On a mild day in January, lift each hive a "
    "little to feel whether there is honey left.",
)


async def converse(database: Path, provider: str, model: str, *, as_events: bool) -> None:
    """Ask all questions, one after the other, and show the answers as they come."""
    async with create_session_manager("sqlite", storage_config={"db_path": str(database)}) as manager:
        session = await manager.open_session(SESSION_ID, user_id="ada", provider=provider, model=model)
        if provider == "mock":
            play_a_beekeeper(session)

        prompt = ChatPromptTemplate.from_messages([("system", SYSTEM), ("human", "{question}")])
        memory = SessionRunnable(manager=manager, provider=provider, model=model)
        config: Any = {"configurable": {"session_id": SESSION_ID}}

        for number, question in enumerate(QUESTIONS, start=1):
            chain = prompt | memory.bind(idempotency_key=f"question-{number}") | StrOutputParser()
            show("question", question, as_events=as_events)
            async for text in chain.astream({"question": question}, config):
                show("text", text, as_events=as_events)
            show("end", "", as_events=as_events)


def play_a_beekeeper(session: Session) -> None:
    """Tell the mock provider what to say: it knows no more than what it was sent since this process began."""
    provider = session.provider_session

    def answer(request: ProviderRequest) -> str:
        question = request.messages[-1].content
        if question in QUESTIONS[:2]:
            return ANSWERS[QUESTIONS.index(question)]
        sent = " ".join(message.content for request in provider.requests for message in request.messages)
        known = re.search(r"I am (\w+) and I keep bees on a roof in (\w+)", sent)
        if known is None:
            return "No, I am afraid I do not know you."
        return f"Of course: you are {known[1]}, and your bees live on a roof in {known[2]}. Give them my regards."

    provider.set_responses([answer] * len(QUESTIONS))
    provider.set_pace(PACE_SECONDS)


def show(kind: str, text: str, *, as_events: bool) -> None:
    """Show what happens: as text, or as one line of JSON for the program that reads this one's output."""
    if as_events:
        print(json.dumps({"kind": kind, "text": text}), flush=True)
    elif kind == "question":
        print(f"you    {text}\nmodel  ", end="", flush=True)
    else:
        print(text, end="\n\n" if kind == "end" else "", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="A three-turn conversation in a LangChain chain.")
    parser.add_argument("database", nargs="?", type=Path, help="the SQLite file (default: a temporary one)")
    parser.add_argument("--provider", default="mock")
    parser.add_argument("--model", default="mock-model")
    parser.add_argument("--spans", type=Path, help="a file to write spans to")
    parser.add_argument("--events", action="store_true", help="write lines of JSON")
    given = parser.parse_args()
    if given.spans:
        configure_telemetry(service_name="demo", span_file=given.spans)
    with tempfile.TemporaryDirectory() as folder:
        database = given.database or Path(folder) / "conversation.db"
        try:
            asyncio.run(converse(database, given.provider, given.model, as_events=given.events))
        except SessionError as error:
            sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
