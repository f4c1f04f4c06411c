"""Arguments at the public door."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.checks import (
    check_count,
    check_days,
    check_moment,
    check_name,
    check_seconds,
    check_status,
    check_strategy,
    check_text,
    check_wait,
)
from langswarm_sessions.config import Strategy
from langswarm_sessions.errors import ConfigurationError, InvalidInputError
from langswarm_sessions.records import SessionStatus

NO_NUMBERS: list[Any] = [True, "1", [], math.nan, math.inf, -math.inf, -1, 10**400]


@pytest.mark.parametrize("value", ["", " ", None, 1, b"x", "a\x00b", "a\nb", "\ud800", "x" * 256])
def test_a_wrong_name_is_named(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^user_id must"):
        check_name(value, field="user_id")


@given(st.text(min_size=1, max_size=255))
def test_a_name_is_taken_as_it_is_or_refused(value: str) -> None:
    try:
        assert check_name(value, field="x") == value
    except InvalidInputError:
        assert not value.strip() or not value.isprintable()


def test_the_longest_name_fits() -> None:
    assert check_name("x" * 255, field="x") == "x" * 255


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, 0.0])
def test_wrong_seconds(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^timeout must"):
        check_seconds(value, field="timeout")


@pytest.mark.parametrize("value", [*NO_NUMBERS, None, 1e9])
def test_wrong_days(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^days must"):
        check_days(value, field="days")


@pytest.mark.parametrize("value", [*NO_NUMBERS, None])
def test_wrong_wait(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^turn_wait must"):
        check_wait(value, field="turn_wait")


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, 1.0, 2**31])
def test_wrong_count(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^limit must"):
        check_count(value, field="limit")


def test_right_numbers() -> None:
    assert (check_seconds(None, field="x"), check_seconds(2, field="x")) == (None, 2.0)
    assert (check_days(0, field="x"), check_days(1.5, field="x")) == (0.0, 1.5)
    assert (check_wait(0, field="x"), check_wait(0.5, field="x")) == (0.0, 0.5)
    assert (check_count(None, field="x"), check_count(1, field="x")) == (None, 1)


def test_the_longest_span_reaches_back_to_a_real_date() -> None:
    assert (datetime.now(UTC) - timedelta(days=check_days(100_000, field="days"))).year > 1000


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-01",
        5,
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
        datetime.min,
    ],
)
def test_a_wrong_moment_is_named(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^since "):
        check_moment(value, field="since")


def test_a_right_moment_is_in_utc() -> None:
    moment = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    found = check_moment(moment, field="x")
    assert found == moment
    assert found is not None
    assert found.tzinfo is UTC
    assert check_moment(None, field="x") is None


@pytest.mark.parametrize("value", ["", "open", 1, ["active"]])
def test_wrong_status_and_strategy(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="status must be one of active, archived, deleted"):
        check_status(value, field="status")
    with pytest.raises(ConfigurationError, match="strategy must be one of native, client, hybrid"):
        check_strategy(value)


def test_right_status_and_strategy() -> None:
    assert check_status("archived", field="x") is SessionStatus.ARCHIVED
    assert check_status(None, field="x") is None
    assert check_strategy("native") is Strategy.NATIVE
    assert (check_text("a", field="x"), check_text(None, field="x")) == ("a", None)
    with pytest.raises(InvalidInputError, match=r"^text must"):
        check_text(1, field="text")
