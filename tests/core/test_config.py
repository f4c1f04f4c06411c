"""Settings: every wrong value is refused by name, merging is top-level, JSON leads back."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.config import LONGEST_DAYS, CleanupConfig, OnDisconnect, RetryPolicy, SessionConfig, check_keys
from langswarm_sessions.errors import ConfigurationError

NO_COUNTS: list[Any] = [0, -1, True, 1.5, "3", math.nan, 2**31, [1]]
NO_SECONDS: list[Any] = [-1, -0.001, math.nan, math.inf, True, "1", 10**400, timedelta(1)]
NO_STRINGS: list[Any] = [1, b"x", ["x"], "\ud800"]
NO_DURATIONS: list[Any] = [-1, math.nan, math.inf, 1e300, 10**400, True, "1", timedelta(-1), timedelta.max]
NO_DAYS: list[Any] = [-1, math.nan, math.inf, True, "1", 10**400, LONGEST_DAYS * 2]
NO_TAGS: list[Any] = ["support", None, [""], [1], ["ok", None], {"a": 1}, 5, ["\udfff"]]

WRONG_SESSION = [
    *[(name, value) for name in ("name", "description", "agent_name") for value in NO_STRINGS],
    *[("tags", value) for value in NO_TAGS],
    *[(name, value) for name in ("max_messages", "max_tokens_window") for value in NO_COUNTS],
    *[("auto_archive_after", value) for value in NO_DURATIONS],
    *[("on_disconnect", value) for value in ("", "stop", None, 1, ["finish"])],
]
WRONG_RETRY = [
    *[("max_attempts", value) for value in [*NO_COUNTS, None]],
    *[
        (name, value)
        for name in ("initial_delay", "multiplier", "max_delay", "jitter", "retry_after_cap")
        for value in [*NO_SECONDS, None]
    ],
    *[("deadline", value) for value in NO_SECONDS],
]
WRONG_CLEANUP = [
    *[(name, value) for name in ("archive_after_days", "delete_after_days") for value in NO_DAYS],
    *[("cleanup_interval_hours", value) for value in [*NO_SECONDS, None]],
    *[("max_messages_per_session", value) for value in NO_COUNTS],
]


@pytest.mark.parametrize(("name", "value"), WRONG_SESSION)
def test_a_wrong_session_setting_is_named(name: str, value: Any) -> None:
    settings: dict[str, Any] = {name: value}
    with pytest.raises(ConfigurationError, match=rf"session_config: {name}"):
        SessionConfig.of(settings)
    with pytest.raises(ConfigurationError, match=rf"session_config: {name}"):
        SessionConfig(**settings)


@pytest.mark.parametrize(("name", "value"), WRONG_RETRY)
def test_a_wrong_retry_setting_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"RetryPolicy: {name}"):
        RetryPolicy(**{name: value})


@pytest.mark.parametrize(("name", "value"), WRONG_CLEANUP)
def test_a_wrong_cleanup_setting_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"cleanup_config: {name}"):
        CleanupConfig.of({name: value})


NO_MAPPINGS: list[Any] = ["x", 5, ["tags"], [("tags", [])]]


@pytest.mark.parametrize("value", NO_MAPPINGS)
def test_what_is_no_mapping_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="session_config must be a dict"):
        SessionConfig.of(value)
    with pytest.raises(ConfigurationError, match="cleanup_config must be a dict"):
        CleanupConfig.of(value)


def test_an_unknown_key_names_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown key 'max_mesages'. Did you mean 'max_messages'\?"):
        SessionConfig.of({"max_mesages": 3})
    with pytest.raises(ConfigurationError, match=r"Did you mean 'delete_after_days'\?"):
        CleanupConfig.of({"delete_after_day": 3})
    with pytest.raises(ConfigurationError, match="Known keys: a, b"):
        check_keys(["zzzzzz"], ["b", "a"], where="here")


def test_a_key_that_is_no_string_is_unknown() -> None:
    with pytest.raises(ConfigurationError, match="unknown key '1'"):
        SessionConfig.of({1: 2})  # type: ignore[dict-item]


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.none() | st.text(st.characters(codec="utf-8")),
        "description": st.none() | st.text(st.characters(codec="utf-8")),
        "tags": st.lists(st.text(st.characters(codec="utf-8"), min_size=1)),
        "max_messages": st.none() | st.integers(1, 2**31 - 1),
        "max_tokens_window": st.none() | st.integers(1, 2**31 - 1),
        "auto_archive_after": st.none() | st.timedeltas(timedelta(0), timedelta(days=90_000)),
        "on_disconnect": st.sampled_from([*OnDisconnect, "finish"]),
        "agent_name": st.none() | st.text(st.characters(codec="utf-8")),
    },
)


@given(SETTINGS)
def test_json_leads_back_to_the_same_config(settings: dict[str, Any]) -> None:
    config = SessionConfig.of(settings)
    data = json.loads(json.dumps(config.to_json()))
    assert SessionConfig.of(data) == config
    assert SessionConfig.of(config) is config


@given(SETTINGS, SETTINGS)
def test_merging_replaces_at_the_top_level_and_leaves_the_rest(first: dict[str, Any], second: dict[str, Any]) -> None:
    before = SessionConfig.of(first)
    merged = before.merged(second)
    assert merged == SessionConfig.of({**first, **second})
    assert before == SessionConfig.of(first)


def test_only_what_differs_from_the_defaults_is_stored() -> None:
    assert SessionConfig().to_json() == {}
    assert SessionConfig.of({"tags": {"x"}}).to_json() == {"tags": ["x"]}
    assert SessionConfig.of({"auto_archive_after": 60}).auto_archive_after == timedelta(minutes=1)


def test_doubled_tags_are_kept_once_in_order() -> None:
    assert SessionConfig.of({"tags": ["b", "a", "b"]}).tags == ("b", "a")


def test_texts_for_people_never_show() -> None:
    shown = repr(SessionConfig(name="canary-name", description="canary-text"))
    assert "canary" not in shown


def test_limits_may_be_lifted() -> None:
    assert RetryPolicy(deadline=None).deadline is None
    assert CleanupConfig.of(None) == CleanupConfig()
    config = CleanupConfig(archive_after_days=0)
    assert CleanupConfig.of(config) is config
