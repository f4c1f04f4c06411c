"""What a model is offered: checked at the door, by place."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.records import TurnOptions
from langswarm_sessions.tools import turn_options

WRONG_TOOLS: list[tuple[Any, str]] = [
    ("add", "tools must"),
    ({"name": "add"}, "tools must"),
    (5, "tools must"),
    ([5], r"tools\[0\] must"),
    ([{"name": "ok"}, {}], r"tools\[1\] needs"),
    ([{"name": ""}], r"tools\[0\] needs"),
    ([{"name": 5}], r"tools\[0\] needs"),
    ([{"type": "function", "function": {}}], r"tools\[0\] needs"),
    ([{"name": "add", "parameters": object()}], r"tools\[0\] must"),
    ([{"name": "add", "description": "\ud800"}], r"tools\[0\] holds"),
    ([{"name": "add", "description": 5}], r"tools\[0\] \(add\): its description"),
    ([{"name": "a b"}], r"tools\[0\]: a tool's name"),
    ([{"name": "ok"}, {"type": "function", "function": {"name": "ä"}}], r"tools\[1\]: a tool's name"),
    ([{"name": "x" * 129}], r"tools\[0\]: a tool's name"),
    ([{"name": "add", "parameters": [1]}], r"tools\[0\] \(add\): parameters must be a JSON schema of type 'object'"),
    ([{"name": "add", "parameters": {"type": "string"}}], r"parameters must be a JSON schema of type 'object'"),
    ([{"name": "add", "input_schema": {"type": "array"}}], r"parameters must be a JSON schema of type 'object'"),
]


@pytest.mark.parametrize(("tools", "field"), WRONG_TOOLS)
def test_wrong_tools_are_named(tools: Any, field: str) -> None:
    with pytest.raises(InvalidInputError, match=field):
        turn_options(tools, None)


@pytest.mark.parametrize("choice", [5, ["auto"], "", {1: 2}, {"name": object()}])
def test_a_wrong_tool_choice_is_named(choice: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^tool_choice must"):
        turn_options(None, choice)


WRONG_SCHEMAS: list[tuple[Any, str]] = [
    ({"properties": {"x": {"type": "strnig"}}}, r"parameters.properties.x.type is no JSON schema: there are the types"),
    ({"properties": {"x": {"type": ["string", "nil"]}}}, r"parameters.properties.x.type is no JSON schema: there are"),
    ({"properties": {"x": {"items": {"type": 5}}}}, r"parameters.properties.x.items.type is no JSON schema"),
    ({"properties": {"x": {"anyOf": [{"type": "null"}, {"type": "x"}]}}}, r"properties.x.anyOf\[1\].type"),
    ({"properties": {"x": {"anyOf": {"type": "null"}}}}, r"properties.x.anyOf is no JSON schema: .* 'array'"),
    ({"properties": {"x": "string"}}, r"parameters.properties.x is no JSON schema"),
    ({"properties": ["x"]}, r"parameters.properties is no JSON schema"),
    ({"$defs": {"x": {"enum": "a"}}}, r"parameters.*defs.*x.enum is no JSON schema"),
    ({"required": "x"}, r"parameters.required is no JSON schema"),
    ({"required": [5]}, r"parameters.required\[0\] is no JSON schema"),
    ({"additionalProperties": "no"}, r"parameters.additionalProperties is no JSON schema"),
]


@pytest.mark.parametrize(("schema", "place"), WRONG_SCHEMAS)
def test_what_is_no_schema_is_named_by_place(schema: Any, place: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^tools\[0\] \(add\): " + f".*{place}"):
        turn_options([{"name": "add", "parameters": {"type": "object", **schema}}], None)
    with pytest.raises(InvalidInputError, match=r"^response_format: schema[.\[]"):
        turn_options(None, None, response_format={"name": "sum", "schema": schema})


RIGHT_SCHEMAS: list[Any] = [
    {},
    {"type": "object"},
    {"type": ["object"]},
    {"properties": {"x": True, "y": {"type": ["string", "null"], "enum": ["a", None]}}, "required": ["x"]},
    {"properties": {"type": {"type": "string"}, "required": {"const": 1}}, "additionalProperties": False},
    {"properties": {"x": {"items": [{"type": "integer"}], "prefixItems": [{}]}}, "x-own": "word"},
    {"properties": {"x": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"oneOf": [{"type": "number"}, {"not": {}}]}}},
]


@pytest.mark.parametrize("schema", RIGHT_SCHEMAS)
def test_what_is_a_schema_is_taken_as_it_is(schema: Any) -> None:
    options = turn_options([{"name": "files.read", "parameters": schema}], None)
    assert options.tools[0]["parameters"] == schema


ADD, FIND = {"name": "add"}, {"type": "function", "function": {"name": "find"}}
SEARCH = {"type": "web_search"}


@pytest.mark.parametrize(
    ("tools", "choice", "problem"),
    [
        ([ADD, FIND], "nope", r"tool_choice: 'nope' is not among the tools: add, find\."),
        ([ADD], {"type": "function", "function": {"name": "find"}}, "'find' is not among the tools: add"),
        ([ADD], {"type": "tool", "name": "find"}, "'find' is not among the tools: add"),
        ([ADD], {"name": ""}, "must name a function"),
        (None, "add", "there are no tools"),
        (None, "required", "there are no tools"),
        ([], "any", "there are no tools"),
    ],
)
def test_a_choice_nothing_fulfils_is_refused(tools: Any, choice: Any, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        turn_options(tools, choice)


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        ([ADD, FIND], "find"),
        ([ADD, FIND], {"type": "function", "name": "add"}),
        ([ADD], "any"),
        ([ADD], {"type": "allowed_tools", "mode": "auto", "tools": []}),
        ([SEARCH], "required"),
        ([ADD, SEARCH], "web_search"),
        ([ADD, SEARCH], {"type": "web_search"}),
        (None, "none"),
        (None, "auto"),
        (None, {"type": "web_search"}),
    ],
)
def test_any_other_choice_is_passed_on(tools: Any, choice: Any) -> None:
    assert turn_options(tools, choice).tool_choice == choice


def test_right_tools_are_copied_and_lead_back_through_json() -> None:
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    options = turn_options([tool, SEARCH], {"type": "function", "name": "add"})
    tool["type"] = "edited"
    assert options.tools[0]["type"] == "function"
    assert TurnOptions.from_json(options.to_json()) == options
    assert TurnOptions.from_json(None) == turn_options(None, None) == TurnOptions()
