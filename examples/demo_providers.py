"""One conversation, three providers: the second act of `demo.py`. No key, no network: python examples/demo_providers.py

It begins at OpenAI, which keeps the thread. The thread is deleted there, and the next turn heals. Then it is handed to
Anthropic, to Mistral, and back. The servers are ours (`demo_servers.py`), on loopback; the SDKs are the real ones. Then
everything that was stored and sent is shown and checked. Needs: pip install 'langswarm-sessions[all]'.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from demo_pages import Check
from demo_provider_pages import ProviderStage
from demo_servers import INTRODUCTION, SCALE, THOUGHT, WEIGH, Sent, Servers, ask_for_scale, read_scale, serving
from rich.console import Console

from langswarm_sessions import Session, SessionManager, SessionMessage, ToolResult, create_session_manager
from langswarm_sessions_otel import SpanRecord, configure_telemetry, read_span_file

SESSION_ID = "hives"
MODELS = {"openai": "gpt-6.1-terra", "anthropic": "claude-sonnet-5-5", "mistral": "mistral-small-latest"}
INSTRUCTIONS = "You are an experienced beekeeper. Answer in one sentence."
AFTER_LOSS = "Do you still know me?"
HANDOFFS = {
    "anthropic": "We have not met. Who am I?",
    "mistral": "And you: what do you know of me?",
    "openai": "Here I am again. What did I tell you?",
}
QUESTIONS = [INTRODUCTION, WEIGH, AFTER_LOSS, *HANDOFFS.values()]
HEALED_TURN, LAST_TURN = 4, 7  # the tool's result is a turn of its own


@dataclass(slots=True)
class Performance:
    """What happened, seen from outside.

    Args:
        sent: Every request for an answer with the number of its turn, in order.
        events: What subscribers heard.
        messages: What is stored.
        answers: The answers that were shown.
        refused: Requests that the SDKs' own types or the providers' rules would not let pass.
    """

    sent: list[tuple[int, Sent]] = field(default_factory=list[tuple[int, Sent]])
    events: list[str] = field(default_factory=list[str])
    messages: list[SessionMessage] = field(default_factory=list[SessionMessage])
    answers: list[str] = field(default_factory=list[str])
    refused: int = 0

    def of_turn(self, turn: int) -> list[Sent]:
        """Return the requests of one turn."""
        return [one for number, one in self.sent if number == turn]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDemo:
    """The act: where it is stored, whether that is kept, where it is shown."""

    folder: Path
    kept: bool
    console: Console

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / "providers.db"

    def perform(self) -> bool:
        """Show everything; return whether every check holds."""
        spans, requests = self.folder / "providers-spans.jsonl", self.folder / "providers-requests.jsonl"
        telemetry = configure_telemetry(service_name="demo", span_file=spans)
        stage = ProviderStage(self.console)
        with serving() as servers:
            addresses = [credential["base_url"] for credential in servers.credentials.values()]
            stage.open_act(database=self.database, addresses=addresses)
            performance = asyncio.run(self._converse(Act(servers, stage)))
        telemetry.shutdown()
        if self.kept:
            requests.write_text("".join(f"{json.dumps(_line(turn, one))}\n" for turn, one in performance.sent))
        stage.show_sent(((str(turn), one) for turn, one in performance.sent), written=requests if self.kept else None)
        stage.show_events(performance.events)
        told = read_span_file(spans, session_id=SESSION_ID)
        stage.show_tree(told)
        return stage.show_checks(
            list(_checks(performance, told)),
            where="in the database, in the spans and at the servers",
            good="One conversation, whoever answered it.",
        )

    async def _converse(self, act: Act) -> Performance:
        where = {"db_path": str(self.database)}
        credentials = act.servers.credentials
        async with create_session_manager("sqlite", storage_config=where, providers=credentials) as manager:
            return await act.play(manager)


class Act:
    """The conversation itself.

    Args:
        servers: Who answers.
        stage: Where it is shown.
    """

    def __init__(self, servers: Servers, stage: ProviderStage) -> None:
        self.servers = servers
        self.stage = stage
        self.turn = 0
        self.seen = dict.fromkeys(MODELS, 0)
        self.performance = Performance()

    async def play(self, manager: SessionManager) -> Performance:
        """Have the whole conversation."""
        performance, events = self.performance, manager.session_events()
        self.stage.begin_scene("openai keeps the thread: a turn sends only what is new")
        session = await manager.create_session(
            "ada",
            "openai",
            MODELS["openai"],
            session_id=SESSION_ID,
            provider_config={"instructions": INSTRUCTIONS},
        )
        await self.ask(session, INTRODUCTION)
        await self.weigh(session)

        deleted = await asyncio.to_thread(self.servers.delete_thread)
        self.stage.show_deleted(deleted, "DELETE /v1/responses")
        self.stage.begin_scene("the next turn heals: it is told again, once")
        await self.ask(session, AFTER_LOSS)

        for provider, question in HANDOFFS.items():
            self.stage.begin_scene(f"handed over: {session.provider} → {provider}")
            self.stage.show_report(await session.handoff(provider, MODELS[provider]))
            await self.ask(session, question)

        await events.aclose()
        performance.events = [event.type async for event in events]
        performance.messages = await session.get_messages()
        performance.refused = self.servers.refused_bodies()
        return performance

    async def ask(self, session: Session, question: str) -> None:
        """Ask a question and show the answer as it comes."""
        self.turn += 1
        self.stage.ask(question)
        self.performance.answers.append("")
        async for text in session.send_message_stream(question):
            self.stage.say(text)
            self.performance.answers[-1] += text
        self.stage.end_turn(self.newly_sent(session.provider))

    async def weigh(self, session: Session) -> None:
        """Ask a question that the model answers with a tool, whose result is the next turn."""
        self.turn += 1
        self.stage.ask(WEIGH)
        ask_for_scale(self.servers)
        message = await session.send_message(WEIGH, tools=[SCALE])
        [call] = message.tool_calls
        result = read_scale(**call.arguments)
        self.stage.show_call(call, result, self.newly_sent(session.provider))
        self.turn += 1
        message = await session.send_tool_results([ToolResult(tool_call_id=call.id, content=result)])
        self.stage.say(message.content)
        self.performance.answers.append(message.content)
        self.stage.end_turn(self.newly_sent(session.provider))

    def newly_sent(self, provider: str) -> list[Sent]:
        """Return what a server was sent since it was last looked at, and note it under the turn."""
        sent = self.servers.sent(provider)
        new, self.seen[provider] = sent[self.seen[provider] :], len(sent)
        self.performance.sent += [(self.turn, one) for one in new]
        return new


def _line(turn: int, one: Sent) -> dict[str, object]:
    return {
        "turn": turn,
        "provider": one.provider,
        "request": one.request,
        "status": one.status,
        "bytes": one.size,
        "body": one.body,
    }


def _checks(performance: Performance, spans: list[SpanRecord]) -> Iterator[Check]:
    """Judge what happened by what is in the database, in the spans and in the servers' journals."""
    said = [message for message in performance.messages if message.role in ("user", "assistant") and message.content]
    yield Check(
        "Every question is stored once, with one answer, and that is the one that was shown",
        [message.content for message in said if message.role == "user"] == QUESTIONS
        and [message.content for message in said if message.role == "assistant"] == performance.answers,
    )
    healed = performance.of_turn(HEALED_TURN)
    yield Check(
        "The lost thread was healed within its turn: one request refused, one with the whole conversation",
        [(bool(one.builds_on), one.status) for one in healed] == [(True, 400), (False, 200)]
        and performance.events.count("session_rebuilt") == 1
        and sum(span.name == "langswarm.session.rebuild" for span in spans) == 1,
    )
    yield Check(
        "Each provider knew who asks and what the scale said, from what it was sent alone",
        all({"Ada", "Lisbon", "14.2"} <= set(_split(answer)) for answer in performance.answers[2:]),
    )
    yield Check(
        "No request told a model anything twice",
        all(one.text.count(question) <= 1 for _, one in performance.sent for question in QUESTIONS),
    )
    elsewhere = [one for _, one in performance.sent if one.provider != "openai"]
    yield Check(
        "What OpenAI's model thought went to no other provider, and back to OpenAI with the last turn",
        not any(THOUGHT in one.text for one in elsewhere) and THOUGHT in performance.of_turn(LAST_TURN)[-1].text,
    )
    yield Check("Every request is one that the provider's own SDK types allow", performance.refused == 0)
    turns = [span for span in spans if span.name.startswith("invoke_agent")]
    handoffs = [span for span in spans if span.name == "langswarm.session.handoff"]
    yield Check(
        "The spans tell the same: seven turns, three handoffs",
        (len(turns), len(handoffs)) == (LAST_TURN, len(HANDOFFS)),
    )


def _split(text: str) -> list[str]:
    return text.replace(",", " ").replace(";", " ").split()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="langswarm-sessions-demo-") as folder:
        try:
            held = ProviderDemo(folder=Path(folder), kept=False, console=Console(highlight=False)).perform()
        except KeyboardInterrupt:
            return 130
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
