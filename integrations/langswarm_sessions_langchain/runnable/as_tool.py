"""A session as a tool of an agent."""

from __future__ import annotations

from typing import Any, cast

from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.tools.convert import convert_runnable_to_tool
from pydantic import BaseModel, RootModel

__all__ = ["argument_types", "text_tool"]


def text_tool(
    runnable: Runnable[Any, Any],
    args_schema: Any = None,
    *,
    name: str | None,
    description: str | None,
    arg_types: dict[str, type] | None,
) -> BaseTool:
    """Return a tool that hands its arguments to a Runnable and returns the text of its answer.

    Args:
        runnable: It answers with a message. Configs reach it: a tool takes its turn in the session its agent's config
            names.
        args_schema: A pydantic class of the arguments.
        name: Of the tool; None takes the Runnable's.
        description: What the model is told of it.
        arg_types: Types of the arguments by their names. Without either, the tool takes one text.
    """
    named = name or runnable.get_name()
    if args_schema is None:
        taken: Any = str if arg_types is None else dict
        runnable = runnable.with_types(input_type=taken)
    else:
        runnable = runnable.with_types(input_type=args_schema)
    return convert_runnable_to_tool(
        runnable | StrOutputParser(),
        name=named,
        description=description or f"Ask {named}, which remembers what it was asked before.",
        arg_types=arg_types,
    )


def argument_types(
    bound: Runnable[Any, Any] | None, *, input_key: str | None, history_key: str | None
) -> dict[str, type] | None:
    """Return what a tool is to be given when its Runnable takes a dict; None when it takes a text.

    Args:
        bound: The Runnable that answers: a prompt of its own may take more than the input.
        input_key: Key of the new messages.
        history_key: Key of the conversation so far, which nobody has to give.
    """
    if input_key is None:
        return None
    found: dict[str, type] = {input_key: str}
    schema = None if bound is None else bound.get_input_schema()
    if schema is None or not issubclass(schema, BaseModel) or issubclass(schema, RootModel):
        return found
    taken = {name: field for name, field in schema.model_fields.items() if field.is_required() and name != history_key}
    more = {name: cast("type", field.annotation or str) for name, field in taken.items()}
    return {**more, **found}
