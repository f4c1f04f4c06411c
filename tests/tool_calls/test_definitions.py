"""What a model is told of a tool: names, descriptions and schemas read off functions, LangChain tools and JSON."""

from __future__ import annotations

import functools
import gc
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from langchain_core.tools import InjectedToolArg, StructuredTool, tool
from pydantic import BaseModel, Field

from langswarm_sessions import InvalidInputError, ToolContext
from langswarm_sessions.tools import AnyTool, functions, toolbox_of


@dataclass
class Place:
    city: str


class Wish(BaseModel):
    text: str = Field(max_length=3)


def weather(
    city: str,
    days: int = 3,
    unit: Literal["C", "F"] = "C",
    *,
    place: Place | None = None,
    note: Annotated[str, "anything else"] = "",
    context: ToolContext,
) -> str:
    """Tell the weather.

    Only for places on earth.

    Args:
        city: Which city.
        days: How many days,
            today included.
        context: Where it is called.
    """
    return f"{city} {days} {unit} {place} {note} {context.session_id}"


def definition(function: AnyTool) -> dict[str, Any]:
    [found] = toolbox_of([function]).definitions
    return dict(found)


def test_a_function_is_described_by_its_signature_and_docstring() -> None:
    told = definition(weather)
    assert told["name"] == "weather"
    assert told["description"] == "Tell the weather.\n\nOnly for places on earth."
    schema = told["parameters"]
    assert schema["required"] == ["city"]
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == ["city", "days", "unit", "place", "note"], "the context is not the model's"
    assert schema["properties"]["city"] == {"type": "string", "description": "Which city."}
    assert schema["properties"]["days"]["description"].startswith("How many days,")
    assert schema["properties"]["days"]["default"] == 3
    assert schema["properties"]["unit"]["enum"] == ["C", "F"]
    assert schema["properties"]["note"]["description"] == "anything else"
    assert schema["$defs"]["Place"]["properties"] == {"city": {"type": "string"}}
    assert "title" not in schema


def test_field_notes_of_pydantic_are_kept() -> None:
    def pick(number: Annotated[int, Field(ge=1, le=6, description="of a die")]) -> int:
        return number

    assert definition(pick)["parameters"]["properties"]["number"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 6,
        "description": "of a die",
    }
    assert "description" not in definition(pick)


def test_names_a_model_class_has_itself_are_names_like_others() -> None:
    def odd(schema: str, json: int, model_config: bool, _hidden: str = "x") -> str:
        return f"{schema}{json}{model_config}{_hidden}"

    assert list(definition(odd)["parameters"]["properties"]) == ["schema", "json", "model_config", "_hidden"]


def test_what_has_no_signature_of_its_own_is_understood() -> None:
    class Clock:
        """Tells the time."""

        def __call__(self, zone: str) -> str:
            return zone

        def of(self, zone: str) -> str:
            """Of a zone."""
            return zone

    assert definition(Clock())["name"] == "Clock"
    assert definition(Clock())["description"] == "Tells the time."
    assert list(definition(Clock().of)["parameters"]["properties"]) == ["zone"]
    bound = definition(functools.partial(weather, "Rome"))
    assert bound["name"] == "weather"
    assert "city" not in bound["parameters"]["properties"]
    assert definition(lambda_named("nothing_asked"))["parameters"]["properties"] == {}


def test_a_schema_is_built_once_for_a_function_and_forgotten_with_it() -> None:
    class Clock:
        def of(self, zone: str) -> str:
            return zone

    gc.collect()
    before = len(functions._known)
    tools: list[Any] = [lambda_named("once"), Clock()]
    first, again = (toolbox_of([tools[0], tools[1].of]).runnable for _ in range(2))
    assert [first[name].parameters is again[name].parameters for name in ("once", "of")] == [True, True]
    assert len(functions._known) == before + 2
    tools.clear()
    del first, again, Clock
    gc.collect()
    assert len(functions._known) == before


def lambda_named(name: str) -> Callable[[], str]:
    def function() -> str:
        return name

    function.__name__ = name
    return function


def test_langchain_tools_are_known_by_their_face() -> None:
    @tool
    def multiply(a: int, b: int, secret: Annotated[str, InjectedToolArg]) -> int:
        """Multiply two numbers."""
        return a * b + len(secret)

    told = definition(multiply)
    assert told["name"] == "multiply"
    assert told["description"] == "Multiply two numbers."
    assert set(told["parameters"]["properties"]) == {"a", "b"}, "what is injected is not the model's"
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    plain = StructuredTool(name="search", description="Search.", args_schema=schema, func=str)
    assert definition(plain)["parameters"]["properties"] == {"q": {"type": "string"}}


def test_json_definitions_are_offered_as_they_are() -> None:
    given = {"type": "function", "function": {"name": "stars", "parameters": {"type": "object"}}}
    hosted = {"type": "web_search"}
    box = toolbox_of([given, weather, hosted])
    assert [dict(told) for told in box.definitions][::2] == [given, hosted]
    assert box.offered == {"stars"}
    assert box.names == ("weather", "stars")


def _unknown_annotation(x: str) -> str:
    return x


_unknown_annotation.__annotations__["x"] = "Nowhere"


_nameless: Callable[[Any], Any] = lambda x: x  # noqa: E731 - a lambda is what is meant


def _no_json(x: Callable[[], int]) -> str:
    return str(x)


def _starred(*words: str) -> str:
    return str(words)


def _generates(x: int) -> Any:
    yield x


class _Opaque:
    pass


def _opaque(thing: _Opaque) -> str:
    return str(thing)


REFUSED: list[tuple[Any, str]] = [
    ("weather", "tools must be a list"),
    ([weather, 5], r"tools\[1\] must be a function, a LangChain tool or a JSON"),
    ([Wish], r"tools\[0\] must be a function"),
    ([_nameless], r"tools\[0\]: a tool's name must have.*'<lambda>'"),
    ([_unknown_annotation], r"tools\[0\] \(_unknown_annotation\): its annotations cannot be evaluated"),
    ([_no_json], r"tools\[0\] \(_no_json\): a parameter has a type that has no JSON schema"),
    ([_opaque], r"tools\[0\] \(_opaque\): a parameter has a type that has no JSON schema"),
    ([_starred], r"takes \*words"),
    ([weather, max], r"tools\[1\] \(max\) has no signature"),
    ([min], r"tools\[0\] \(min\) has no signature"),
    ([math.hypot], r"tools\[0\] \(hypot\) "),
    ([_generates], r"tools\[0\] yields"),
    ([weather, weather], r"tools\[1\]: another tool is called 'weather'"),
    ([weather, {"name": "weather", "parameters": {}}], r"tools\[1\]: another tool"),
    ([{"name": "a"}, {"name": "a"}], r"tools\[1\]: another tool"),
    ([{"parameters": {}}], r"tools\[0\] needs a 'name'"),
    ([{"name": "x", "parameters": []}], r"tools\[0\] \(x\): parameters must be a JSON schema"),
]


@pytest.mark.parametrize(("tools", "problem"), REFUSED)
def test_what_is_no_tool_is_refused_by_place(tools: Any, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        toolbox_of(tools)
