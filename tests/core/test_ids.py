"""Identifiers and the clock."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.ids import as_utc, monotonic, new_id, now, use_clock, use_ids


def test_ids_sort_by_creation_and_are_version_seven() -> None:
    made = [new_id() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {uuid.UUID(one).version for one in made} == {7}


def make(count: int) -> list[str]:
    return [new_id() for _ in range(count)]


def test_ids_of_many_threads_are_unique_and_in_order_in_each() -> None:
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(make, [500] * 8))
    assert all(batch == sorted(batch) for batch in batches)
    assert len({one for batch in batches for one in batch}) == 8 * 500


def test_ids_are_replaceable_and_come_back() -> None:
    with use_ids(iter(["a", "b"]).__next__):
        assert [new_id(), new_id()] == ["a", "b"]
    assert uuid.UUID(new_id()).version == 7


def test_the_clock_is_replaceable_nested_and_after_an_error() -> None:
    first, second = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)

    def fail_inside() -> None:
        with use_clock(lambda: first):
            with use_clock(lambda: second):
                assert now() == second
            assert now() == first
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_inside()
    assert abs(now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert now().tzinfo is UTC


def test_monotonic_never_goes_back() -> None:
    read = [monotonic() for _ in range(100)]
    assert read == sorted(read)


@given(
    st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2037, 1, 1)),
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_as_utc_is_the_same_instant(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert as_utc(aware) == aware
    assert as_utc(aware).tzinfo is UTC


def test_naive_means_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert as_utc(datetime(2026, 1, 1, 9)) == datetime(2026, 1, 1, 0, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()
