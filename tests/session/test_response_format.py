"""A form for the answer, asked for with one turn: on every wire, kept with the turn, refused where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from langswarm_sessions import (
    ConfigurationError,
    InvalidInputError,
    ProviderSession,
    QuotaExceededError,
    SessionManager,
    ToolCall,
    create_session_manager,
)
from langswarm_sessions.records import response_format_of
from tests.session.kit import OpenManager
from tests.support.chat_model import JudgedChat
from tests.support.sides import CLOCK, SIDES, Counterpart


class City(BaseModel):
    """What is asked for."""

    name: str
    people: int


SCHEMA: dict[str, Any] = City.model_json_schema()
OTHER: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "other", "schema": {"type": "object"}}}
CLOSED = {**SCHEMA, "additionalProperties": False}
NAMED = {"name": "City", "schema": SCHEMA}
CHAT = {"type": "json_schema", "json_schema": NAMED}

WIRE: dict[tuple[str, str], tuple[str, Any]] = {
    ("openai", "{}"): ("text", {"format": {"type": "json_schema", **NAMED}}),
    ("openai", '{"native": "log"}'): ("text", {"format": {"type": "json_schema", **NAMED}}),
    ("openai", '{"api": "chat"}'): ("response_format", CHAT),
    ("anthropic", "{}"): ("output_config", {"format": {"type": "json_schema", "schema": CLOSED}}),
    ("anthropic", '{"native": "ephemeral"}'): ("output_config", {"format": {"type": "json_schema", "schema": CLOSED}}),
    ("gemini", "{}"): ("response_format", {"type": "text", "mime_type": "application/json", "schema": SCHEMA}),
    ("gemini", '{"native": "none"}'): (
        "generationConfig",
        {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
    ),
    ("mistral", "{}"): ("completion_args", {"response_format": CHAT}),
    ("mistral", '{"native": "none"}'): ("response_format", CHAT),
    ("cohere", "{}"): ("response_format", {"type": "json_object", "json_schema": SCHEMA}),
}


@pytest.fixture
def running() -> Iterator[dict[str, Counterpart]]:
    """Start the sides a test asks for, by name."""
    from contextlib import ExitStack

    class Started(dict[str, Counterpart]):
        def __missing__(self, name: str) -> Counterpart:
            self[name] = stack.enter_context(SIDES[name].start())
            return self[name]

    with ExitStack() as stack:
        yield Started()


def sent(counterpart: Counterpart) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(counterpart.requests()[-1])
    return body


@pytest.mark.parametrize("stream", [False, True], ids=["send", "stream"])
@pytest.mark.parametrize(("name", "config"), WIRE)
async def test_every_provider_is_asked_in_its_own_words(
    name: str, config: str, stream: bool, open_manager: OpenManager, running: dict[str, Counterpart]
) -> None:
    manager = open_manager("memory", providers={name: running[name].credential})
    settings = {**json.loads(config), "response_format": OTHER}
    session = await manager.create_session("user", name, SIDES[name].model, provider_config=settings)
    running[name].say(SIDES[name].says('{"name": "Lisbon", "people": 545000}'))
    if stream:
        chunks = session.send_message_stream("Which?", response_format=City)
        answer = "".join([chunk async for chunk in chunks])
    else:
        answer = (await session.send_message("Which?", response_format=City)).content
    assert City.model_validate_json(answer).name == "Lisbon"
    field, wanted = WIRE[name, config]
    body = sent(running[name])
    assert body[field] == wanted, "the turn's beats the session's"
    await session.send_message("And now?")
    assert "other" in json.dumps(sent(running[name])) or name in {"anthropic", "cohere", "gemini"}
    assert City.__name__ not in json.dumps(sent(running[name])).replace('"Which', ""), "it held for one turn"


async def test_a_chat_model_is_asked_by_keyword(open_manager: OpenManager) -> None:
    model = JudgedChat()
    session = await open_manager("memory", providers={"mychat": model}).create_session("user", "mychat", "judged-1")
    await session.send_message("Which?", response_format=City)
    assert model.party.last.kwargs["response_format"] == CHAT


@pytest.mark.parametrize("given", [CHAT, NAMED, {"type": "json_schema", **NAMED}, City])
def test_every_way_to_say_it_is_one(given: Any) -> None:
    assert response_format_of(given) == CHAT
    assert response_format_of("json_object") == response_format_of({"type": "json_object"}) == {"type": "json_object"}


@pytest.mark.parametrize(
    "given", [SCHEMA, {"name": "x"}, "yaml", 1, int, {"type": "json_schema"}, {"name": 1, "schema": {}}]
)
async def test_what_is_no_format_is_refused_before_anything_is_stored(given: Any, open_manager: OpenManager) -> None:
    session = await open_manager("memory").create_session("user", "mock", "mock-model")
    with pytest.raises(InvalidInputError, match="response_format"):
        await session.send_message("Which?", response_format=given)
    assert await session.get_messages() == []


async def test_results_of_tools_keep_the_format_of_their_turn(open_manager: OpenManager) -> None:
    manager: SessionManager = open_manager("memory")
    session = await manager.create_session("user", "mock", "mock-model")
    session.provider_session.set_responses([[ToolCall(id="c1", name="clock")]])
    reply = await session.send_message("Which?", tools=[CLOCK], response_format=City)
    await session.send_tool_results([{"tool_call_id": reply.tool_calls[0].id, "content": "noon"}])
    asked = [request.options.response_format for request in session.provider_session.requests]
    assert asked == [CHAT, CHAT]


async def test_tools_that_are_resumed_keep_the_format_of_their_turn(open_manager: OpenManager) -> None:
    def clock() -> str:
        """Tell the time."""
        return "noon"

    session = await open_manager("memory").create_session("user", "mock", "mock-model")
    calls = [ToolCall(id="c1", name="clock")]
    session.provider_session.set_responses([calls, calls, '{"name": "Faro"}'])
    await session.send_message("Which?", tools=[clock], response_format=City, run_tools=True, max_tool_rounds=1)
    assert (await session.resume_tools([clock])).content == '{"name": "Faro"}'
    asked = [request.options.response_format for request in session.provider_session.requests]
    assert asked == [CHAT, CHAT, CHAT]


async def test_a_turn_run_in_the_background_is_asked_for_it_too(open_manager: OpenManager) -> None:
    session = await open_manager("memory").create_session("user", "mock", "mock-model")
    turn = await session.start_turn("Which?", response_format=City)
    await turn.result()
    assert session.provider_session.requests[-1].options.response_format == CHAT


def test_a_blocking_session_takes_it_too() -> None:
    with create_session_manager(storage="memory", blocking=True) as manager:
        session = manager.create_session("user", "mock", "mock-model")
        session.send_message("Which?", response_format=City)
        assert session.provider_session.requests[-1].options.response_format == CHAT


class Own(ProviderSession):
    """A provider of a user's own."""

    async def send_message(self, content: str, role: str = "user", metadata: dict[str, Any] | None = None) -> str:
        return "hi"

    async def get_provider_metadata(self) -> dict[str, Any]:
        return {}

    async def update_provider_config(self, config: dict[str, Any]) -> None: ...

    async def cleanup_provider_resources(self) -> None: ...


async def test_a_provider_without_formats_says_so(open_manager: OpenManager, running: dict[str, Counterpart]) -> None:
    class Plain(JudgedChat):
        def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Any:
            return super().bind_tools(tools, tool_choice=tool_choice, **kwargs)

    manager = open_manager(
        "memory", providers={"own": Own(), "plain": Plain(), "anthropic": running["anthropic"].credential}
    )
    for name in ("own", "plain"):
        session = await manager.create_session("user", name, "m")
        with pytest.raises(InvalidInputError, match=f"response_format: {name}"):
            await session.send_message("Which?", response_format=City)
        assert await session.get_messages() == [], "nothing was stored"
    claude = await manager.create_session("user", "anthropic", SIDES["anthropic"].model)
    with pytest.raises(ConfigurationError, match="anthropic: response_format must be"):
        await claude.send_message("Which?", response_format="json_object")


async def test_a_fallback_without_formats_does_not_answer_in_prose(open_manager: OpenManager) -> None:
    class Spare(Own):
        async def send_message(self, content: str, history: Any = ()) -> str:  # type: ignore[override]
            return "prose"

    manager = open_manager("memory", providers={"own": Spare()}, fallback="own/m")
    session = await manager.create_session("user", "mock", "m")
    session.provider_session.fail_next("quota")
    with pytest.raises(QuotaExceededError):
        await session.send_message("Which?", response_format=City)
    session.provider_session.fail_next("quota")
    reply = await session.send_message("Which?")
    assert reply.provider_metadata["fallback_from"] == "mock"
