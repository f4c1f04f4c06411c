"""A model of ADK that says what it is told to, and agents that use it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from google.adk.agents import Agent, RunConfig
from google.adk.agents._streaming_mode import StreamingMode
from google.adk.events import Event
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.sessions.base_session_service import BaseSessionService
from google.adk.tools.tool_context import ToolContext
from google.genai import types
from pydantic import Field

Said = str | types.Part | list[types.Part] | Exception

STREAMED = RunConfig(streaming_mode=StreamingMode.SSE)


class ScriptedModel(BaseLlm):
    """Answers from a script, and remembers what it was asked."""

    model: str = "scripted"
    script: list[Any]
    asked: list[LlmRequest] = Field(default_factory=list[LlmRequest])

    @property
    def told(self) -> list[list[tuple[str, str]]]:
        """Of each call, who said what."""
        return [[(content.role or "", words(content)) for content in request.contents] for request in self.asked]

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        """Say the next thing; streamed, word by word first."""
        self.asked.append(llm_request.model_copy(deep=True))
        reply: Said = self.script.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if stream and isinstance(reply, str):
            for word in reply.split():
                yield LlmResponse(content=_content([types.Part(text=f"{word} ")]), partial=True)
        parts = reply if isinstance(reply, list) else [types.Part(text=reply) if isinstance(reply, str) else reply]
        usage = types.GenerateContentResponseUsageMetadata(prompt_token_count=5, candidates_token_count=2)
        yield LlmResponse(content=_content(parts), usage_metadata=usage)


def weather(city: str, tool_context: ToolContext) -> dict[str, str]:
    """Say how the weather is."""
    tool_context.state["last_city"] = city
    tool_context.state["user:home"] = city
    tool_context.state["app:asked"] = tool_context.state.get("app:asked", 0) + 1
    tool_context.state["temp:scratch"] = "gone soon"
    return {"weather": f"sunny in {city}"}


def call(city: str) -> types.Part:
    """Return a call of the weather."""
    return types.Part(function_call=types.FunctionCall(name="weather", args={"city": city}))


def runner_of(service: BaseSessionService, *script: Said, name: str = "guide", **options: Any) -> Runner:
    """Return a runner with one scripted agent."""
    agent = Agent(name=name, model=ScriptedModel(script=list(script)), instruction="Be brief.", tools=[weather])
    return Runner(agent=agent, app_name="trips", session_service=service, **options)


def model_of(runner: Runner) -> ScriptedModel:
    """Return the model of a runner's agent."""
    agent = runner.agent
    assert isinstance(agent, Agent)
    assert isinstance(agent.model, ScriptedModel)
    return agent.model


async def run(
    runner: Runner, text: str, *, user_id: str = "ada", session_id: str = "s1", config: RunConfig | None = None
) -> list[Event]:
    """Say something, and return what came of it."""
    message = types.UserContent(parts=[types.Part(text=text)])
    return [
        event
        async for event in runner.run_async(
            user_id=user_id, session_id=session_id, new_message=message, run_config=config
        )
    ]


def words(content: types.Content | None) -> str:
    """Return a content in a few words."""
    return " ".join(_words(part) for part in (content.parts or [] if content else []))


def _words(part: types.Part) -> str:
    if part.function_call:
        return f"{part.function_call.name}({part.function_call.args})"
    if part.function_response:
        return f"={part.function_response.response}"
    return part.text or "?"


def _content(parts: list[types.Part]) -> types.Content:
    return types.Content(role="model", parts=parts)
