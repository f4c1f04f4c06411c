"""Set up early, late, twice, at once, and in processes that fork: what is sent is sent once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.otlp import Receiver
    from tests.telemetry.conftest import RunPython

TURN = """
import os, sys, threading
from langswarm_sessions_otel import Telemetry, configure_telemetry, force_flush
def turn(name):
    with Telemetry().turn(session_id="s-1", agent_name=name, operation="send", mode="native", provider="mock",
                          model="m", stream=False):
        pass
"""


def _arrived(receiver: Receiver) -> Counter[str]:
    return Counter(
        span.name.removeprefix("invoke_agent ")
        for resource in receiver.traces().resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    )


def test_threads_that_configure_at_once_get_one_set_up(run_sdk: RunPython, receiver: Receiver) -> None:
    printed = run_sdk(f"""{TURN}
start, handles = threading.Barrier(8), []
def configure():
    start.wait()
    handles.append(configure_telemetry(endpoint="{receiver.url}"))
threads = [threading.Thread(target=configure) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
turn("once")
print(len(handles), len(set(handles)), handles[0].force_flush(30))
""")
    assert printed == "8 1 True\n"
    assert _arrived(receiver) == {"once": 1}


def test_a_provider_that_comes_later_is_refused_by_opentelemetry_and_ours_goes_on(
    run_sdk: RunPython, receiver: Receiver
) -> None:
    printed = run_sdk(
        f"""{TURN}
handle = configure_telemetry(endpoint="{receiver.url}")
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
ours = trace.get_tracer_provider()
trace.set_tracer_provider(TracerProvider())
assert trace.get_tracer_provider() is ours
turn("ours")
""",
        with_errors=True,
    )
    assert "Overriding of current TracerProvider is not allowed" in printed
    assert _arrived(receiver) == {"ours": 1}


def test_a_failed_set_up_leaves_nothing_behind(run_sdk: RunPython, receiver: Receiver) -> None:
    printed = run_sdk(f"""{TURN}
from opentelemetry import metrics, trace
for wrong in ({{"span_file": "/dev/null/spans"}}, {{"protocol": "http/json"}}, {{"sampling_ratio": 2}}):
    try:
        configure_telemetry(endpoint="{receiver.url}", **wrong)
    except (OSError, ValueError, ImportError) as error:
        print(type(error).__name__)
os.environ["OTEL_METRICS_EXEMPLAR_FILTER"] = "nonsense"
try:
    configure_telemetry(endpoint="{receiver.url}")
except ValueError as error:
    print(error)
del os.environ["OTEL_METRICS_EXEMPLAR_FILTER"]
print(type(trace.get_tracer_provider()).__name__, type(metrics.get_meter_provider()).__name__)
configure_telemetry(endpoint="{receiver.url}")
turn("right")
""")
    assert printed.splitlines() == [
        "TelemetryConfigurationError",
        "TelemetryConfigurationError",
        "TelemetryConfigurationError",
        "one of the OTEL_* variables must be corrected: Unknown exemplar filter 'nonsense'.",
        "ProxyTracerProvider _ProxyMeterProvider",
    ]
    assert _arrived(receiver) == {"right": 1}


FORKING = (
    TURN
    + """
handle = configure_telemetry(endpoint="{url}", export_timeout=30)
turn("before")
assert handle.force_flush(30)
turn("pending")
{fork}
turn("after")
"""
)
FORKS = {
    "exit": """
pid = os.fork()
if not pid:
    turn("child")
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
""",
    "os._exit": """
pid = os.fork()
if not pid:
    turn("child")
    os._exit(0 if handle.force_flush(30) and force_flush(30) else 1)
assert os.waitpid(pid, 0)[1] == 0
""",
    "multiprocessing": """
import multiprocessing
child = multiprocessing.get_context("fork").Process(target=turn, args=("child",))
child.start()
child.join()
assert child.exitcode == 0
""",
    "a pool": """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
    pool.submit(turn, "child").result()
""",
    "a lock held at the fork": """
from opentelemetry import metrics
from langswarm_sessions_otel.process import forks
taken, release = threading.Event(), threading.Event()
def hold():
    locks = [*forks._locks, *forks._locks_within(metrics.get_meter_provider())]
    for lock in locks: lock.acquire()
    taken.set()
    release.wait()
    for lock in locks: lock.release()
threading.Thread(target=hold).start()
taken.wait()
pid = os.fork()
release.set()
if not pid:
    turn("child")
    assert configure_telemetry(endpoint="{url}", export_timeout=30) is handle
    assert handle.force_flush(30) and force_flush(30)
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
""",
}


@pytest.mark.parametrize("way", FORKS)
def test_a_forked_child_sends_its_own_and_the_parent_what_it_had(
    run_sdk: RunPython, receiver: Receiver, way: str
) -> None:
    run_sdk(FORKING.format(url=receiver.url, fork=FORKS[way].format(url=receiver.url)))
    assert _arrived(receiver) == {"before": 1, "pending": 1, "child": 1, "after": 1}


def test_an_exporter_is_made_anew_in_a_child(run_sdk: RunPython) -> None:
    """On a connection that both know, answers would reach whoever reads first."""
    printed = run_sdk("""
import os
from opentelemetry.sdk.trace.export import SpanExportResult
from langswarm_sessions_otel.sdk.delivery import Delivery
from langswarm_sessions_otel.sdk.spans import BoundedSpanProcessor
made = []
class Exporter:
    def __init__(self): made.append(os.getpid())
    def export(self, batch): return SpanExportResult.SUCCESS
delivery = Delivery("spans", "http://host", Exporter)
processor = BoundedSpanProcessor(delivery, shutdown_timeout=30)
delivery.send([1])
pid = os.fork()
if not pid:
    delivery.send([1, 2], count=2)
    delivery.send([1])
    os._exit(0 if made == [os.getppid(), os.getpid()] and delivery.sent == 3 else 1)
print(os.waitpid(pid, 0)[1], made == [os.getpid()], delivery.sent)
""")
    assert printed == "0 True 1\n"


def test_a_child_writes_into_the_same_span_file(run_sdk: RunPython, receiver: Receiver, tmp_path: object) -> None:
    path = f"{tmp_path}/spans.jsonl"
    printed = run_sdk(f"""{TURN}
from langswarm_sessions_otel import read_span_file
from opentelemetry import trace
from langswarm_sessions_otel.sdk.spans import SPAN_SLOTS
handle = configure_telemetry(span_file="{path}")
[processor] = SPAN_SLOTS.of(trace.get_tracer_provider()).parts
turn("parent")
taken, release = threading.Event(), threading.Event()
def hold():
    with processor._lock:
        taken.set()
        release.wait()
threading.Thread(target=hold).start()
taken.wait()
pid = os.fork()
release.set()
if not pid:
    turn("child")
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
print([(record.name[13:], record.process == os.getpid(), record.service) for record in read_span_file("{path}")])
""")
    assert printed == f"{[('parent', True, 'langswarm-sessions'), ('child', False, 'langswarm-sessions')]}\n"
    assert receiver.requests == []
