"""A model of the OpenAI Agents SDK that answers from a script and records what it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Usage
from agents.items import TResponseInputItem, TResponseOutputItem, TResponseStreamEvent
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
)
from openai.types.responses.response_reasoning_item import Summary

QUIET = RunConfig(tracing_disabled=True)


def says(text: str, *, id: str = "msg_1") -> ResponseOutputMessage:
    """Return a text the model says."""
    block = ResponseOutputText(type="output_text", text=text, annotations=[], logprobs=[])
    return ResponseOutputMessage(id=id, type="message", role="assistant", status="completed", content=[block])


def thinks(text: str, *, id: str = "rs_1") -> ResponseReasoningItem:
    """Return reasoning the model shows."""
    return ResponseReasoningItem(id=id, type="reasoning", summary=[Summary(type="summary_text", text=text)])


def calls(name: str, arguments: str = "{}", *, call_id: str = "call_1") -> ResponseFunctionToolCall:
    """Return a call of a tool."""
    return ResponseFunctionToolCall(
        id=f"fc_{call_id}", type="function_call", call_id=call_id, name=name, arguments=arguments, status="completed"
    )


Reply = Sequence[TResponseOutputItem] | BaseException | Callable[[list[Any]], Sequence[TResponseOutputItem]]


class Scripted(Model):
    """Answers from a script, "answer <n>" beyond its end; raises what is an error in it."""

    def __init__(self, *script: Reply, pause: Callable[[], Any] | None = None) -> None:
        self.script = list(script)
        self.asked: list[list[Any]] = []
        self.pause = pause

    async def _next(self, input: str | list[TResponseInputItem]) -> list[TResponseOutputItem]:
        self.asked.append([input] if isinstance(input, str) else list(input))
        at = len(self.asked) - 1
        reply: Reply = self.script[at] if at < len(self.script) else [says(f"answer {at + 1}", id=f"msg_{at}")]
        if self.pause is not None:
            await self.pause()
        await asyncio.sleep(0)
        if isinstance(reply, BaseException):
            raise reply
        return list(reply(self.asked[-1]) if callable(reply) else reply)

    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any) -> ModelResponse:
        output = await self._next(input)
        usage = Usage(requests=1, input_tokens=3, output_tokens=2, total_tokens=5)
        return ModelResponse(output=output, usage=usage, response_id=None)

    async def stream_response(
        self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        output = await self._next(input)
        response = Response(
            id="resp_1",
            created_at=0,
            model="scripted",
            object="response",
            output=output,
            tool_choice="auto",
            tools=[],
            parallel_tool_calls=True,
        )
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=0)


def agent(model: Model, *, tools: Sequence[Any] = (), **more: Any) -> Agent[Any]:
    """Return an agent with a scripted model."""
    return Agent(name="guide", instructions="Be brief.", model=model, tools=list(tools), **more)
