"""Bad arguments of managers and their parts: refused where they are given, by name and with the remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langswarm_sessions import (
    ConfigurationError,
    LoggingHook,
    LoggingMiddleware,
    RedactionMiddleware,
    RetryPolicy,
    SessionManager,
    StorageFactory,
    add_global_lifecycle_hook,
    add_global_middleware,
    create_session_manager,
    get_session_manager,
    session_context,
    set_session_manager,
)
from langswarm_sessions.hooks import GLOBAL_HOOKS, MonitoringHook
from langswarm_sessions.middleware import GLOBAL_MIDDLEWARE

CANARY = "canary-4711"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"storage": "oracle"}, r"storage: 'oracle'.*sqlite"),
        ({"storage": 5}, r"storage"),
        ({"storage": "postgresql://u:canary-4711@h/d"}, r"storage: 'postgresql'"),
        ({"storage": "sqlite", "storage_config": {"db_pth": "x"}}, r"db_pth.*db_path"),
        ({"storage": "sqlite", "storage_config": {"db_path": ""}}, r"db_path"),
        ({"storage": "sqlite", "storage_config": {"pool_size": 0}}, r"pool_size"),
        ({"storage": "sqlite", "storage_config": {"durability": "maybe"}}, r"durability must be 'normal' or 'full'"),
        ({"storage": "memory", "strategy": "magic"}, r"strategy must be one of"),
        ({"storage": "memory", "turn_wait": -1}, r"turn_wait"),
        ({"storage": "memory", "cleanup_config": {"archive_after": 1}}, r"archive_after.*archive_after_days"),
        ({"storage": "memory", "cleanup_config": {"archive_after_days": "x"}}, r"archive_after_days"),
        ({"storage": "memory", "preset": "staging"}, r"preset must be one of"),
        ({"storage": "memory", "preset": []}, r"preset must be one of"),
        ({"storage": "memory", "storage_config": 5}, r"storage_config must be a dict"),
        ({"storage": "memory", "storage_config": ""}, r"storage_config must be a dict"),
        ({"storage": "memory", "middleware": [LoggingMiddleware]}, r"pass an instance, LoggingMiddleware\(...\)"),
        ({"storage": "memory", "hooks": [LoggingHook]}, r"pass an instance, LoggingHook\(...\), not the class"),
        ({"storage": "memory", "telemetry": "yes"}, r"telemetry must be True, False or a Telemetry"),
        ({"storage": "memory", "providers": ["openai"]}, r"providers must be a dict"),
        ({"storage": "memory", "providers": {"opnai": "sk-canary-4711"}}, r"unknown provider 'opnai'.*openai"),
        ({"storage": "memory", "providers": {"gpt": "a", "openai": "sk-canary-4711"}}, r"'openai'.*give it once"),
        ({"storage": "memory", "fallback": "nobody/m"}, r"^fallback='nobody/m': unknown provider 'nobody'"),
        ({"storage": "memory", "fallback": "mock/"}, r"^fallback='mock/': give 'provider'"),
        ({"storage": "memory", "fallback": "/m"}, r"^fallback='/m': give 'provider'"),
    ],
)
def test_bad_arguments_of_a_manager_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        create_session_manager(**arguments)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"max_attempts": 0}, "max_attempts"), ({"initial_delay": -1}, "initial_delay"), ({"deadline": "x"}, "deadline")],
)
def test_bad_retry_policies_are_named(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        RetryPolicy(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fallback": "openai/gpt"}, r"^fallback='openai/gpt': openai: no API key"),
        ({"summarizer": "openai/gpt"}, r"^summarizer='openai/gpt': openai: no API key"),
        ({"summarizer": "nobody/m"}, r"^summarizer='nobody/m': unknown provider"),
        ({"summarizer": "mock/"}, r"^summarizer='mock/': give 'provider'"),
        ({"providers": {"mock": {"requests_per_minute": -1}}}, r"^providers=\{'mock': \.\.\.\}: requests_per_minute"),
        ({"providers": {"mock": {"circuit_breaker": 5}}}, r"^providers=\{'mock': \.\.\.\}: circuit_breaker"),
        (
            {"providers": {"openai": {"requests_per_minute": -1}}},
            r"^providers=\{'openai': \.\.\.\}: requests_per_minute",
        ),
    ],
)
async def test_what_cannot_work_for_a_session_is_named_by_its_argument(arguments: dict[str, Any], message: str) -> None:
    async with SessionManager("memory", **arguments) as manager:
        with pytest.raises(ConfigurationError, match=message):
            await manager.create_session("user", next(iter(arguments.get("providers", {"mock": 0}))), "m")


PARTS: dict[str, tuple[Callable[[], Any], str]] = {
    "config of a storage as number": (lambda: StorageFactory.create("memory", _any(5)), r"config must be a dict"),
    "config of a storage as text": (lambda: StorageFactory.create("memory", _any("x")), r"config must be a dict"),
    "config of a manager's storage": (
        lambda: SessionManager("memory", storage_config=_any([])),
        r"storage_config must",
    ),
    "context of a number": (lambda: session_context(_any(5), "u", "mock", "m"), r"manager must be a manager"),
    "number for all": (
        lambda: set_session_manager(_any(5)),
        r"manager must be a manager; make one with create",
    ),
    "global middleware": (lambda: add_global_middleware(_any(5)), r"middleware: int has no method process_message"),
    "global hook": (lambda: add_global_lifecycle_hook(_any(5)), r"hook: int has no method on_session_created"),
    "class of global middleware": (lambda: add_global_middleware(_any(LoggingMiddleware)), r"pass an instance"),
    "class of global hook": (lambda: add_global_lifecycle_hook(_any(LoggingHook)), r"pass an instance"),
    "added middleware": (lambda: SessionManager("memory").add_middleware(_any(LoggingMiddleware)), r"pass an instance"),
    "added hook": (lambda: SessionManager("memory").add_lifecycle_hook(_any(5)), r"hook: int has no method"),
    "level of middleware": (lambda: LoggingMiddleware("LOUD"), r"LoggingMiddleware: level must be .*'INFO'"),
    "level of a hook": (lambda: LoggingHook(_any(None)), r"LoggingHook: level must be a logging level"),
    "level as bool": (lambda: LoggingHook(True), r"level must be"),
    "slow as text": (lambda: MonitoringHook(slow_seconds=_any("1")), r"slow_seconds must be a finite number"),
    "no patterns": (lambda: RedactionMiddleware(_any(None)), r"patterns must be a list of regular expressions"),
    "patterns as number": (lambda: RedactionMiddleware(_any(5)), r"patterns must be a list of regular expressions"),
}


@pytest.mark.parametrize("case", PARTS)
def test_bad_parts_are_refused_at_the_call_and_change_nothing(case: str) -> None:
    attempt, message = PARTS[case]
    before = [*GLOBAL_MIDDLEWARE, *GLOBAL_HOOKS]
    own = SessionManager("memory")
    set_session_manager(own)
    try:
        with pytest.raises(ConfigurationError, match=message) as caught:
            attempt()
        assert get_session_manager() is own
    finally:
        set_session_manager(None)
    assert str(caught.value).endswith((".", ")"))
    assert [*GLOBAL_MIDDLEWARE, *GLOBAL_HOOKS] == before


def _any(value: object) -> Any:
    return value
