"""What the mock provider remembers: a chain of immutable nodes, one for each answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from langswarm_sessions.errors import InvalidRequestError, NativeStateLostError
from langswarm_sessions.ids import new_id
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage, ToolCall, text_of

__all__ = [
    "Node",
    "NodeMemory",
    "answer_line",
    "calls_in",
    "check_tool_pairs",
    "estimate_text_tokens",
    "line_of",
]

_CHARACTERS_PER_TOKEN = 4
_NODES_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One answer and what led to it.

    Args:
        parent: The node it continued.
        lines: Role and text of the request's messages and the answer, in order.
        tokens: Tokens of the whole chain.
        open_calls: Ids of tool calls in the answer.
    """

    session_id: str
    parent: str | None
    lines: tuple[tuple[str, str], ...] = field(repr=False)
    tokens: int
    open_calls: frozenset[str] = frozenset()


class NodeMemory:
    """The nodes of one connection. They live as long as the process: a new one knows none of them.

    Of each session the newest thousand are kept.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._of_session: dict[str, deque[str]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def parent_of(self, request: ProviderRequest) -> Node | None:
        """Return the node a request continues, None when it starts anew.

        Raises:
            NativeStateLostError: The id was never issued here, or is forgotten.
        """
        if request.native is None:
            return None
        node = self._nodes.get(request.native.id)
        if node is None:
            raise NativeStateLostError(
                "mock: the conversation is gone; the mock provider forgets when its process ends.", provider="mock"
            )
        return node

    def add(self, node: Node) -> str:
        """Keep a node and return its id."""
        node_id = f"mocknode_{new_id()}"
        self._nodes[node_id] = node
        known = self._of_session.setdefault(node.session_id, deque())
        known.append(node_id)
        if len(known) > _NODES_KEPT:
            self.forget(known.popleft())
        return node_id

    def lines(self, node_id: str) -> list[tuple[str, str]]:
        """Return role and text of everything the model saw or said up to a node, oldest first."""
        links: list[tuple[tuple[str, str], ...]] = []
        at: str | None = node_id
        while at is not None and at in self._nodes:
            links.append(self._nodes[at].lines)
            at = self._nodes[at].parent
        return [line for lines in reversed(links) for line in lines]

    def forget(self, node_id: str) -> None:
        """Forget one node; unknown ones are no error."""
        self._nodes.pop(node_id, None)

    def forget_session(self, session_id: str) -> None:
        """Forget every node of a session."""
        for node_id in self._of_session.pop(session_id, ()):
            self.forget(node_id)


def check_tool_pairs(messages: Iterable[SessionMessage], open_calls: frozenset[str]) -> None:
    """Refuse, as providers do, a result without its call and a call without its result.

    Raises:
        InvalidRequestError: Calls and results do not fit together.
    """
    made, waiting = set(open_calls), set(open_calls)
    for message in messages:
        for result in message.tool_results:
            if result.tool_call_id not in made:
                raise _unpaired("a tool result has no tool call before it")
            waiting.discard(result.tool_call_id)
        made.update(_ids(message.tool_calls))
        waiting.update(_ids(message.tool_calls))
    if waiting:
        raise _unpaired("a tool call has no result")


def _ids(calls: Iterable[ToolCall]) -> Iterator[str]:
    return (call.id for call in calls)


def _unpaired(what: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"mock: {what}. Answer every tool call with send_tool_results.", provider="mock", status_code=400
    )


def estimate_text_tokens(text: str) -> int:
    """Return about how many tokens a text costs."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def line_of(message: SessionMessage) -> tuple[str, str]:
    """Return role and text of a message; tool results and calls as their text."""
    if message.role is Role.TOOL and message.tool_results:
        return message.role, "\n".join(result.content for result in message.tool_results)
    return message.role, message.content + _told(message.tool_calls)


def answer_line(completed: Completed) -> tuple[str, str]:
    """Return role and text of an answer."""
    calls = (part for part in completed.parts if isinstance(part, ToolCall))
    return Role.ASSISTANT, text_of(completed.parts) + _told(calls)


def calls_in(completed: Completed) -> frozenset[str]:
    """Return the ids of an answer's tool calls."""
    return frozenset(part.id for part in completed.parts if isinstance(part, ToolCall))


def _told(calls: Iterable[ToolCall]) -> str:
    return "".join(f"{call.name}({call.arguments})" for call in calls)
