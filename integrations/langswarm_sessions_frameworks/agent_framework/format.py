"""Agent Framework's messages as rows of a session, and rows as its messages. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, ClassVar

from agent_framework import Message

from langswarm_sessions.messages import MessageKind, Part, Role, SessionMessage
from langswarm_sessions_frameworks.agent_framework.contents import contents_of, parts_of
from langswarm_sessions_frameworks.formats import Fate, ItemFormat, Understood, converted
from langswarm_sessions_frameworks.parts import is_portable, plain_values

__all__ = ["AGENT_FRAMEWORK", "MessageFormat"]

_ROLES = {"assistant": Role.ASSISTANT, "system": Role.SYSTEM, "developer": Role.SYSTEM, "tool": Role.TOOL}
_FOREIGN = converted("it means nothing to others; a text says that it was there")
_RESULTS_ALONE = converted("a tool's message holds results alone: it stands within the last of them")


class MessageFormat(ItemFormat[Message]):
    """Messages of Agent Framework: one a row, whole but for `raw_representation`, which is a provider's live object."""

    name: ClassVar[str] = "agent-framework"

    def dump(self, item: Message) -> Any:
        """Return a message as plain JSON, as the framework's own stores write it."""
        return plain_values(item.to_dict())

    def load(self, data: Any) -> Message:
        """Return the message that `dump` wrote.

        Raises:
            ValueError: This version of the framework cannot read it.
        """
        try:
            return Message.from_dict(deepcopy(data))  # what is read back must not reach the row
        except TypeError as error:
            raise ValueError("written by another version of Agent Framework") from error

    def understand(self, data: Sequence[Any]) -> Understood:
        """Return what a message says."""
        message: Mapping[str, Any] = data[0]
        role = _ROLES.get(str(message.get("role")), Role.USER)
        parts = parts_of(message.get("contents") or ())
        name = message.get("author_name")
        return Understood(
            role=role,
            parts=parts,
            metadata={"name": name} if name else {},
            provider_metadata=_usage(message) if role is Role.ASSISTANT else {},
            provider_message_id=message.get("message_id") if role is Role.ASSISTANT else None,
        )

    def build(self, message: SessionMessage) -> Sequence[Message]:
        """Return a message of another origin as Agent Framework's; none when nothing of it can be said."""
        if message.kind is MessageKind.INSTRUCTIONS:
            return []
        contents = contents_of(message.parts)
        if not contents:
            return []
        role = "user" if message.role is Role.TOOL and not message.tool_results else message.role.value
        name = message.metadata.get("name")
        return [
            Message(
                role,
                contents,
                author_name=name if isinstance(name, str) and name else None,
                message_id=message.message_id or None,
            )
        ]

    def fate(self, message: SessionMessage, part: Part) -> Fate:
        """Return what becomes of a part of a message that is built."""
        if message.kind is not MessageKind.INSTRUCTIONS:
            if part.type in self.takes and not is_portable(part):
                return _FOREIGN
            if message.tool_results and part.type != "tool_result" and part.type not in ("reasoning", "other"):
                return _RESULTS_ALONE
        return super().fate(message, part)


AGENT_FRAMEWORK = MessageFormat()
"""The one object of its kind."""


def _usage(message: Mapping[str, Any]) -> dict[str, Any]:
    counted: list[Mapping[str, Any]] = [
        content.get("usage_details") or {}
        for content in message.get("contents") or ()
        if content.get("type") == "usage"
    ]
    if not counted:
        return {}
    names = {
        "input_tokens": "input_token_count",
        "output_tokens": "output_token_count",
        "total_tokens": "total_token_count",
    }
    return {"usage": {ours: sum(int(each.get(theirs) or 0) for each in counted) for ours, theirs in names.items()}}
