"""Where `chat` reads what the user says: a terminal, or a pipe."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from langswarm_sessions.cli.output import notes, tell
from langswarm_sessions.errors import InvalidInputError

__all__ = ["Prompt", "is_text"]

_LABEL = "you › "
_STYLED = "\001\x1b[1;36m\002you › \001\x1b[0m\002"  # \001 and \002 tell readline what takes no room


def is_text(given: str) -> bool:
    """Whether bytes from outside were text in the encoding they were read in; Python passes others through, marked."""
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


class Prompt:
    """Reads one line at a time.

    Attributes:
        interactive: Whether a person sits at the other end.
    """

    def __init__(self) -> None:
        self.interactive = sys.stdin.isatty()
        self._lines_read = 0
        given = sys.stdin
        if isinstance(given, TextIOWrapper):
            given.reconfigure(errors="surrogateescape")  # so that what is no text is told as that, in any locale
        self._label = _LABEL
        if self.interactive and _enable_line_editing() and notes().color_system is not None:
            self._label = _STYLED

    def read(self) -> str | None:
        """Return the next line without the blanks around it; None when there are no more.

        Raises:
            InvalidInputError: The line is no text.
        """
        line = self._typed() if self.interactive else sys.stdin.readline() or None
        if line is None:
            return None
        self._lines_read += 1
        if not is_text(line):
            raise InvalidInputError(
                f"Line {self._lines_read} of standard input is no text in {sys.stdin.encoding.upper()}: "
                "convert it, for example with iconv."
            )
        return line.strip()

    def _typed(self) -> str | None:
        while True:
            try:
                return input(self._label)
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
