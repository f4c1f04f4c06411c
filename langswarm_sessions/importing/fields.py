"""Reading plain data field by field: what is wrong is told with the path of its field, never with what it holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar, cast

from langswarm_sessions.checks import check_name
from langswarm_sessions.config import finite_number
from langswarm_sessions.errors import ConfigurationError, ImportFormatError, InvalidInputError
from langswarm_sessions.ids import as_utc
from langswarm_sessions.messages import plain_mapping

__all__ = ["Fields", "list_at", "refused"]

T = TypeVar("T")

_LARGEST = 2**53  # beyond it, not every program that reads JSON keeps whole numbers
_LAST_YEAR = 9000  # what is reckoned with has to have times after it


@contextmanager
def refused(path: str = "") -> Generator[None]:
    """Let what is wrong with a value within be an ImportFormatError.

    Args:
        path: Put before what is raised, where that does not name the field.

    Raises:
        ImportFormatError: The value is wrong.
    """
    try:
        yield
    except (InvalidInputError, ConfigurationError) as error:
        raise ImportFormatError(f"{path}: {error}" if path else str(error)) from None


def list_at(value: object, path: str) -> list[Any]:
    """Return a list.

    Raises:
        ImportFormatError: It is none.
    """
    if not isinstance(value, list | tuple):
        raise ImportFormatError(f"{path} must be a list, not {type(value).__name__}.")
    return list(cast("list[Any]", value))


class Fields:
    """The fields of one object of the data.

    Args:
        value: The object.
        path: Where it is, such as "messages[3]"; empty for the whole.
        known: The names its fields may have; None: any.

    Raises:
        ImportFormatError: It is no object, or has a field of another name.
    """

    def __init__(self, value: object, path: str, *, known: Collection[str] | None = None) -> None:
        if not isinstance(value, Mapping):
            raise ImportFormatError(f"{path} must be an object, not {type(value).__name__}.")
        self._values = cast("Mapping[object, Any]", value)
        self._path = path
        if known is not None and (unknown := [name for name in self._values if name not in known]):
            raise ImportFormatError(
                f"{self.at(str(unknown[0])[:80])}: no such field; known: {', '.join(sorted(known))}. Remove it."
            )

    def at(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self._path}.{name}" if self._path else name

    def given(self, name: str) -> Any:
        """Return a field, None where it is missing."""
        return self._values.get(name)

    def needed(self, name: str) -> Any:
        """Return a field that must be there."""
        if self._values.get(name) is None:
            raise ImportFormatError(f"{self.at(name)} is missing. Give what session.export_conversation() wrote.")
        return self._values[name]

    def name(self, name: str, *, prefix: str = "") -> str:
        """Return a name that a user gives, which must be there, behind a prefix."""
        with refused():
            given = check_name(self.needed(name), field=self.at(name))
            return check_name(prefix + given, field=f"{self.at(name)} behind its prefix") if prefix else given

    def id(self, name: str) -> str | None:
        """Return an id of any form, if there is one."""
        value = self.text(name)
        if value == "":
            raise ImportFormatError(f"{self.at(name)} must be a non-empty string, or null.")
        return value

    def text(self, name: str) -> str | None:
        """Return text that can be stored, if there is any."""
        value = self.given(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise ImportFormatError(f"{self.at(name)} must be a string, not {type(value).__name__}.")
        try:
            value.encode()
            return value
        except UnicodeEncodeError:
            pass  # it holds the text, and so would an error raised from here
        raise ImportFormatError(f"{self.at(name)} holds half of a surrogate pair, which no encoding can store.")

    def mapping(self, name: str) -> dict[str, Any]:
        """Return a copy of an object of plain JSON; an empty one where it is missing."""
        value = self.given(name)
        if value is None or (isinstance(cast("object", value), Mapping) and not value):
            return {}
        with refused():
            return plain_mapping(value, field=self.at(name))

    def time(self, name: str, *, last_year: int = _LAST_YEAR) -> datetime:
        """Return a time, which must be there.

        Args:
            name: The field.
            last_year: Later ones are refused.
        """
        value = self.needed(name)
        try:
            moment = as_utc(datetime.fromisoformat(value)) if isinstance(value, str) else None
        except (ValueError, OverflowError, OSError):
            moment = None
        if moment is None or moment.year > last_year:
            raise ImportFormatError(f"{self.at(name)} must be a time in ISO 8601, such as '2026-01-31T12:00:00+00:00'.")
        return moment

    def count(self, name: str) -> int:
        """Return a whole number of at least 0; 0 where it is missing."""
        value = self.given(name)
        if value is None:
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
            raise ImportFormatError(f"{self.at(name)} must be a whole number of 0 to {_LARGEST}.")
        return value

    def number(self, name: str) -> float:
        """Return a number of at least 0; 0 where it is missing."""
        value = self.given(name)
        number = 0.0 if value is None else finite_number(value, at_most=_LARGEST)
        if number is None:
            raise ImportFormatError(f"{self.at(name)} must be a number of 0 to {_LARGEST}.")
        return number

    def read(self, name: str, reader: Callable[[Any], T], default: Any = None) -> T:
        """Return what `reader` makes of a field, or of `default` where it is missing.

        Args:
            name: The field.
            reader: Raises an InvalidInputError or a ConfigurationError for what is wrong.
            default: Stands for what is missing.
        """
        value = self.given(name)
        with refused(self.at(name)):
            return reader(default if value is None else value)
