"""Making what a run is given well-formed, never what is stored. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent_framework import Content, Message

from langswarm_sessions.window import INTERRUPTED_RESULT

__all__ = ["with_interrupted"]


def with_interrupted(history: Sequence[Message], inputs: Sequence[Message]) -> list[Message]:
    """Return a history in which each call has a result: one that nobody answers says that it was interrupted.

    Providers refuse a conversation with a call that has no result, such as a run leaves that was killed.

    Args:
        history: What was said before, in order.
        inputs: What the run is given; calls it answers, or approves, are left as they are.
    """
    settled = set(_settled(content for message in (*history, *inputs) for content in message.contents))
    whole: list[Message] = []
    for message in history:
        whole.append(message)
        left = [
            Content.from_function_result(content.call_id, result=INTERRUPTED_RESULT, exception=INTERRUPTED_RESULT)
            for content in message.contents
            if content.type == "function_call"
            and not content.informational_only
            and content.call_id
            and content.call_id not in settled
        ]
        if left:
            # Marked as history, as the message is: it is not taken for an input, and not stored.
            whole.append(Message("tool", left, additional_properties=dict(message.additional_properties)))
    return whole


def _settled(contents: Iterable[Content]) -> Iterable[str | None]:
    for content in contents:
        if content.type == "function_result":
            yield content.call_id
        elif content.type in ("function_approval_request", "function_approval_response") and content.function_call:
            yield content.function_call.call_id
