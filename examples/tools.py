"""A model that calls functions of yours: run by the session, or by you. Run: python examples/tools.py"""

from __future__ import annotations

import asyncio

from langswarm_sessions import Session, ToolCall, ToolContext, ToolResult, create_session_manager


async def get_weather(city: str) -> dict[str, object]:
    """Tell the weather in a city.

    Args:
        city: The city's name.
    """
    return {"city": city, "sky": "sunny", "degrees": 24}  # here it never rains


def remind(what: str, context: ToolContext) -> str:
    """Remind the user of something.

    Args:
        what: What to remind of.
        context: Given by the session, not by the model.
    """
    return f"{context.user_id} will be reminded: {what}"


async def run_by_the_session(session: Session) -> None:
    # A real model decides by itself to call a tool; the mock is told to.
    session.provider_session.set_responses(
        [
            [
                ToolCall(id="call_1", name="get_weather", arguments={"city": "Lisbon"}),
                ToolCall(id="call_2", name="remind", arguments={"what": "sunglasses"}),
            ],
            "Take your sunglasses with you.",
        ]
    )
    reply = await session.send_message(
        "Do I need an umbrella in Lisbon?", tools=[get_weather, remind], run_tools=True, idempotency_key="request-1"
    )
    print(reply.content)


async def run_by_you(session: Session) -> None:
    session.provider_session.set_responses(
        [ToolCall(id="call_1", name="get_weather", arguments={"city": "Oslo"}), "Oslo is just as fine."]
    )
    reply = await session.send_message("And in Oslo?", tools=[get_weather])
    while reply.tool_calls:
        results: list[ToolResult] = []
        for call in reply.tool_calls:
            print(f"the model calls {call.name}({call.arguments})")
            results.append(ToolResult(tool_call_id=call.id, content=str(await get_weather(**call.arguments))))
        # Results continue the turn; the tools of the question are offered again.
        reply = await session.send_tool_results(results)
    print(reply.content)


async def main() -> None:
    async with create_session_manager(storage="memory") as manager:
        session = await manager.create_session("ada", "mock", "mock-model")
        await run_by_the_session(session)
        await run_by_you(session)
        # Calls and results are entries of the transcript like everything else.
        for message in await session.get_messages():
            calls = [call.name for call in message.tool_calls]
            returned = [result.content for result in message.tool_results]
            print(f"  {message.role:9} {message.content or calls or returned}")


asyncio.run(main())
