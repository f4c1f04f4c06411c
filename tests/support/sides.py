"""The six sides of a handoff: the five providers' servers, and a LangChain chat model, told alike what to say."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.messages.tool import tool_call

from langswarm_sessions import FilePart, ImagePart, Session, TextPart, ToolResult
from langswarm_sessions.errors import InvalidRequestError
from langswarm_sessions.messages import Part
from tests.support import anthropic_server, cohere_server, gemini_server, mistral_server, openai_server
from tests.support.chat_model import JudgedChat

__all__ = ["CLOCK", "PDF", "PIXEL", "SIDES", "Counterpart", "Side", "converse"]

CLOCK: dict[str, Any] = {
    "name": "clock",
    "description": "Tells the time.",
    "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjcgJSVFT0Y="


@dataclass(frozen=True, slots=True)
class Counterpart:
    """A side that runs.

    Args:
        credential: What `providers={name: ...}` is given.
        say: Queues replies.
        requests: Returns the bodies of all requests, as text.
    """

    credential: Any
    say: Callable[..., None]
    requests: Callable[[], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side, and what it is told to say.

    Args:
        model: The model that is asked.
        start: Starts it.
        says: Makes a reply of a text.
        thinks: Makes a reply with reasoning before its text.
        calls: Makes a reply with tool calls, one for each time zone.
        refuses: Makes a reply that declines; None where the API has no such.
    """

    model: str
    start: Callable[[], Any]
    says: Callable[[str], Any]
    thinks: Callable[[str], Any]
    calls: Callable[..., Any]
    refuses: Callable[[str], Any] | None = None


def _served(make: Callable[[], Any]) -> Callable[[], Any]:
    @contextmanager
    def start() -> Generator[Counterpart]:
        with make() as server:
            yield Counterpart(
                credential=server.credential,
                say=server.script,
                requests=lambda: [_text(record.body) for record in server.requests if record.body is not None],
            )
            assert server.violations == [], server.violations

    return start


@contextmanager
def _chat_model() -> Generator[Counterpart]:
    model = JudgedChat()
    yield Counterpart(
        credential=model,
        say=model.party.say,
        requests=lambda: [_text([one.model_dump() for one in call.messages]) for call in model.party.calls],
    )


def _text(body: object) -> str:
    return json.dumps(body, ensure_ascii=False)


def _calls_of(kit: Any) -> Callable[..., Any]:
    def reply(*zones: str) -> Any:
        return kit.Reply(tool_calls=tuple(kit.ToolCall("clock", {"zone": zone}) for zone in zones))

    return reply


def _chat_calls(*zones: str) -> AIMessage:
    made = [tool_call(name="clock", args={"zone": zone}, id=f"lc_{''.join(zones)}_{zone}") for zone in zones]
    return AIMessage("", tool_calls=made)


def _chat_thought(text: str) -> AIMessage:
    thought = {"type": "thinking", "thinking": "hidden thought", "signature": "c2ln"}
    return AIMessage([thought, {"type": "text", "text": text}])


SIDES: Mapping[str, Side] = {
    "anthropic": Side(
        model="claude-sonnet-5-5",
        start=_served(anthropic_server.AnthropicServer),
        says=lambda text: anthropic_server.Reply(text=text),
        thinks=lambda text: anthropic_server.Reply(text=text, thinking="hidden thought"),
        calls=_calls_of(anthropic_server),
        refuses=lambda text: anthropic_server.Reply(refusal=text),
    ),
    "cohere": Side(
        model="command-a-03-2025",
        start=_served(cohere_server.CohereServer),
        says=lambda text: cohere_server.Reply(text=text),
        thinks=lambda text: cohere_server.Reply(text=text, thinking="hidden thought"),
        calls=_calls_of(cohere_server),
    ),
    "gemini": Side(
        model="gemini-3.8-flash",
        start=_served(gemini_server.GeminiServer),
        says=lambda text: gemini_server.Reply(text=text),
        thinks=lambda text: gemini_server.Reply(text=text, thought="hidden thought"),
        calls=_calls_of(gemini_server),
    ),
    "langchain": Side(
        model="judged-1",
        start=_chat_model,
        says=AIMessage,
        thinks=_chat_thought,
        calls=_chat_calls,
        refuses=lambda text: AIMessage("", additional_kwargs={"refusal": text}),
    ),
    "mistral": Side(
        model="mistral-small-latest",
        start=_served(mistral_server.MistralServer),
        says=lambda text: mistral_server.Reply(text=text),
        thinks=lambda text: mistral_server.Reply(text=text, thinking="hidden thought"),
        calls=_calls_of(mistral_server),
    ),
    "openai": Side(
        model="gpt-6.1-terra",
        start=_served(openai_server.OpenAIServer),
        says=lambda text: openai_server.Reply(text=text),
        thinks=lambda text: openai_server.Reply(text=text, reasoning="hidden thought"),
        calls=_calls_of(openai_server),
        refuses=lambda text: openai_server.Reply(refusal=text),
    ),
}
"""By the name the provider has in a session."""


async def converse(session: Session, name: str, counterpart: Counterpart, *, leave_call_open: bool = False) -> None:
    """Have a conversation that holds whatever one can hold.

    Args:
        session: A new session with the side.
        name: Its name.
        counterpart: The side, which runs.
        leave_call_open: Whether the last calls stay unanswered.
    """
    side = SIDES[name]
    counterpart.say(side.thinks(f"{name} thought and said this"))
    await session.send_message("question one")
    counterpart.say(side.says(f"{name} saw it"))
    await session.send_message([TextPart("look at this"), ImagePart(data=PIXEL, media_type="image/png")])
    await _show_file(session, side, counterpart)
    if side.refuses is not None:
        counterpart.say(side.refuses(f"{name} would rather not"))
        await session.send_message("do something bad")
    await _ask_time(session, side, counterpart, "UTC")
    await _answer(session, side, counterpart, f"{name} knows the time")
    await _ask_time(session, side, counterpart, "CET", "PST")
    if not leave_call_open:
        await _answer(session, side, counterpart, f"{name} knows both times")


async def _show_file(session: Session, side: Side, counterpart: Counterpart) -> None:
    shown: list[Part] = [TextPart("read this"), FilePart(data=PDF, media_type="application/pdf", name="a.pdf")]
    counterpart.say(side.says("it was read"))
    try:
        await session.send_message(shown)
    except InvalidRequestError:  # this provider takes no files; another may have, earlier in the conversation
        await session.add_message("user", shown)
        await session.send_message("was it read?")


async def _ask_time(session: Session, side: Side, counterpart: Counterpart, *zones: str) -> None:
    counterpart.say(side.calls(*zones))
    asked = await session.send_message(f"what time is it in {' and '.join(zones)}?", tools=[CLOCK])
    assert len({call.id for call in asked.tool_calls}) == len(zones)


async def _answer(session: Session, side: Side, counterpart: Counterpart, text: str) -> None:
    (asked,) = await session.get_messages(limit=1)
    counterpart.say(side.says(text))
    await session.send_tool_results(
        [ToolResult(tool_call_id=call.id, content=f"noon in {call.arguments['zone']}") for call in asked.tool_calls]
    )
