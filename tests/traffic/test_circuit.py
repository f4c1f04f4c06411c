"""The circuit: it opens after failures in a row, lets one try when the time is up, and closes when that went well."""

from __future__ import annotations

import logging
import threading

import pytest

from langswarm_sessions import ProviderUnavailableError
from langswarm_sessions.interfaces.traffic import CircuitPolicy
from langswarm_sessions.turns.traffic.breaker import Circuit
from tests.traffic.kit import Clock

WHO = {"provider": "openai", "where": "openai (api.example)"}
WHERE = WHO["where"]


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return Circuit(CircuitPolicy(failure_threshold=3, recovery_seconds=30), clock=clock.time)


def fail(circuit: Circuit, times: int = 1) -> list[bool]:
    return [circuit.failed(trial=circuit.enter(**WHO), where=WHERE) for _ in range(times)]


def refused(circuit: Circuit) -> float | None:
    """Return for how long a request is refused; None when it is not."""
    try:
        circuit.refuse(**WHO)
    except ProviderUnavailableError as error:
        return error.retry_after
    return None


def test_it_opens_after_failures_in_a_row(circuit: Circuit, clock: Clock) -> None:
    assert fail(circuit, 2) == [False, False]
    circuit.answered(trial=circuit.enter(**WHO), where=WHERE)
    assert fail(circuit, 2) == [False, False], "an answer between them: counted anew"
    assert refused(circuit) is None
    assert fail(circuit) == [True]
    assert refused(circuit) == 30
    clock.passes(12)
    with pytest.raises(ProviderUnavailableError, match=r"nothing was sent \(circuit_breaker\).*again in 18.0 s"):
        circuit.enter(**WHO)


def test_one_tries_and_the_others_wait_for_what_it_finds(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, 3)
    clock.passes(30)
    assert refused(circuit) is None
    trial = circuit.enter(**WHO)
    assert trial is not None, "the one that tries"
    assert circuit.state == "half-open"
    assert refused(circuit) == 30
    circuit.answered(trial=trial, where=WHERE)
    assert circuit.state == "closed"
    assert [circuit.enter(**WHO) for _ in range(3)] == [None, None, None]
    assert fail(circuit, 2) == [False, False], "it counts anew"


def test_a_try_that_fails_opens_it_again(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, 3)
    clock.passes(31)
    assert fail(circuit) == [True]
    assert refused(circuit) == 30


def test_a_try_that_says_nothing_lets_the_next_one_try(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, 3)
    clock.passes(30)
    circuit.gave_up(circuit.enter(**WHO))
    assert circuit.enter(**WHO)


def test_a_try_that_is_never_heard_of_again_is_not_waited_for_forever(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, 3)
    clock.passes(30)
    assert circuit.enter(**WHO)
    clock.passes(30)
    assert circuit.enter(**WHO)


def two_trials(circuit: Circuit, clock: Clock) -> tuple[int | None, int | None]:
    """Return a trial that took too long, and the one that was let through then."""
    fail(circuit, 3)
    clock.passes(30)
    first = circuit.enter(**WHO)
    clock.passes(30)
    return first, circuit.enter(**WHO)


@pytest.mark.parametrize("how", ["answered", "failed", "gave up"])
def test_a_trial_that_ends_after_the_next_one_failed_changes_nothing(circuit: Circuit, clock: Clock, how: str) -> None:
    first, second = two_trials(circuit, clock)
    assert circuit.failed(trial=second, where=WHERE)
    clock.passes(5)
    if how == "answered":
        circuit.answered(trial=first, where=WHERE)
    elif how == "failed":
        assert not circuit.failed(trial=first, where=WHERE)
    else:
        circuit.gave_up(first)
    assert circuit.state == "open"
    assert refused(circuit) == 25


@pytest.mark.parametrize("how", ["failed", "gave up"])
def test_a_trial_nobody_waits_for_does_not_take_the_place_of_the_next_one(
    circuit: Circuit, clock: Clock, how: str
) -> None:
    first, second = two_trials(circuit, clock)
    clock.passes(5)
    if how == "failed":
        assert not circuit.failed(trial=first, where=WHERE)
    else:
        circuit.gave_up(first)
    assert refused(circuit) == 25, "the second one is waited for"
    circuit.answered(trial=second, where=WHERE)
    assert circuit.state == "closed"


def test_the_answer_of_a_slow_trial_closes_it_while_the_next_one_is_under_way(circuit: Circuit, clock: Clock) -> None:
    first, second = two_trials(circuit, clock)
    circuit.answered(trial=first, where=WHERE)
    assert circuit.state == "closed"
    assert not circuit.failed(trial=second, where=WHERE), "sent before it closed"
    assert refused(circuit) is None


def test_what_was_sent_before_it_opened_neither_closes_nor_prolongs_it(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, 3)
    clock.passes(10)
    circuit.answered(trial=None, where=WHERE)
    assert not circuit.failed(trial=False, where=WHERE)
    assert refused(circuit) == 20


def test_one_of_many_threads_tries(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, 3)
    clock.passes(30)
    start, found = threading.Barrier(8), list[int | None]()

    def enter() -> None:
        start.wait()
        try:
            found.append(circuit.enter(**WHO))
        except ProviderUnavailableError:
            found.append(None)

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(None) == 7


def test_the_log_tells_when_it_opens_and_closes(
    circuit: Circuit, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="langswarm_sessions")
    fail(circuit, 3)
    clock.passes(30)
    circuit.answered(trial=circuit.enter(**WHO), where=WHERE)
    assert [record.getMessage() for record in caplog.records] == [
        "openai (api.example) is down: nothing is sent to it for 30 s.",
        "openai (api.example) is back: requests are sent to it again.",
    ]
