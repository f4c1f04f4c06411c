"""Portable column types."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import JSON, BigInteger, ColumnElement, Dialect, LargeBinary, Select, select
from sqlalchemy.types import TypeDecorator

from langswarm_sessions.records import EXACT

__all__ = [
    "Dollars",
    "Payload",
    "PlainJSON",
    "UtcTime",
    "from_microseconds",
    "from_picodollars",
    "select_all",
    "to_microseconds",
    "to_picodollars",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

PlainJSON = JSON(none_as_null=True)

_PICO = -12


def to_microseconds(moment: datetime) -> int:
    """Return whole microseconds from the epoch to `moment` (aware); exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """Return the aware UTC time `count` microseconds after the epoch; exact."""
    return _EPOCH + timedelta(microseconds=count)


def to_picodollars(amount: Decimal | int) -> int:
    """Return whole millionths of a millionth of a dollar; exact for what has no more than twelve decimals."""
    return int(EXACT.scaleb(Decimal(amount), -_PICO).to_integral_value(context=EXACT))


def from_picodollars(count: int) -> Decimal:
    """Return the amount in dollars; exact, without needless zeros.

    Example:
        >>> from_picodollars(12_500_000)
        Decimal('0.0000125')
    """
    amount = EXACT.normalize(EXACT.scaleb(Decimal(count), _PICO))
    return amount if int(amount.as_tuple().exponent) <= 0 else amount.quantize(Decimal(1), context=EXACT)


def select_all(*columns: ColumnElement[Any]) -> Select[Any]:
    """Return a SELECT of many columns whose rows are read by position."""
    return cast("Select[Any]", select(*columns))


class UtcTime(TypeDecorator[datetime]):
    """An aware time, stored as whole microseconds since the epoch: exact, sortable, the same in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Return what is stored."""
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Return what is read."""
        return None if value is None else from_microseconds(value)


class Dollars(TypeDecorator[Decimal]):
    """An amount of US dollars, stored as whole picodollars: exact, and summed exactly by every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """Return what is stored."""
        return None if value is None else to_picodollars(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Decimal | None:
        """Return what is read."""
        return None if value is None else from_picodollars(value)


class Payload(TypeDecorator[bytes]):
    """Bytes that hold what users said: everything of a graph's state passes here, on its way in and out."""

    impl = LargeBinary
    cache_ok = True
