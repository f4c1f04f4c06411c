"""From a function's signature and docstring to the schema of its arguments, and from a model's arguments to values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.tools.context import ToolContext

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

__all__ = ["Arguments", "arguments_of", "told_mistakes"]

_Kind = inspect.Parameter


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a function takes.

    Args:
        description: What its docstring says of it.
        schema: JSON schema of what a model passes.
        context_parameter: The parameter that is given the ToolContext (None: there is none).
        positional: Names of parameters that take no keyword.
        model: Validates what a model passed; its field `p<i>` is the i-th name of `names`.
        names: The parameters a model passes, in order.
    """

    description: str | None
    schema: dict[str, Any] = field(repr=False)
    context_parameter: str | None
    positional: tuple[str, ...]
    model: type[BaseModel]
    names: tuple[str, ...]

    def validated(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as the annotations say; what was not given is left to the function's defaults.

        Raises:
            InvalidInputError: They do not fit; the message is for the model.
        """
        from pydantic import ValidationError

        try:
            checked = self.model.model_validate(dict(given))
        except ValidationError as error:
            raise InvalidInputError(told_mistakes(error)) from None
        fields = {f"p{index}": name for index, name in enumerate(self.names)}
        return {name: getattr(checked, key) for key, name in fields.items() if key in checked.model_fields_set}


def arguments_of(function: Callable[..., Any], *, where: str) -> Arguments:
    """Return what a function takes, read off its annotations and its docstring.

    Args:
        function: A plain or async function, method or object that can be called.
        where: What errors call it.

    Raises:
        InvalidInputError: A model could not be told what it takes; the message names the parameter.
    """
    hints = _hints(function, where=where)
    told, description = _docstring(function)
    context_parameter: str | None = None
    fields: dict[str, Any] = {}
    positional: list[str] = []
    names: list[str] = []
    for parameter in _parameters(function, where=where):
        hint = hints.get(parameter.name, Any)
        if parameter.kind is _Kind.VAR_KEYWORD:
            continue  # a model is not told of names nobody wrote down
        if parameter.kind is _Kind.VAR_POSITIONAL:
            raise InvalidInputError(f"{where} takes *{parameter.name}; a model passes arguments by name only.")
        if _is_context(hint):
            context_parameter = parameter.name
        else:
            fields[f"p{len(names)}"] = _field(parameter, hint, told.get(parameter.name))
            names.append(parameter.name)
        if parameter.kind is _Kind.POSITIONAL_ONLY:
            positional.append(parameter.name)
    model, schema = _model(fields, where=where)
    return Arguments(description, schema, context_parameter, tuple(positional), model, tuple(names))


def told_mistakes(error: ValidationError) -> str:
    """Return what is wrong with a model's arguments, without repeating them."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {item['msg']}" for item in found]
    return "The arguments do not fit the tool. " + "; ".join(lines)


def _parameters(function: Callable[..., Any], *, where: str) -> Iterable[inspect.Parameter]:
    try:
        return inspect.signature(function).parameters.values()
    except ValueError as error:  # as some functions written in C, such as max
        raise InvalidInputError(
            f"{where} has no signature that could be read. Wrap it in a function with named parameters."
        ) from error


def _hints(function: Callable[..., Any], *, where: str) -> dict[str, Any]:
    plain = inspect.unwrap(getattr(function, "func", function))  # behind a functools.partial
    target = plain if inspect.isroutine(plain) else type(plain).__call__
    try:
        return get_type_hints(target, include_extras=True)
    except Exception as error:  # an annotation is any expression, and may raise anything
        raise InvalidInputError(
            f"{where}: its annotations cannot be evaluated ({type(error).__name__}). Annotate with names that its "
            "module knows."
        ) from error


def _docstring(function: Callable[..., Any]) -> tuple[dict[str, str], str | None]:
    """Return what the docstring says of each parameter, and of the function."""
    from docstring_parser import parse

    plain: object = getattr(function, "func", function)
    text = inspect.getdoc(plain) if inspect.isroutine(plain) else inspect.getdoc(plain) or inspect.getdoc(type(plain))
    if not text:
        return {}, None
    parsed = parse(text)
    told = {item.arg_name: item.description for item in parsed.params if item.description}
    about = [part for part in (parsed.short_description, parsed.long_description) if part]
    return told, "\n\n".join(about) or None


def _is_context(hint: object) -> bool:
    return hint is ToolContext or any(inner is ToolContext for inner in get_args(hint))


def _field(parameter: inspect.Parameter, hint: Any, told: str | None) -> Any:
    from pydantic import Field

    given: dict[str, Any] = {"alias": parameter.name}
    notes = [item for item in get_args(hint)[1:] if isinstance(item, str)] if get_origin(hint) is Annotated else []
    if told or notes:
        given["description"] = told or notes[0]
    if parameter.default is not parameter.empty:
        given["default"] = parameter.default
    return hint, Field(**given)


def _model(fields: dict[str, Any], *, where: str) -> tuple[type[BaseModel], dict[str, Any]]:
    """Return the model of the arguments and its schema."""
    from pydantic import ConfigDict, PydanticUserError, create_model
    from pydantic.errors import PydanticSchemaGenerationError
    from pydantic.json_schema import GenerateJsonSchema

    class Untitled(GenerateJsonSchema):
        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - pydantic's own name

        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    try:
        config = ConfigDict(extra="forbid", defer_build=False)
        model = create_model("Arguments", __config__=config, **fields)
        schema = model.model_json_schema(by_alias=True, schema_generator=Untitled)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise InvalidInputError(
            f"{where}: a parameter has a type that has no JSON schema. Annotate it with JSON types, dataclasses or "
            "pydantic models (or with ToolContext)."
        ) from error
    schema.pop("title", None)
    return model, {**schema, "properties": schema.get("properties", {})}
