"""Telemetry that is flushed, shut down, set up again, and that ends with its process, whatever came first."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.metrics import MeterProvider

if TYPE_CHECKING:
    from tests.support.otlp import Receiver
    from tests.telemetry.conftest import RunPython

TAKES_READERS = hasattr(MeterProvider, "add_metric_reader")  # older ones are made with all of theirs

TURN = """
import os, signal, sys, threading
from langswarm_sessions_otel import Telemetry, configure_telemetry, force_flush
def turn(name="session"):
    with Telemetry().turn(session_id="s-1", agent_name=name, operation="send", mode="native", provider="mock",
                          model="m", stream=False):
        pass
"""


def _names(receiver: Receiver) -> list[str]:
    scopes = [scope for resource in receiver.traces().resource_spans for scope in resource.scope_spans]
    return [span.name for scope in scopes for span in scope.spans]


def test_nothing_is_printed_or_written_after_a_shutdown(run_sdk: RunPython) -> None:
    printed = run_sdk(
        f"""{TURN}
with configure_telemetry(console=True, span_file="spans.jsonl") as telemetry:
    turn("before")
size = os.path.getsize("spans.jsonl")
turn("after")
print(os.path.getsize("spans.jsonl") == size, telemetry.shutdown(), telemetry.force_flush())
""",
        with_errors=True,
    )
    first, tree = printed.splitlines()
    assert first == "True True True"
    assert tree.startswith("invoke_agent before  ")


def test_set_up_again_and_again_leaves_nothing_behind(run_sdk: RunPython, receiver: Receiver) -> None:
    printed = run_sdk(
        f"""{TURN}
from opentelemetry import _logs, metrics, trace
told = set()
for number in range(4):
    known = set(threading.enumerate())
    handle = configure_telemetry(endpoint="{receiver.url}", console=number == 3)
    added = set(threading.enumerate()) - known
    turn(str(number))
    assert handle.shutdown(30)
    for thread in added: thread.join(10)
    told.add((len(added), threading.active_count(),
              len(trace.get_tracer_provider()._active_span_processor._span_processors),
              len(_logs.get_logger_provider()._multi_log_record_processor._log_record_processors),
              len(metrics.get_meter_provider()._measurement_consumer._reader_storages)))
pid = os.fork()
if not pid:
    turn("child")
    os._exit(0 if len(threading.enumerate()) == 1 else 1)
print(told, os.waitpid(pid, 0)[1])
""",
        with_errors=True,
    )
    each, again = (3, 1, 1, 1, 0), (2, 1, 1, 1, 1)
    told, status = printed.splitlines()[0].rsplit(" ", 1)
    expected = {each} if TAKES_READERS else {(*each[:-1], 1), again}
    assert set(ast.literal_eval(told)) == expected, "a thread for each signal, a place in each provider"
    assert status == "0"
    assert _names(receiver) == [f"invoke_agent {number}" for number in range(4)]
    exports = [path for path, _, _ in receiver.requests if path == "/v1/metrics"]
    assert len(exports) == (4 if TAKES_READERS else 1), "each exports once, and none in a fork"


def test_metrics_of_a_second_set_up_are_flushed_by_the_one_for_all(run_sdk: RunPython, receiver: Receiver) -> None:
    printed = run_sdk(f"""{TURN}
configure_telemetry(endpoint="{receiver.url}").shutdown()
configure_telemetry(endpoint="{receiver.url}", metric_interval=600)
turn()
print(force_flush(30))
os._exit(0) if not sys.stdout.flush() else None
""")
    assert printed == "True\n"
    exports = [path for path, _, _ in receiver.requests]
    assert sorted(exports) == (["/v1/metrics", "/v1/traces"] if TAKES_READERS else ["/v1/traces"]), "each once"


def test_a_set_up_is_shown_without_what_is_secret(run_sdk: RunPython) -> None:
    printed = run_sdk(
        f"""{TURN}
telemetry = configure_telemetry(service_name="bot", endpoint="http://name:canary@127.0.0.1:9", span_file="spans.jsonl",
                                headers={{"authorization": "canary"}}, shutdown_timeout=0.1)
print(telemetry)
telemetry.shutdown()
print(telemetry)
""",
        with_errors=True,
    )
    assert printed.splitlines()[:2] == ["<TelemetryHandle of bot, 0 spans lost>", "<TelemetryHandle of bot, shut down>"]
    assert "canary" not in printed


def test_a_wait_that_is_no_time_is_refused_and_nothing_ended(run_sdk: RunPython, receiver: Receiver) -> None:
    printed = run_sdk(f"""{TURN}
from langswarm_sessions_otel import TelemetryConfigurationError
telemetry = configure_telemetry(endpoint="{receiver.url}")
turn()
told = set()
for wrong in ("5", True, [], float("nan")):
    for wait in (telemetry.shutdown, telemetry.force_flush, force_flush):
        try:
            wait(wrong)
        except TelemetryConfigurationError as error:
            told.add(str(error))
print(told, telemetry.closed, telemetry.force_flush(float("inf")), force_flush(10**9), telemetry.shutdown(-1.0))
""")
    assert printed.startswith("{'timeout_seconds must be a number of seconds.'} False True True ")
    assert _names(receiver) == ["invoke_agent session"]


def test_an_end_that_may_take_for_ever_ends(run_sdk: RunPython, receiver: Receiver) -> None:
    run_sdk(f"""{TURN}
configure_telemetry(endpoint="{receiver.url}", shutdown_timeout=1e300)
turn()
""")
    assert _names(receiver) == ["invoke_agent session"]


def test_an_interrupt_at_the_end_is_a_line_and_no_traceback(run_sdk: RunPython, receiver: Receiver) -> None:
    receiver.answers.clear()
    printed = run_sdk(
        f"""{TURN}
from langswarm_sessions_otel.process import endings
configure_telemetry(endpoint="{receiver.url}", export_timeout=60, shutdown_timeout=60)
turn()
endings.end_before_telemetry(lambda: signal.raise_signal(signal.SIGINT))
""",
        with_errors=True,
    )
    assert printed == "langswarm-sessions: the end was interrupted: 1 spans not delivered\n"


@pytest.mark.parametrize("moment", ["what runs is ended", "it is waited for"])
def test_a_signal_that_asks_for_the_end_under_way_takes_nothing_from_it(
    run_sdk: RunPython, receiver: Receiver, moment: str
) -> None:
    early = """
endings.end_before_telemetry(lambda: signal.raise_signal(signal.SIGTERM))
"""
    late = """
from langswarm_sessions_otel.setup import handle
wait_for = handle.wait_for
def interrupted(*arguments, **options):
    handle.wait_for = wait_for
    signal.raise_signal(signal.SIGTERM)
handle.wait_for = interrupted
"""
    run_sdk(f"""{TURN}
from langswarm_sessions_otel.process import endings
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
configure_telemetry(endpoint="{receiver.url}")
turn()
{early if moment == "what runs is ended" else late}
""")
    assert _names(receiver) == ["invoke_agent session"]


def test_what_does_not_end_well_keeps_no_telemetry_from_being_sent(run_sdk: RunPython, receiver: Receiver) -> None:
    printed = run_sdk(
        f"""{TURN}
from langswarm_sessions_otel.process import endings
def end():
    raise RuntimeError("canary")
endings.end_before_telemetry(end)
configure_telemetry(endpoint="{receiver.url}")
turn()
""",
        with_errors=True,
    )
    assert printed == "langswarm-sessions: what still ran could not be ended: RuntimeError\n"
    assert _names(receiver) == ["invoke_agent session"]


@pytest.mark.parametrize("process", ["the process", pytest.param("a worker", marks=pytest.mark.accept)])
def test_a_stream_of_sessions_made_before_telemetry_has_its_span_at_the_end(
    run_sdk: RunPython, receiver: Receiver, process: str
) -> None:
    program = f"""
from langswarm_sessions import BlockingSessionManager, create_session_manager
from langswarm_sessions_otel import configure_telemetry
def work():
    global manager, stream
    manager = BlockingSessionManager(create_session_manager(storage="memory"))
    session = manager.create_session("ada", "mock", "m")
    configure_telemetry(endpoint="{receiver.url}")
    stream = session.send_message_stream("one two three")
    next(stream)
"""
    forked = """
import multiprocessing
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
assert child.exitcode == 0
"""
    run_sdk(program + (forked if process == "a worker" else "work()"))
    assert _names(receiver).count("invoke_agent session") == 1
