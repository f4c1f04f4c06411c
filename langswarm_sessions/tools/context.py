"""What a tool may ask for: where it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langswarm_sessions.session import Session

__all__ = ["ToolContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """The session a tool is called in. A tool gets it in the parameter it annotates with this class.

    The model is not told of that parameter. Reading the session and changing its context is fine from within a tool;
    a turn or handoff would wait for the very turn that waits for the tool, and is refused with SessionBusyError.

    Args:
        session: The session, to be used with `await`.
        session_id: Its id.
        user_id: Whose conversation it is.
        turn_id: The turn whose answer made the call.
        tool_call_id: The call.
        user_context: A snapshot of the values set with `session.update_context`.

    Example:
        >>> async def favourite(kind: str, context: ToolContext) -> str:
        ...     return context.get(kind, "unknown")
    """

    session: Session = field(repr=False)
    session_id: str
    user_id: str
    turn_id: str
    tool_call_id: str
    user_context: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the user's value stored under `key`, or `default`."""
        return self.user_context.get(key, default)
