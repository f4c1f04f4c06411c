"""What is wrong with how telemetry was asked for: arguments refused, variables warned of, providers done without."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from langswarm_sessions_otel import Telemetry, TelemetryConfigurationError
from langswarm_sessions_otel.settings import read_settings, warn_once
from tests.support.recorded import Recorded

if TYPE_CHECKING:
    from tests.telemetry.conftest import RunPython


class Unable:
    """A provider that has all that a provider has, and can do nothing."""

    def get_tracer(self, *_: object, **__: object) -> Any:
        raise RuntimeError("canary")

    get_meter = get_logger = get_tracer


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("enabled", "no"),
        ("enabled", None),
        ("session_events", "x"),
        ("tracer_provider", "http://localhost:4318"),
        ("meter_provider", object()),
        ("logger_provider", True),
        ("capture_content", True),
        ("content_limit", "1000"),
        ("content_limit", 255),
        ("redact", "all"),
    ],
)
def test_a_wrong_argument_is_refused_by_its_name(field: str, value: object) -> None:
    arguments: dict[str, Any] = {field: value}
    with pytest.raises(TelemetryConfigurationError, match=rf"^{field} must "):
        Telemetry(**arguments)


@pytest.mark.parametrize(
    ("variable", "value", "holds"),
    [
        ("LANGSWARM_SESSIONS_TELEMETRY", "maybe", "telemetry is on"),
        ("LANGSWARM_SESSIONS_BAGGAGE", "always", "no baggage is set"),
        ("LANGSWARM_SESSIONS_EVENTS", "all", "transitions are no events"),
        ("LANGSWARM_SESSIONS_LIFECYCLE_GROUPING", "on", "conversation ids are on the spans of turns alone"),
        ("LANGSWARM_SESSIONS_CONTENT_LIMIT", "255", "it is 32768"),
        ("LANGSWARM_SESSIONS_CONTENT_LIMIT", "1e4", "it is 32768"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true", "no content is recorded"),
        ("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "1", "the events follow what is captured"),
        ("OTEL_SEMCONV_STABILITY_OPT_IN", "http,gen_ai_latest", "metrics have the released names"),
    ],
)
def test_a_wrong_variable_is_warned_of_once_and_means_its_default(
    caplog: pytest.LogCaptureFixture, variable: str, value: str, holds: str
) -> None:
    warn_once.cache_clear()
    for _ in range(2):
        assert read_settings(environ={variable: value}) == read_settings(environ={})
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{variable} must be ")
    assert record.getMessage().endswith(f": {holds}.")


@pytest.mark.parametrize(
    "variables",
    [
        {"LANGSWARM_SESSIONS_TELEMETRY": " ON ", "LANGSWARM_SESSIONS_BAGGAGE": "no", "LANGSWARM_SESSIONS_EVENTS": ""},
        {"LANGSWARM_SESSIONS_LIFECYCLE_GROUPING": "off", "LANGSWARM_SESSIONS_CONTENT_LIMIT": "256"},
        {"OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup, database"},
    ],
)
def test_a_right_variable_is_not_warned_of(caplog: pytest.LogCaptureFixture, variables: dict[str, str]) -> None:
    warn_once.cache_clear()
    read_settings(environ=variables)
    assert caplog.records == []


@pytest.mark.parametrize("broken", ["tracer_provider", "meter_provider", "logger_provider"])
def test_a_provider_that_can_do_nothing_costs_its_signal(
    recorded: Recorded, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    providers: dict[str, Any] = {
        "tracer_provider": recorded.tracer_provider,
        "meter_provider": recorded.meter_provider,
        "logger_provider": recorded.logger_provider,
    }
    given: dict[str, Any] = {**providers, broken: Unable()}
    telemetry = Telemetry(**given, session_events=True)
    with telemetry.lifecycle("archive", session_id="s"):
        pass

    heard = (bool(recorded.spans), bool(recorded.all_points()), bool(recorded.events))
    assert heard == tuple(name != broken for name in providers)
    assert "canary" not in caplog.text
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert broken in record.getMessage()


PROGRAM = """
import asyncio, logging, sys
logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it tells its own of it
from langswarm_sessions import create_session_manager

async def main():
    for _ in range(2):
        async with create_session_manager(storage="memory", telemetry=sys.argv[1:] != ["off"]) as manager:
            session = await manager.create_session("user", "mock", "mock-model")
            print(bool((await session.send_message("hi")).content))

sys.argv[1:] = ARGUMENTS
asyncio.run(main())
"""


@pytest.mark.parametrize("telemetry", ["off", "on"])
def test_a_variable_that_names_no_provider_costs_a_warning(run_python: RunPython, telemetry: str) -> None:
    variables = ("OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER", "OTEL_PYTHON_LOGGER_PROVIDER")
    printed = run_python(
        PROGRAM.replace("ARGUMENTS", repr([telemetry])), with_errors=True, **dict.fromkeys(variables, "nobody's")
    ).splitlines()
    assert printed[:2] == ["True", "True"]
    warned = sorted(line.split(" ")[1] for line in printed[2:])
    assert warned == ([] if telemetry == "off" else ["events", "metrics", "spans"])
    assert all(any(variable in line for line in printed[2:]) for variable in variables if telemetry == "on")


@pytest.mark.parametrize("signal", ["TRACER", "METER", "LOGGER"])
def test_configuring_names_the_variable_that_names_no_provider(run_python: RunPython, signal: str) -> None:
    printed = run_python(
        """
from langswarm_sessions_otel import TelemetryConfigurationError, configure_telemetry
try:
    configure_telemetry(endpoint="http://127.0.0.1:9")
except TelemetryConfigurationError as error:
    print(error)
""",
        with_errors=True,  # OpenTelemetry tells of it as well
        **{f"OTEL_PYTHON_{signal}_PROVIDER": "nobody's"},
    )
    assert printed.splitlines()[0] == (
        f"one of the OTEL_* variables must be corrected: OTEL_PYTHON_{signal}_PROVIDER names a provider that cannot be "
        "loaded: install it, or leave the variable out."
    )
