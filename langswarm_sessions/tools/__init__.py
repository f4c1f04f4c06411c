"""Tools: what a model may call, described and run."""

from __future__ import annotations

from langswarm_sessions.tools.context import ToolContext
from langswarm_sessions.tools.offer import turn_options
from langswarm_sessions.tools.running import ToolOutcome, ToolRunning, run_call
from langswarm_sessions.tools.tool import Tool
from langswarm_sessions.tools.toolbox import AnyTool, Toolbox, toolbox_of

__all__ = [
    "AnyTool",
    "Tool",
    "ToolContext",
    "ToolOutcome",
    "ToolRunning",
    "Toolbox",
    "run_call",
    "toolbox_of",
    "turn_options",
]
