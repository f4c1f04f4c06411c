"""Where Gemini's settings, tools and tool choices go, in both of its APIs."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions.records import TurnOptions
from tests.support.gemini_server import GeminiServer
from tests.support.gemini_server.asking import (
    CLOCK,
    Open,
    ask,
    body_of,
    connection,
    either_api,
    opened,
    user,
)
from tests.support.gemini_server.plugin import gemini_server

__all__ = ["connection", "gemini_server", "opened"]


SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}
SETTINGS: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "seed": 7,
    "max_tokens": 100,
    "stop": "END",
    "reasoning_effort": "low",
    "reasoning_summary": "auto",
    "service_tier": "flex",
    "tool_choice": "required",
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
}


async def test_settings_of_an_interaction(opened: Open, gemini_server: GeminiServer) -> None:
    await ask(opened(**SETTINGS), user(), keep_native=True, options=TurnOptions(tools=(CLOCK,)))
    body = body_of(gemini_server)
    assert body["generation_config"] == {
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "max_output_tokens": 100,
        "stop_sequences": ["END"],
        "thinking_level": "low",
        "thinking_summaries": "auto",
        "tool_choice": "any",
    }
    assert body["service_tier"] == "flex"
    assert body["response_format"] == {"type": "text", "mime_type": "application/json", "schema": SCHEMA}
    (tool,) = body["tools"]
    assert (tool["type"], tool["name"], tool["description"]) == ("function", "clock", "Tells the time.")
    assert tool["parameters"]["type"] == "object"


async def test_settings_of_generate_content(opened: Open, gemini_server: GeminiServer) -> None:
    more = {"native": "none", "top_k": 3, "presence_penalty": 0.5, "frequency_penalty": 0.25, "store": False}
    await ask(opened(**SETTINGS, **more), user(), instructions="Be brief.", options=TurnOptions(tools=(CLOCK,)))
    body = body_of(gemini_server)
    assert body["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 3,
        "seed": 7,
        "presencePenalty": 0.5,
        "frequencyPenalty": 0.25,
        "maxOutputTokens": 100,
        "stopSequences": ["END"],
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }
    assert (body["serviceTier"], body["store"]) == ("flex", False)
    assert body["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    assert body["tools"][0]["functionDeclarations"][0]["name"] == "clock"
    assert int(gemini_server.asked[0].headers["x-server-timeout"]) >= 10, "Gemini refuses less"


@either_api
@pytest.mark.parametrize(
    ("choice", "mode", "names"),
    [
        ("none", "none", None),
        ("clock", "any", ["clock"]),
        ({"type": "function", "function": {"name": "clock"}}, "any", ["clock"]),
    ],
)
async def test_the_turns_own_tool_choice_goes_first(
    choice: Any, mode: str, names: list[str] | None, native: bool, opened: Open, gemini_server: GeminiServer
) -> None:
    options = TurnOptions(tools=(CLOCK,), tool_choice=choice)
    await ask(opened(tool_choice="auto"), user(), keep_native=native, options=options)
    body = body_of(gemini_server)
    if native:
        expected: Any = {"allowed_tools": {"mode": mode, "tools": names}} if names else mode
        assert body["generation_config"]["tool_choice"] == expected
    else:
        chosen = body["toolConfig"]["functionCallingConfig"]
        assert (chosen["mode"], chosen.get("allowedFunctionNames")) == (mode.upper(), names)


@either_api
async def test_tools_of_geminis_own_are_passed_on(native: bool, opened: Open, gemini_server: GeminiServer) -> None:
    options = TurnOptions(tools=(CLOCK, {"type": "google_search"}))
    await ask(opened(), user(), keep_native=native, options=options)
    own: dict[str, Any] = {"type": "google_search"} if native else {"googleSearch": {}}
    assert own in body_of(gemini_server)["tools"]
    assert len(body_of(gemini_server)["tools"]) == 2
