"""From the arguments of a send to the engine's input."""

from __future__ import annotations

from collections.abc import Sequence

from langswarm_sessions.checks import check_count, check_name, check_seconds, check_text
from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import SessionMessage, ToolCall
from langswarm_sessions.records import ResponseFormat, ToolChoice, TurnOptions
from langswarm_sessions.tools import AnyTool, Toolbox, ToolRunning, turn_options
from langswarm_sessions.turns import TurnInput

__all__ = ["MAX_TOOL_ROUNDS", "Tools", "offered", "tools_to_run", "turn_input", "unanswerable"]

Tools = Sequence[AnyTool]

MAX_TOOL_ROUNDS = 10
"""How often, at most, a send runs tools and gives the model their results, unless it says otherwise."""


def turn_input(
    messages: Sequence[SessionMessage],
    *,
    options: TurnOptions,
    idempotency_key: str | None,
    timeout: float | None,
    instructions: str | None = None,
    stream: bool = False,
    operation: str | None = None,
    tools: ToolRunning | None = None,
    continues: SessionMessage | None = None,
) -> TurnInput:
    """Check the arguments of a send and return them in the engine's terms.

    Raises:
        InvalidInputError: An argument is wrong; the message names it.
    """
    return TurnInput(
        messages=tuple(messages),
        instructions=check_text(instructions, field="instructions"),
        options=options,
        idempotency_key=None if idempotency_key is None else check_name(idempotency_key, field="idempotency_key"),
        timeout=check_seconds(timeout, field="timeout"),
        stream=stream,
        operation=operation or ("stream" if stream else "send"),
        tools=tools,
        continues=continues,
    )


def offered(
    toolbox: Toolbox, tool_choice: ToolChoice | None, *, response_format: ResponseFormat | None = None
) -> TurnOptions:
    """Return what the model is offered, how it may choose, and the form its answer is to have."""
    return turn_options(toolbox.definitions, tool_choice, response_format=response_format)


def tools_to_run(
    toolbox: Toolbox, *, run_tools: bool, tool_timeout: float | None, max_tool_rounds: int
) -> ToolRunning | None:
    """Return how tools are run here; None when calls are the caller's.

    Raises:
        InvalidInputError: An argument is wrong; the message names it.
    """
    seconds = check_seconds(tool_timeout, field="tool_timeout")
    rounds = check_count(max_tool_rounds, field="max_tool_rounds")
    wanted: object = run_tools
    if not isinstance(wanted, bool):
        raise InvalidInputError("run_tools must be True or False.")
    if not wanted:
        return None
    return ToolRunning(toolbox=toolbox, timeout=seconds, max_rounds=rounds or MAX_TOOL_ROUNDS)


def unanswerable(results: Sequence[SessionMessage], *, calls: Sequence[ToolCall]) -> str | None:
    """Return why these results do not answer these calls, naming the entry; None when they do."""
    known = {call.id for call in calls}
    if not known:
        return "results: the last answer asks for no tool. Send results right after an answer with tool_calls."
    answered: set[str] = set()
    for position, message in enumerate(results):
        for result in message.tool_results:
            if result.tool_call_id not in known:
                return f"results[{position}]: 'tool_call_id' must be one of {', '.join(sorted(known))}."
            if result.tool_call_id in answered:
                return f"results[{position}]: call {result.tool_call_id!r} is answered twice. Send one result a call."
            answered.add(result.tool_call_id)
    return None
