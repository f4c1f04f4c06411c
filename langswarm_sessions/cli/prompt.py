"""Where `chat` reads what the user says: a terminal, or a pipe."""

from __future__ import annotations

import sys

from langswarm_sessions.cli.output import notes, tell

__all__ = ["Prompt"]

_LABEL = "you › "
_STYLED = "\001\x1b[1;36m\002you › \001\x1b[0m\002"  # \001 and \002 tell readline what takes no room


class Prompt:
    """Reads one line at a time.

    Attributes:
        interactive: Whether a person sits at the other end.
    """

    def __init__(self) -> None:
        self.interactive = sys.stdin.isatty()
        self._label = _LABEL
        if self.interactive and _enable_line_editing() and notes().color_system is not None:
            self._label = _STYLED

    def read(self) -> str | None:
        """Return the next line without the blanks around it; None when there are no more."""
        if not self.interactive:
            line = sys.stdin.readline()
            return line.strip() if line else None
        while True:
            try:
                return input(self._label).strip()
            except EOFError:
                notes().print()
                return None
            except KeyboardInterrupt:
                notes().print()
                tell("Ctrl-D or /exit leaves.")


def _enable_line_editing() -> bool:
    """Let the arrow keys edit and recall lines, where Python was built with that."""
    try:
        import readline
    except ImportError:
        return False
    return bool(readline)
