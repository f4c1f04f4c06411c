"""A model that calls a function of yours. Run: python examples/tools.py"""

from __future__ import annotations

import asyncio

from langswarm_sessions import ToolCall, ToolResult, create_session_manager

# What the model may call, as a JSON function definition.
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def get_weather(city: str) -> str:
    """Look it up; here it never rains."""
    return f"Sunny and 24 degrees in {city}"


async def main() -> None:
    async with create_session_manager(storage="memory") as manager:
        session = await manager.create_session("ada", "mock", "mock-model")
        # A real model decides by itself to call a tool; the mock is told to.
        session.provider_session.set_responses(
            [ToolCall(id="call_1", name="get_weather", arguments={"city": "Lisbon"}), "Take your sunglasses with you."]
        )

        reply = await session.send_message("Do I need an umbrella in Lisbon?", tools=[WEATHER])
        while reply.tool_calls:
            results: list[ToolResult] = []
            for call in reply.tool_calls:
                print(f"the model calls {call.name}({call.arguments})")
                results.append(ToolResult(tool_call_id=call.id, content=get_weather(**call.arguments)))
            # Results continue the turn; the tools of the question are offered again.
            reply = await session.send_tool_results(results)
        print(reply.content)

        # Calls and results are entries of the transcript like everything else.
        for message in await session.get_messages():
            calls = [call.name for call in message.tool_calls]
            returned = [result.content for result in message.tool_results]
            print(f"  {message.role:9} {message.content or calls or returned}")


asyncio.run(main())
