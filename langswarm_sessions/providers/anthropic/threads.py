"""Message threads: which requests may continue one. Pure functions, but for the clock.

What a thread was created with stays with it: instructions and tools are not sent again, and the API refuses a request
that differs in model, thinking, tool choice or caching. A fingerprint of all that is kept with the thread's id, so that
a change is seen before anything is sent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from langswarm_sessions.ids import now
from langswarm_sessions.providers.anthropic.request import Body

__all__ = ["THREADS_BETA", "continued", "created", "fixed_settings", "is_over", "memo_of", "used_now"]

THREADS_BETA = "message-threads-2026-08-12"

_LIFETIME = timedelta(minutes=5)
_OF_THE_REQUEST = frozenset(
    {"max_tokens", "messages", "metadata", "stop_sequences", "stream", "system", "thread", "betas"}
)
_OF_THE_THREAD = frozenset({"system", "tools"})


def created(body: Body) -> Body:
    """Return a whole request as one that starts a thread."""
    return {**body, "thread": {"type": "create"}, "betas": [THREADS_BETA]}


def continued(body: Body, previous_message_id: str) -> Body:
    """Return a request as one that continues a thread: without what the thread holds."""
    own = {name: value for name, value in body.items() if name not in _OF_THE_THREAD}
    thread = {"type": "continue", "previous_message_id": previous_message_id}
    return {**own, "thread": thread, "betas": [THREADS_BETA]}


def memo_of(body: Body, instructions: str | None) -> dict[str, str]:
    """Return what to keep with a thread's id: what its next request must share, and when it was used."""
    return used_now({"fixed": _digest([instructions, _fixed(body)])})


def used_now(memo: Mapping[str, str]) -> dict[str, str]:
    """Return a memo of a thread that was used this moment: each answer lets it live on."""
    return {**memo, "used": now().isoformat()}


def is_over(memo: Mapping[str, str], current: Mapping[str, str]) -> bool:
    """Whether a request cannot continue a thread.

    Args:
        memo: What was kept with the thread's id; nothing is known of a thread without.
        current: `memo_of` the request.
    """
    if memo.get("fixed", current["fixed"]) != current["fixed"]:
        return True
    used = memo.get("used")
    return used is not None and _moments_apart(used, current["used"]) > _LIFETIME


def fixed_settings(body: Body) -> str:
    """Return a digest of the settings a request was refused a thread for; tools are none of them."""
    return _digest({name: value for name, value in _fixed(body).items() if name not in {"tool_choice", "tools"}})


def _fixed(body: Body) -> Body:
    return {name: value for name, value in body.items() if name not in _OF_THE_REQUEST}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _moments_apart(earlier: str, later: str) -> timedelta:
    return datetime.fromisoformat(later) - datetime.fromisoformat(earlier)
