"""What the command line exports of its turns, and what it says when nobody takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from langswarm_sessions import BlockingSessionManager
from tests.cli.terminal import run_cli

if TYPE_CHECKING:
    from tests.support.otlp import Receiver


def test_a_turn_is_exported(receiver: Receiver, library: BlockingSessionManager) -> None:
    outcome = run_cli("chat", "talk", said="hello canary\n", env={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    assert (outcome.code, outcome.out) == (0, "Mock response to: hello canary\n")
    assert outcome.err == "Go on with: langswarm-sessions chat talk\n"
    [resource] = receiver.traces().resource_spans
    spans = {span.name: span for scope in resource.scope_spans for span in scope.spans}
    turn, asked = spans["invoke_agent session"], spans["chat mock-model"]
    assert asked.trace_id == turn.trace_id
    attributes = {pair.key: pair.value for pair in turn.attributes}
    assert attributes["gen_ai.conversation.id"].string_value == "talk"
    assert attributes["langswarm.session.turn.index"].int_value == 1
    assert "canary" not in str(receiver.traces())
    metrics = {
        metric.name for scope in receiver.metrics().resource_metrics[0].scope_metrics for metric in scope.metrics
    }
    assert "langswarm.session.turn.duration" in metrics
    assert library.get_session("talk").message_count == 2


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "nonsense"])
def test_a_receiver_that_is_away_is_one_line(address: str, library: BlockingSessionManager) -> None:
    outcome = run_cli("chat", "talk", said="hello\n", env={"OTEL_EXPORTER_OTLP_ENDPOINT": address})
    assert (outcome.code, outcome.out) == (0, "Mock response to: hello\n")
    assert outcome.err.splitlines()[-2:] == [
        "Go on with: langswarm-sessions chat talk",
        "Not all spans and metrics were delivered: see `langswarm-sessions doctor`.",
    ]
    assert library.get_session("talk").message_count == 2
