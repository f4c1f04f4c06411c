"""Structured output of a SessionChatModel: the answer's text, or a tool call, as an object."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.output_parsers import (
    BaseOutputParser,
    JsonOutputKeyToolsParser,
    JsonOutputParser,
    PydanticOutputParser,
    PydanticToolsParser,
)
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_openai_function
from langchain_core.utils.pydantic import is_basemodel_subclass

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions_langchain.chat_model.call import wire_tool

__all__ = ["METHODS", "Method", "structured"]

Method = Literal["json_schema", "function_calling", "json_mode"]
METHODS: tuple[Method, ...] = ("json_schema", "function_calling", "json_mode")


def structured(
    model: BaseChatModel,
    schema: Mapping[str, Any] | type,
    *,
    method: Method,
    include_raw: bool,
    strict: bool | None,
    bound: Mapping[str, Any],
) -> Runnable[LanguageModelInput, Any]:
    """Return a Runnable that asks a model for an object.

    Args:
        model: The model.
        schema: A pydantic class, a TypedDict class, or a JSON schema with a title.
        method: How the model is asked: `json_schema` gives it the schema as the form of its answer, `function_calling`
            as a tool it must call, `json_mode` asks for JSON only (say in words what it should hold).
        include_raw: Return a dict with the message (`raw`), the object (`parsed`) and what went wrong in between
            (`parsing_error`).
        strict: Whether the schema must be followed to the letter; None leaves it to the provider.
        bound: More keyword arguments of each call.

    Raises:
        InvalidInputError: The method is none of these.
    """
    if method not in METHODS:
        raise InvalidInputError(f"method must be one of {', '.join(METHODS)}.")
    asked = {**_asked(schema, method=method, strict=strict), **bound}
    told = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
    if method == "json_mode":
        told = {"kwargs": {"method": method}, "schema": schema}
    answering = model.bind(**asked, ls_structured_output_format=told)
    parser = _parser(schema, method=method)
    if not include_raw:
        return answering | parser
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=answering) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def _asked(schema: Mapping[str, Any] | type, *, method: Method, strict: bool | None) -> dict[str, Any]:
    if method == "json_mode":
        return {"response_format": {"type": "json_object"}}
    if method == "function_calling":
        tool = wire_tool(schema, strict=strict)
        return {"tools": [tool], "tool_choice": tool["function"]["name"], "parallel_tool_calls": False}
    function = convert_to_openai_function(schema, strict=strict)
    form = {"name": function["name"], "schema": function.get("parameters", {})}
    if function.get("description"):
        form["description"] = function["description"]
    if strict is not None:
        form["strict"] = strict
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def _parser(schema: Any, *, method: Method) -> BaseOutputParser[Any]:
    is_class = isinstance(schema, type) and is_basemodel_subclass(schema)
    if method == "function_calling":
        if is_class:
            return PydanticToolsParser(tools=[schema], first_tool_only=True)
        name = wire_tool(schema)["function"]["name"]
        return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)
    if not is_class:
        return JsonOutputParser()
    parser: BaseOutputParser[Any] = PydanticOutputParser[Any](pydantic_object=schema)
    return parser
