"""The command line: `langswarm-sessions`."""

from __future__ import annotations

import sys

__all__ = ["main"]

_PACKAGES = frozenset({"click", "rich", "shellingham", "typer"})


def main() -> int:
    """Run the command line.

    Returns:
        The exit code: 0 when all went well, 1 when something failed, 2 for a call that makes no sense.
    """
    try:
        from langswarm_sessions.cli.app import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise
        print(
            f"langswarm-sessions: the command line needs the package {error.name!r}: "
            "pip install 'langswarm-sessions[cli]'",
            file=sys.stderr,
        )
        return 1
    return run()
