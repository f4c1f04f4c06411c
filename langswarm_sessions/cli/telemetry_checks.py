"""What `doctor` looks at of telemetry: whether spans get where they are sent."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from langswarm_sessions.cli.checks import Check, State, installed
from langswarm_sessions.cli.database import shown
from langswarm_sessions.cli.reach import host_of
from langswarm_sessions_otel.content.capture import ContentCapture
from langswarm_sessions_otel.semconv import ENV_SPAN_FILE
from langswarm_sessions_otel.settings import read_settings
from langswarm_sessions_otel.setup.destinations import Destinations, read_destinations
from langswarm_sessions_otel.setup.refused import refused_by_sdk
from langswarm_sessions_otel.setup.request import (
    SIGNALS,
    Signal,
    TelemetryConfigurationError,
    TelemetryRequest,
    default_receiver,
    named_span_file,
    span_file_of,
)

__all__ = ["telemetry_checks"]

_SECTION = "telemetry"
_INSTALL = "pip install 'langswarm-sessions[otel]'"
_DEFAULT_RECEIVER = default_receiver("http/protobuf")
_SECONDS = 3.0
_LOGGER = "langswarm_sessions.telemetry"
_OF_OPENTELEMETRY = "opentelemetry"  # which tells of a variable with a traceback
_NAMES: dict[Signal, str] = {"traces": "spans", "metrics": "metrics", "logs": "events"}
_PLACES_OF_CONTENT = {
    ContentCapture.NO_CONTENT: "not captured",
    ContentCapture.SPAN_ONLY: "messages are put on spans",
    ContentCapture.EVENT_ONLY: "messages are put into events",
    ContentCapture.SPAN_AND_EVENT: "messages are put on spans and into events",
}


def telemetry_checks(*, offline: bool) -> Iterator[Check]:
    """Look at where spans would go, and try it.

    Args:
        offline: Contact no receiver.
    """
    with _warnings() as warned:
        settings, said = read_settings(), read_destinations()
        if not settings.enabled or said.disabled:
            yield _check("spans", State.NOTICE, "switched off by the environment")
        else:
            yield from _destination_checks(said, offline=offline)
            state = State.NOTICE if settings.capture_content else State.OK
            yield _check("content", state, _PLACES_OF_CONTENT[settings.content.capture])
    for text in warned:
        yield _check("variable", State.NOTICE, text)


def _check(name: str, state: State, found: str, remedy: str | None = None) -> Check:
    return Check(section=_SECTION, name=name, state=state, found=found, remedy=remedy)


@contextmanager
def _warnings() -> Generator[list[str]]:
    """Hear what telemetry warns of, instead of having it written between the lines of the report."""
    heard: list[str] = []

    class Hearing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name == _LOGGER:  # what it says of deliveries is told of their receiver
                heard.append(record.getMessage())

    hearing = Hearing(logging.WARNING)
    with ExitStack() as taken:
        for name in (_LOGGER, _OF_OPENTELEMETRY):
            taken.enter_context(_takes(logging.getLogger(name), hearing))
        yield heard


@contextmanager
def _takes(logger: logging.Logger, handler: logging.Handler) -> Generator[None]:
    logger.addHandler(handler)
    propagates, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.propagate = propagates
        logger.removeHandler(handler)


def _destination_checks(said: Destinations, *, offline: bool) -> Iterator[Check]:
    file = named_span_file()
    if (said.receivers or file is not None) and (refused := refused_by_sdk()) is not None:
        yield _check("spans", State.BROKEN, "not recorded: a variable is refused", refused)
        return
    yield from _receiver_checks(said, offline=offline)
    if file is not None:
        yield _span_file_check(file)


def _receiver_checks(said: Destinations, *, offline: bool) -> Iterator[Check]:
    if not said.receivers:
        how = "Set OTEL_EXPORTER_OTLP_ENDPOINT to export them"
        how += "." if named_span_file() is not None else f", or {ENV_SPAN_FILE} to have them in a file."
        yield _check("spans", State.ABSENT, "made, sent nowhere", how)
        return
    only_named = said.console or named_span_file() is not None
    taken: dict[str, bool] = {}  # by address: whether it takes what was tried first of all that goes there
    for signal in SIGNALS:
        address = said.receivers.get(signal, "")
        if not (address or only_named or signal in said.left_out):
            address = _DEFAULT_RECEIVER
        if address and taken.get(address, True):
            check = _receiver_check(signal, address, offline=offline, takes_others=address in taken)
            taken.setdefault(address, check.state is not State.BROKEN)
            yield check


def _receiver_check(signal: Signal, address: str, *, offline: bool, takes_others: bool) -> Check:
    name = _NAMES[signal]
    try:
        host = _host_of_receiver(signal, address)
    except TelemetryConfigurationError as error:
        return _check(name, State.BROKEN, "sent nowhere: nobody knows how", str(error))
    if host is None:
        how = (
            f"Set OTEL_EXPORTER_OTLP_ENDPOINT (or ..._{signal.upper()}_ENDPOINT) to one such as http://localhost:4318."
        )
        return _check(name, State.BROKEN, "sent nowhere: the address of their receiver is none", how)
    if installed("opentelemetry-sdk") is None or installed("opentelemetry-exporter-otlp") is None:
        return _check(name, State.BROKEN, f"sent to {host}", f"Nothing is exported without the SDK: {_INSTALL}")
    if offline:
        return _check(name, State.NOTICE, f"sent to {host} · not contacted")
    from langswarm_sessions_otel.sdk.complaints import remedy_of
    from langswarm_sessions_otel.sdk.probe import why_not_taken

    try:
        why = why_not_taken(signal, timeout_seconds=_SECONDS)
    except (TelemetryConfigurationError, ImportError) as error:
        return _check(name, State.BROKEN, f"sent to {host}, but not made ready", str(error))
    if why is None:
        return _check(name, State.OK, f"sent to {host}, which takes them")
    remedy = _remedy_of_one(signal) if takes_others else remedy_of(why)
    return _check(
        name, State.BROKEN, f"sent to {host}, which does not take them ({why})", f"{remedy[0].upper()}{remedy[1:]}."
    )


def _remedy_of_one(signal: Signal) -> str:
    of_signal = signal.upper()
    return (
        f"if it takes no {_NAMES[signal]}, set OTEL_{of_signal}_EXPORTER=none; "
        f"or name another receiver with OTEL_EXPORTER_OTLP_{of_signal}_ENDPOINT"
    )


def _host_of_receiver(signal: Signal, address: str) -> str | None:
    """Name the host of a receiver; for gRPC an address may be without http:// before it."""
    is_grpc = TelemetryRequest().protocol_of(signal) == "grpc"
    return host_of(f"http://{address}" if is_grpc and "://" not in address else address)


def _span_file_check(named: str) -> Check:
    if installed("opentelemetry-sdk") is None:
        return _check("span file", State.BROKEN, named, f"Nothing is written without the SDK: {_INSTALL}")
    try:
        path = span_file_of(named) or Path(named)
    except TelemetryConfigurationError as error:
        return _check("span file", State.BROKEN, f"{named} is no file", str(error))
    try:
        _try_to_write(path)
    except OSError as error:
        how = f"Make it writable for this user, or set {ENV_SPAN_FILE} to another file."
        return _check("span file", State.BROKEN, f"{shown(path)} cannot be written ({error.strerror})", how)
    there = "see `trace`" if path.exists() else "not there yet, made on first use"
    return _check("span file", State.OK, f"{shown(path)}, {there}")


def _try_to_write(path: Path) -> None:
    """Try what writing spans would do, and leave nothing behind."""
    if path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0)))  # it may be a pipe
        return
    folder = next(parent for parent in path.parents if parent.exists())
    with tempfile.TemporaryFile(dir=folder) as trial:  # permissions alone do not tell
        trial.write(b"\n")
