"""What is written, where, and in which form."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import datetime
from functools import cache
from io import TextIOWrapper
from typing import Any

from rich.console import Console
from rich.text import Text

from langswarm_sessions.ids import now

__all__ = [
    "ago",
    "clock_time",
    "counted",
    "notes",
    "open_closed_streams",
    "printable",
    "results",
    "size",
    "tell",
    "tell_error",
    "use_unicode",
    "write_json",
]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_UNESCAPED = re.compile(r"[\x7f-\x9f]")  # control characters that JSON leaves as they are
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))
_UNBOUNDED = 100_000  # columns


@cache
def results() -> Console:
    """Return the console for what a command was asked for: standard output. A pipe or a file has no width."""
    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = _UNBOUNDED
    return console


@cache
def notes() -> Console:
    """Return the console for everything beside the result: standard error."""
    return Console(stderr=True, highlight=False)


def open_closed_streams() -> None:
    """Let a standard stream that is closed be one to nowhere; else the next file to be opened takes its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def use_unicode() -> None:
    """Write a question mark for what the terminal's encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def printable(text: str) -> str:
    """Return `text` with control characters made visible, so that no message can steer the terminal.

    Example:
        >>> printable("plain")
        'plain'
    """
    return _CONTROL.sub("�", text.replace("\r\n", "\n"))


def tell(text: str | Text, *, style: str = "dim") -> None:
    """Write a note to standard error; as it is, without markup."""
    notes().print(text if isinstance(text, Text) else Text(printable(text), style=style))


def tell_error(message: str, *, remark: str | None = None) -> None:
    """Write one line that says what went wrong and what to do, to standard error.

    Args:
        message: The error's own message.
        remark: What else to say.
    """
    line = Text.assemble(("error: ", "bold red"), " ".join(printable(message).split()))
    notes().print(line.append(f" {remark}" if remark else "", style="dim"), soft_wrap=True)


def write_json(data: Any) -> None:
    """Write data as JSON to standard output, with control characters escaped."""
    text = json.dumps(data, ensure_ascii=False, indent=2)
    print(_UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def clock_time(moment: datetime) -> str:
    """Return a moment in local time, to the second.

    Args:
        moment: Any aware datetime.
    """
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(moment: datetime) -> str:
    """Return how long ago a moment was, in one unit.

    Args:
        moment: Any aware datetime.
    """
    seconds = (now() - moment).total_seconds()
    for unit_seconds, unit in _UNITS:
        if seconds >= unit_seconds:
            return f"{int(seconds // unit_seconds)} {unit} ago"
    return "just now"


def counted(count: int, noun: str) -> str:
    """Return a number with its noun.

    Example:
        >>> counted(1, "message"), counted(2, "message")
        ('1 message', '2 messages')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(byte_count: int) -> str:
    """Return a number of bytes for people.

    Example:
        >>> size(2048)
        '2.0 KiB'
    """
    amount = float(byte_count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
