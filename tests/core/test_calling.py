"""What users wrote is called with what it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langswarm_sessions.calling import accepted_arguments

SAID = {"content": "c", "role": "r", "metadata": "m", "history": "h"}

SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("content, role='user', metadata=None", {"content": "c", "role": "r", "metadata": "m"}),
    ("text", {"text": "c"}),
    ("text, who", {"text": "c", "who": "r"}),
    ("text, *, history", {"text": "c", "history": "h"}),
    ("text, verbose=False", {"text": "c", "verbose": False}),
    ("verbose=False", {"verbose": False}),
    ("verbose=False, /, content='', *, loud=False", {"verbose": False, "content": "c", "loud": False}),
    ("*said", {"said": ("c", "r", "m")}),
    ("text, verbose=False, *said", {"text": "c", "verbose": False, "said": ("r", "m")}),
    ("metadata, *said", {"metadata": "m", "said": ("c", "r")}),
    ("history, *said", {"history": "h", "said": ("c", "r", "m")}),
    ("text, *said, history=()", {"text": "c", "said": ("r", "m"), "history": "h"}),
    ("text, **said", {"text": "c", "said": {"role": "r", "metadata": "m"}}),
]


@pytest.mark.parametrize(("signature", "expected"), SHAPES)
def test_a_function_is_given_what_it_takes(signature: str, expected: dict[str, Any]) -> None:
    function: Callable[..., dict[str, Any]] = eval(f"lambda {signature}: locals()")
    positional, named = accepted_arguments(function, SAID, by_name_only=frozenset({"history"}))
    assert function(*positional, **named) == expected


def test_what_is_missing_is_not_made_up() -> None:
    def needs(first: str, second: str, /, third: str, *more: str) -> None: ...

    positional, named = accepted_arguments(needs, {"first": "1", "third": "3"})
    with pytest.raises(TypeError, match="missing"):
        needs(*positional, **named)
