"""What a turn is started with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langswarm_sessions.interfaces.provider import EngineProvider
from langswarm_sessions.messages import SessionMessage, part_to_json
from langswarm_sessions.records import TurnOptions
from langswarm_sessions.tools import ToolRunning

__all__ = ["TurnInput", "input_digest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnInput:
    """New input for a session.

    Args:
        messages: The input, in order; roles user and tool, or whatever a caller wants stored as said now.
        instructions: This turn's instructions; stored only when they differ from those in force. None: unchanged.
        options: Tools and tool choice. None on tool results: those of the turn that made the calls.
        idempotency_key: Names the turn: the same key again returns its recorded answer.
        timeout: Seconds the turn may take, waiting in line included (None: the retry policy's deadline).
        stream: Whether a reader paces the turn.
        operation: What it is called on spans: send, stream or tool_results.
        provider: Answers this turn instead of the session's own provider.
        provider_config: What that provider is asked with (None: the session's).
        resume_failed: Rerun the session's newest turn in place if it failed with the same input.
        tools: Tools to run here until the model is done (None: calls are the caller's).
        continues: An answer whose calls are gone on with; there are no messages then.
    """

    messages: tuple[SessionMessage, ...]
    instructions: str | None = field(default=None, repr=False)
    options: TurnOptions = field(default_factory=TurnOptions)
    idempotency_key: str | None = None
    timeout: float | None = None
    stream: bool = False
    operation: str = "send"
    provider: EngineProvider | None = None
    provider_config: Mapping[str, Any] | None = field(default=None, repr=False)
    resume_failed: bool = False
    tools: ToolRunning | None = field(default=None, repr=False)
    continues: SessionMessage | None = field(default=None, repr=False)


def input_digest(messages: Sequence[SessionMessage]) -> str:
    """Return a digest of what was said, by which the same input is known again."""
    said = [[message.role, message.content, [part_to_json(part) for part in message.parts]] for message in messages]
    text = json.dumps(said, ensure_ascii=True, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
