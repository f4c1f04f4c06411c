"""An SDK that keeps everything in memory, and a way to run code in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import langswarm_sessions_otel
from langswarm_sessions_otel import Telemetry, TurnScope
from tests.support.exports import Exports
from tests.support.prepared import run_prepared
from tests.support.recorded import Recorded

RunPython = Callable[..., str]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OTEL_", "LANGSWARM_SESSIONS_")):
            monkeypatch.delenv(name)


@pytest.fixture
def every_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch on the events that are off by default."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "true")
    monkeypatch.setenv("LANGSWARM_SESSIONS_EVENTS", "on")


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def telemetry(recorded: Recorded) -> Telemetry:
    return recorded.telemetry()


@pytest.fixture
def start_turn() -> Callable[..., TurnScope]:
    """Open a turn whose arguments do not matter to the test."""

    def start(telemetry: Telemetry, *, session_id: str = "session-1", stream: bool = False) -> TurnScope:
        return telemetry.turn(
            session_id=session_id,
            agent_name="session",
            operation="stream" if stream else "send",
            mode="hybrid",
            provider="openai",
            model="gpt-5",
            stream=stream,
        )

    return start


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exports]:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")
    exports = Exports()
    yield exports
    exports.exporter.free.set()
    exports.processor.shutdown()


@pytest.fixture
def whole_turn(start_turn: Callable[..., TurnScope]) -> Callable[..., str | None]:
    """Run a turn in which everything happens."""

    def run(telemetry: Telemetry, *, session_id: str = "session-1", text: str = "hello", previous: str | None = None):  # type: ignore[no-untyped-def]
        with start_turn(telemetry, session_id=session_id, stream=True) as turn:
            turn.input_content(text)
            with turn.storage("load", backend="sqlite", db_system="sqlite") as load:
                load.done(count=3, size=300)
            turn.began(turn_index=2, previous=previous, mode="native")
            turn.retrying(attempt=1, error_type="openai.RateLimitError", delay_seconds=0.5)
            turn.rate_limited(provider="openai", wait_seconds=1.5)
            turn.circuit_refused(provider="openai", retry_after_seconds=30)
            turn.lease_waited(seconds=0.5, held_by="another_manager")
            turn.lease_taken_over()
            turn.lease_lost()
            with turn.rebuild(reason="not_found", provider="openai", attempt=1) as rebuild:
                rebuild.replayed(messages=3, tokens=40)
            with turn.chat(
                provider="openai",
                model="gpt-5",
                stream=True,
                previous_response_id="resp_1",
                server_address="127.0.0.1",
                server_port=8080,
                request_options={"temperature": 0.5, "max_tokens": 100, "top_p": 0.9, "seed": 7},
            ) as chat:
                chat.chunk()
                chat.chunk()
                chat.content(
                    instructions=text,
                    input_messages=[{"role": "user", "parts": [{"type": "text", "content": text}]}],
                    output_messages=[{"role": "assistant", "parts": [{"type": "text", "content": text}]}],
                )
                chat.finished(
                    response_model="gpt-5-2026",
                    response_id="resp_2",
                    finish_reason="stop",
                    input_tokens=12,
                    output_tokens=5,
                    cached_tokens=4,
                    cache_write_tokens=3,
                    reasoning_tokens=2,
                )
            with turn.storage("append", backend="sqlite", db_system="sqlite") as append:
                append.done(count=2)
            with telemetry.hook(name="Audit.on_message_sent", point="on_message_sent", session_id=session_id):
                pass
            turn.output_content(text)
            turn.finished(
                input_tokens=12,
                output_tokens=5,
                finish_reasons=["stop"],
                messages_sent=1,
                messages_total=4,
                messages_avoided=3,
                bytes_avoided=300,
                retries=1,
            )
            return turn.traceparent

    return run


@pytest.fixture
def run_python() -> RunPython:
    """Run code in a fresh interpreter and return what it printed; its standard error must be empty unless asked for."""
    source = Path(langswarm_sessions_otel.__file__).parents[1]

    def run(code: str, *, with_errors: bool = False, **environment: str) -> str:
        path = os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            env={**os.environ, "PYTHONPATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if with_errors:
            return done.stdout + done.stderr
        assert done.stderr == ""
        return done.stdout

    return run


@pytest.fixture
def run_sdk() -> RunPython:
    """Run code as `run_python` does, in a process that has the SDK and its exporters imported already."""
    return run_prepared
