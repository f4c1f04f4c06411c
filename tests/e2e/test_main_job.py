"""The main job on real input: LangChain chain, real OpenAI SDK over real HTTP, a database file, a real OTLP export."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.openai_server import OpenAIServer
from tests.support.otlp import Receiver

THREE_TURNS = """
import sys
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langswarm_sessions import SessionManager
from langswarm_sessions_langchain import SessionRunnable
from langswarm_sessions_otel import configure_telemetry

telemetry = configure_telemetry(service_name="shop", endpoint=sys.argv[1])
manager = SessionManager("sqlite", storage_config={"db_path": "shop.db"})
chain = (
    ChatPromptTemplate.from_messages([("system", "You are {name}."), ("human", "{question}")])
    | SessionRunnable(manager=manager, provider="openai", model="test-model")
    | StrOutputParser()
)
config = {"configurable": {"session_id": "order-17", "user_id": "ada"}}
for question in sys.argv[2:]:
    for chunk in chain.stream({"name": "Bob", "question": question}, config):
        print(chunk, end="")
    print()
telemetry.force_flush(5)
"""


def run_chain(folder: Path, server: OpenAIServer, receiver: Receiver, *questions: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", THREE_TURNS, receiver.url, *questions],
        cwd=folder,
        env={**os.environ, **server.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_conversation_over_two_processes(own_folder: Path, openai_server: OpenAIServer, receiver: Receiver) -> None:
    answers = run_chain(own_folder, openai_server, receiver, "albatross", "second")
    answers += run_chain(own_folder, openai_server, receiver, "third")
    assert answers == ["[1] You said: albatross", "[2] You said: second", "[3] You said: third"]

    bodies: list[Any] = [request.body for request in openai_server.creates]
    assert [body["input"] for body in bodies] == [[_user(text)] for text in ("albatross", "second", "third")]
    assert "previous_response_id" not in bodies[0]
    assert [body["previous_response_id"] for body in bodies[1:]] == [
        request.response_id for request in openai_server.creates[:2]
    ]
    assert [body["instructions"] for body in bodies] == ["You are Bob."] * 3
    assert openai_server.model_views[-1].user_texts == ["albatross", "second", "third"]

    with sqlite3.connect(own_folder / "shop.db") as database:
        stored = database.execute("SELECT role, content FROM messages ORDER BY seq").fetchall()
        open_turns = database.execute("SELECT count(*) FROM turns WHERE state != 'completed'").fetchone()
    assert stored == [
        ("system", "You are Bob."),
        ("user", "albatross"),
        ("assistant", "[1] You said: albatross"),
        ("user", "second"),
        ("assistant", "[2] You said: second"),
        ("user", "third"),
        ("assistant", "[3] You said: third"),
    ]
    assert open_turns == (0,)

    spans = [
        span for resource in receiver.traces().resource_spans for scope in resource.scope_spans for span in scope.spans
    ]
    turns = [span for span in spans if span.name == "invoke_agent session"]
    assert len(turns) == 3
    assert len([span for span in spans if span.name == "chat test-model"]) == 3
    for turn in turns:
        attributes = {pair.key: pair.value for pair in turn.attributes}
        assert attributes["gen_ai.conversation.id"].string_value == "order-17"
    linked = {link.span_id for turn in turns for link in turn.links}
    assert linked <= {turn.span_id for turn in turns}
    assert len(linked) == 2, "each later turn links to the one before, also across processes"
    metrics = {
        metric.name
        for resource in receiver.metrics().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert "langswarm.session.turn.duration" in metrics
    for secret in (openai_server.api_key, "albatross", "You are Bob."):
        assert secret.encode() not in b"".join(body for _, _, body in receiver.requests)


def test_a_thread_the_provider_lost_heals_inside_the_turn(
    own_folder: Path, openai_server: OpenAIServer, receiver: Receiver
) -> None:
    run_chain(own_folder, openai_server, receiver, "albatross", "second")
    openai_server.forget()
    assert run_chain(own_folder, openai_server, receiver, "third") == ["[3] You said: third"]
    assert openai_server.model_views[-1].user_texts == ["albatross", "second", "third"]
    spans = [
        span.name
        for resource in receiver.traces().resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert spans.count("langswarm.session.rebuild") == 1


def _user(text: str) -> dict[str, object]:
    return {"type": "message", "role": "user", "content": text}
