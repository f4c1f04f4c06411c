"""Running one call: from what a model asked for to the result it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from langswarm_sessions.calling import is_cancelled
from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import ToolCall, ToolResult
from langswarm_sessions.tools.arguments import told_mistakes
from langswarm_sessions.tools.context import ToolContext
from langswarm_sessions.tools.results import failed, returned, unknown
from langswarm_sessions.tools.toolbox import Toolbox
from langswarm_sessions_otel import error_type_of

__all__ = ["ToolOutcome", "ToolRunning", "run_call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRunning:
    """How the tools of a send are run.

    Args:
        toolbox: The tools.
        timeout: Seconds one call may take (None: no limit but the send's).
        max_rounds: How often, at most, the model is given results within the send.
    """

    toolbox: Toolbox
    timeout: float | None = None
    max_rounds: int = 10


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """A call's result, and what went wrong in the words of telemetry (None: nothing)."""

    result: ToolResult
    error_type: str | None = None


async def run_call(
    call: ToolCall, running: ToolRunning, make_context: Callable[[ToolCall], ToolContext]
) -> ToolOutcome:
    """Run one call. Whatever goes wrong within the tool becomes a result the model can act on.

    Args:
        call: What the model asks for.
        running: The tools and their bounds.
        make_context: Returns what the tool may ask for.
    """
    tool = running.toolbox.runnable.get(call.name)
    if tool is None:
        return ToolOutcome(unknown(call, running.toolbox.names), "UnknownTool")
    if call.raw_arguments is not None:
        told = "The arguments do not fit the tool. They must be one JSON object."
        return ToolOutcome(failed(call, told), "InvalidArguments")
    try:
        arguments = tool.checked(call.arguments)
    except InvalidInputError as error:
        return ToolOutcome(failed(call, str(error)), "InvalidArguments")
    context = make_context(call)
    limit = asyncio.timeout(running.timeout)
    try:
        async with limit:
            value = await tool.run(arguments, context)
        return ToolOutcome(returned(call, value))
    except TimeoutError as error:
        if not limit.expired():
            return _raised(call, error)
        told = f"The tool did not finish within {running.timeout:g} s. Do without it, or ask it for less."
        return ToolOutcome(failed(call, told), "TimeoutError")
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        return _raised(call, error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's tool may raise anything: the model is told
        return _raised(call, error)


def _raised(call: ToolCall, error: BaseException) -> ToolOutcome:
    return ToolOutcome(failed(call, _told(error)), error_type_of(error))


def _told(error: BaseException) -> str:
    from pydantic import ValidationError

    if isinstance(error, InvalidInputError):
        return str(error)
    if isinstance(error, ValidationError):
        return told_mistakes(error)
    return f"{type(error).__name__}: {_text_of(error)}"


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a tool's own exception class, whose text may be broken: its name is told
        return "(its text cannot be read)"
