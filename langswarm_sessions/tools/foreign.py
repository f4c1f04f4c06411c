"""Tools of other libraries, known by their face, as those of LangChain have it: a name, a schema and `ainvoke`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, cast

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import plain_mapping
from langswarm_sessions.tools.context import ToolContext
from langswarm_sessions.tools.threads import in_thread
from langswarm_sessions.tools.tool import Tool, checked_name

__all__ = ["ForeignTool", "InvokedTool", "foreign_tool", "is_foreign_tool"]


class InvokedTool(Protocol):
    """The face of a LangChain tool."""

    name: str
    description: str

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        """Run the tool on a tool call."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTool(Tool):
    """A tool that is given the call as a whole and answers with a tool message."""

    name: str
    description: str | None = field(repr=False)
    parameters: Mapping[str, Any] = field(repr=False)
    invoked: InvokedTool = field(repr=False)
    blocking: Callable[..., object] | None = field(default=None, repr=False)

    def checked(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments as they are: the tool checks them itself."""
        return arguments

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> object:
        """Invoke the tool; its run is told which session it belongs to.

        Raises:
            InvalidInputError: The tool says that it failed; the message is what it said.
        """
        call = {"type": "tool_call", "id": context.tool_call_id, "name": self.name, "args": dict(arguments)}
        named = {"session_id": context.session_id, "thread_id": context.session_id}
        config = {"metadata": named, "configurable": {**named, "user_id": context.user_id, "tool_context": context}}
        if self.blocking is None:
            answer = await self.invoked.ainvoke(call, config)
        else:
            answer = await in_thread(partial(self.blocking, call, config), name=f"tool {self.name}")
        content = getattr(answer, "content", answer)
        if getattr(answer, "status", "success") == "error":
            raise InvalidInputError(_text_of(content))
        return _text_of(content) if hasattr(answer, "content") else content


def is_foreign_tool(value: object) -> bool:
    """Whether a value has the face of a tool of another library."""
    if inspect.isclass(value) or not callable(getattr(value, "ainvoke", None)):
        return False
    return hasattr(value, "args_schema") or hasattr(value, "tool_call_schema")


def foreign_tool(value: InvokedTool, *, position: int) -> ForeignTool:
    """Return a tool of another library as one that can be run here.

    Args:
        value: The tool.
        position: Its place among the tools, for errors.

    Raises:
        InvalidInputError: It has no name a provider would take, or no schema.
    """
    where = f"tools[{position}]"
    name = checked_name(getattr(value, "name", None), where=where)
    description: object = getattr(value, "description", None)
    return ForeignTool(
        name=name,
        description=description if isinstance(description, str) and description else None,
        parameters=_schema_of(value, where=f"{where} ({name})"),
        invoked=value,
        blocking=_only_blocking(value),
    )


def _only_blocking(value: InvokedTool) -> Callable[..., object] | None:
    """Return how a LangChain tool without a coroutine of its own is invoked; None for one that has some.

    Its `ainvoke` would run it in the event loop's pool, where one that hangs holds up others and the program's end.
    """
    inherited = (getattr(type(value), name, None) for name in ("ainvoke", "_arun"))
    has_own = any(not getattr(method, "__module__", "").startswith("langchain_core.") for method in inherited)
    if has_own or getattr(value, "coroutine", None) is not None:
        return None
    return getattr(value, "invoke", None)


def _schema_of(value: object, *, where: str) -> dict[str, Any]:
    """Return the schema a model is given: without what the tool has injected, where it tells that apart."""
    schema: Any = getattr(value, "tool_call_schema", None)
    schema = getattr(value, "args_schema", None) if schema is None else schema
    make = getattr(schema, "model_json_schema", None)
    found: object = make() if callable(make) else schema
    if not isinstance(found, Mapping):
        raise InvalidInputError(f"{where} has no schema of its arguments (tool_call_schema or args_schema).")
    plain = plain_mapping(cast("object", found), field=where)
    plain.pop("title", None)
    plain.pop("description", None)  # it is the tool's, and told beside the schema
    return {"properties": {}, **plain, "type": "object"}


def _text_of(content: object) -> str:
    """Return the text of a tool message: a string, or blocks of which those with text count."""
    if isinstance(content, str):
        return content
    blocks = cast("Sequence[object]", content) if isinstance(content, list | tuple) else [content]
    return "\n".join(_block_text(block) for block in blocks)


def _block_text(block: object) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, Mapping):
        text = cast("Mapping[str, object]", block).get("text")
        if isinstance(text, str):
            return text
    return json.dumps(block, default=str)
