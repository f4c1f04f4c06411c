"""Which tool is to be called: the four ways to say it, on the wire of every provider."""

from __future__ import annotations

import json
from typing import Any

import pytest

from langswarm_sessions import InvalidInputError, ToolCall
from tests.session.kit import OpenManager
from tests.support.sides import CLOCK, SIDES

SEARCH: dict[str, Any] = {"name": "search", "description": "Finds.", "parameters": {"type": "object"}}
NAMED_IN_CHAT = {"type": "function", "function": {"name": "clock"}}


def plain(body: dict[str, Any]) -> Any:
    return body.get("tool_choice")


def of_interaction(body: dict[str, Any]) -> Any:
    return body.get("generation_config", {}).get("tool_choice")


def of_contents(body: dict[str, Any]) -> Any:
    return body["toolConfig"]["functionCallingConfig"]


def of_conversation(body: dict[str, Any]) -> Any:
    return body["completion_args"]["tool_choice"]


def of_cohere(body: dict[str, Any]) -> Any:
    return body.get("tool_choice"), [tool["function"]["name"] for tool in body["tools"]]


WIRE: dict[tuple[str, str], tuple[Any, dict[str, Any]]] = {
    ("openai", "{}"): (
        plain, {"auto": "auto", "none": "none", "required": "required", "clock": {"type": "function", "name": "clock"}},
    ),
    ("openai", '{"api": "chat"}'): (
        plain, {"auto": "auto", "none": "none", "required": "required", "clock": NAMED_IN_CHAT},
    ),
    ("anthropic", "{}"): (
        plain,
        {"auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"},
         "clock": {"type": "tool", "name": "clock"}},
    ),
    ("gemini", "{}"): (
        of_interaction,
        {"auto": "auto", "none": "none", "required": "any",
         "clock": {"allowed_tools": {"mode": "any", "tools": ["clock"]}}},
    ),
    ("gemini", '{"native": "none"}'): (
        of_contents,
        {"auto": {"mode": "AUTO"}, "none": {"mode": "NONE"}, "required": {"mode": "ANY"},
         "clock": {"mode": "ANY", "allowedFunctionNames": ["clock"]}},
    ),
    ("mistral", '{"native": "none"}'): (
        plain, {"auto": "auto", "none": "none", "required": "required", "clock": NAMED_IN_CHAT},
    ),
    ("mistral", "{}"): (of_conversation, {"auto": "auto", "none": "none", "required": "required"}),
    ("cohere", "{}"): (
        of_cohere,
        {"auto": (None, ["clock", "search"]), "none": ("NONE", ["clock", "search"]),
         "required": ("REQUIRED", ["clock", "search"]), "clock": ("REQUIRED", ["clock"])},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "config"), WIRE)
async def test_every_choice_is_said_in_the_providers_words(name: str, config: str, open_manager: OpenManager) -> None:
    chosen, expected = WIRE[name, config]
    with SIDES[name].start() as counterpart:
        manager = open_manager("memory", providers={name: counterpart.credential})
        for choice, wanted in expected.items():
            settings = json.loads(config)
            session = await manager.create_session("user", name, SIDES[name].model, provider_config=settings)
            await session.send_message("time?", tools=[CLOCK, SEARCH], tool_choice=choice)
            assert chosen(json.loads(counterpart.requests()[-1])) == wanted, choice
        await manager.close()


async def test_a_chat_model_is_told_by_keyword(open_manager: OpenManager) -> None:
    with SIDES["langchain"].start() as counterpart:
        manager = open_manager("memory", providers={"langchain": counterpart.credential})
        session = await manager.create_session("user", "langchain", "judged-1")
        for choice, wanted in {"auto": None, "none": "none", "required": "any", "clock": "clock"}.items():
            await session.send_message("time?", tools=[CLOCK, SEARCH], tool_choice=choice)
            assert counterpart.credential.party.last.kwargs.get("tool_choice") == wanted


async def test_a_mistral_conversation_says_that_it_cannot_be_told_a_name(open_manager: OpenManager) -> None:
    with SIDES["mistral"].start() as counterpart:
        manager = open_manager("memory", providers={"mistral": counterpart.credential})
        session = await manager.create_session("user", "mistral", SIDES["mistral"].model)
        with pytest.raises(InvalidInputError, match="cannot be told which tool to call"):
            await session.send_message("time?", tools=[CLOCK], tool_choice="clock")
        await manager.close()


async def test_results_given_by_hand_keep_the_tools_and_leave_the_choice_to_the_model(
    open_manager: OpenManager,
) -> None:
    session = await open_manager("memory").create_session("user", "mock", "m")

    async def answered(**options: Any) -> tuple[list[str], Any]:
        session.provider_session.set_responses([[ToolCall(id="c1", name="clock")], "noon"])
        await session.send_message("time?", tools=[CLOCK, SEARCH], tool_choice="required")
        await session.send_tool_results([{"tool_call_id": "c1", "content": "noon"}], **options)
        asked = session.provider_session.requests[-1].options
        return [tool["name"] for tool in asked.tools], asked.tool_choice

    assert await answered() == (["clock", "search"], "auto")
    assert await answered(tool_choice="none") == (["clock", "search"], "none")
    assert await answered(tools=[SEARCH]) == (["search"], "auto")
    assert await answered(tools=[SEARCH], tool_choice="search") == (["search"], "search")
    assert await answered(tools=[]) == ([], None)


async def test_a_choice_of_the_settings_ends_with_the_results_as_well(open_manager: OpenManager) -> None:
    settings = {"tool_choice": "required"}
    with SIDES["openai"].start() as counterpart:
        manager = open_manager("memory", providers={"openai": counterpart.credential})
        session = await manager.create_session("user", "openai", SIDES["openai"].model, provider_config=settings)
        counterpart.say(SIDES["openai"].calls("clock"))
        asked = await session.send_message("time?", tools=[CLOCK])
        assert json.loads(counterpart.requests()[-1])["tool_choice"] == "required"
        await session.send_tool_results([{"tool_call_id": asked.tool_calls[0].id, "content": "noon"}])
        assert json.loads(counterpart.requests()[-1])["tool_choice"] == "auto"
        await manager.close()
