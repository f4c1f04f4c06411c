"""Errors: the drawn tree is the real one, they survive pickling, and none shows content."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Callable

import pytest

from langswarm_sessions import errors
from langswarm_sessions.errors import (
    ConfigurationError,
    InvalidInputError,
    MissingDependencyError,
    ProviderError,
    SessionError,
)

LEAVES = [getattr(errors, name) for name in errors.__all__]
RETRYABLE = {
    "SessionBusyError",
    "RateLimitError",
    "ProviderTimeoutError",
    "ProviderUnavailableError",
    "IncompleteStreamError",
}


def drawn_parents() -> dict[str, str | None]:
    """Read class and parent off the tree in the module's docstring."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ([│├└─ ]*)(\w+Error)\b", line):
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            parents[match[2]] = path[depth - 1] if depth else None
    return parents


def test_the_drawn_tree_is_the_real_one() -> None:
    real = {leaf.__name__: None if leaf is SessionError else leaf.__bases__[0].__name__ for leaf in LEAVES}
    assert drawn_parents() == real


def test_every_error_of_the_module_is_public() -> None:
    defined = {
        name
        for name, item in vars(errors).items()
        if inspect.isclass(item) and issubclass(item, Exception) and item.__module__ == errors.__name__
    }
    assert defined == set(errors.__all__)


def test_foreign_bases() -> None:
    assert issubclass(InvalidInputError, ValueError)
    assert issubclass(MissingDependencyError, ImportError)
    assert not issubclass(ConfigurationError, ValueError)


@pytest.mark.parametrize("leaf", LEAVES)
def test_retryable_by_default_and_by_word(leaf: type[SessionError]) -> None:
    assert leaf("x").retryable is (leaf.__name__ in RETRYABLE)
    assert leaf("x", retryable=True).retryable is True
    assert leaf("x", retryable=False).retryable is False


def pickled(error: SessionError) -> SessionError:
    again: SessionError = pickle.loads(pickle.dumps(error))
    return again


@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize("copied", [pickled, copy.copy, copy.deepcopy])
def test_pickling_keeps_everything(leaf: type[SessionError], copied: Callable[[SessionError], SessionError]) -> None:
    error = leaf("what and what to do", session_id="s", provider="p", retryable=True)
    if isinstance(error, ProviderError):
        error.status_code, error.retry_after, error.request_id = 429, 1.5, "req"
    again = copied(error)
    assert type(again) is leaf
    assert again.args == error.args
    assert str(again) == "what and what to do"
    assert vars(again) == vars(error)


def test_attributes_never_show() -> None:
    error = ProviderError("refused", session_id="secret-session", provider="p", request_id="secret-request")
    assert "secret" not in str(error) + repr(error)
