"""Ids that no other server issues."""

from __future__ import annotations

import itertools
import secrets


class IdSource:
    """Issues ids that no other server issues, in the APIs' spelling. Thread-safe."""

    def __init__(self) -> None:
        self._salt = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    def issue(self, prefix: str) -> str:
        """Return a new id such as ``resp_…`` or ``msg_…``."""
        return f"{prefix}_{self._salt}{next(self._numbers):032x}"
