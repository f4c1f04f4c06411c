"""Sessions over the real Mistral SDK when answers fail or get lost: what its conversations hold, what is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from langswarm_sessions import IncompleteStreamError, ProviderTimeoutError, ProviderUnavailableError, Session
from tests.e2e.mistral_kit import MODEL, Open, Say, calm, held, mistral, mistral_server, open_mistral, paths, sent
from tests.session.kit import rows_of
from tests.support.mistral_server import Gate, MistralServer, ModelView, Reply, faults
from tests.support.recorded import Recorded

__all__ = ["mistral", "mistral_server", "open_mistral"]

ONE = [("user", "one"), ("assistant", "[1] You said: one")]
TWO = [("user", "two"), ("assistant", "[2] You said: two")]
START, APPEND, HISTORY = "POST conversations", "POST conversations/{id}", "GET conversations/{id}/history"
FORK = "POST conversations/{id}/restart"
USER: dict[str, Any] = {"type": "message.input", "object": "entry", "role": "user", "prefix": False}
ANSWER = {"type": "message.output", "object": "entry", "role": "assistant"}
SOON: dict[str, Any] = {"timeout": 0.2}


@pytest.fixture
async def session(open_mistral: Open) -> Session:
    """A session with one turn behind it."""
    session = await open_mistral().create_session("user", "mistral", MODEL)
    await session.send_message("one")
    return session


@pytest.fixture
async def hasty(open_mistral: Open) -> Session:
    """The same, with little patience."""
    session = await open_mistral(credential=SOON).create_session("user", "mistral", MODEL)
    await session.send_message("one")
    return session


def outcomes(recorded: Recorded) -> list[Any]:
    """Return what reconciliations found."""
    events = [event for span in recorded.spans for event in span.events]
    return [
        dict(event.attributes or {})["langswarm.reconcile.outcome"]
        for event in events
        if event.name == "langswarm.session.turn_reconciled"
    ]


ARRIVED: dict[str, faults.Fault] = {
    "dropped before the headers": faults.drop(keeps="turn"),
    "broken off at once": faults.cut_stream(after_events=0),
    "broken off before text": faults.cut_stream(after_events=1),
    "ended before text": faults.end_stream(after_events=1),
}


@pytest.mark.parametrize("how", ARRIVED)
async def test_an_answer_that_arrived_there_is_adopted(
    how: str, session: Session, mistral: MistralServer, say: Say, recorded: Recorded
) -> None:
    mistral.fault(ARRIVED[how])
    answer = await say(session, "two")
    assert answer.content == "[2] You said: two"
    assert paths(mistral) == [START, APPEND, HISTORY]
    assert held(mistral) == [*ONE, *TWO]
    assert outcomes(recorded) == ["adopted"]
    assert (await say(session, "three")).content == "[3] You said: three"
    assert len(mistral.conversations) == 1
    assert (await session.get_metrics()).rebuilds == 0


async def test_a_timeout_after_the_turn_was_kept_is_adopted(hasty: Session, mistral: MistralServer, say: Say) -> None:
    mistral.fault(faults.delay(Gate(), keeps="turn"))
    assert (await say(hasty, "two")).content == "[2] You said: two"
    assert held(mistral) == [*ONE, *TWO]
    assert len(mistral.conversations) == 1


async def test_a_request_that_may_be_on_its_way_is_sent_to_a_fork(
    session: Session, mistral: MistralServer, say: Say, recorded: Recorded
) -> None:
    mistral.fault(faults.drop())
    assert (await say(session, "two")).content == "[2] You said: two"
    assert paths(mistral) == [START, APPEND, HISTORY, FORK]
    assert held(mistral) == [*ONE, *TWO]
    assert outcomes(recorded) == ["absent"]


@pytest.mark.parametrize(
    "fault", [faults.drop(), faults.http_error(502), faults.http_error(504)], ids=["drop", "502", "504"]
)
async def test_what_arrives_after_it_was_looked_for_stays_in_a_conversation_nobody_uses(
    fault: faults.Fault, session: Session, mistral: MistralServer, say: Say
) -> None:
    def late(view: ModelView) -> Reply:
        if "two" in view.user_texts and "three" not in view.user_texts:
            mistral.conversations[0].entries.extend(
                [{**USER, "content": "two", "id": "msg_late"}, {**ANSWER, "content": "late", "id": "msg_later"}]
            )
        return Reply(text="answer")

    mistral.fault(fault)
    mistral.answer_with(late)
    assert (await say(session, "two")).content == "answer"
    assert held(mistral, 0) == [*ONE, ("user", "two"), ("assistant", "late")]
    assert (await say(session, "three")).content == "answer"
    assert held(mistral)[2:] == [
        ("user", "two"),
        ("assistant", "answer"),
        ("user", "three"),
        ("assistant", "answer"),
    ]


@pytest.mark.parametrize("status", [500, 503, 529])
async def test_a_failure_there_is_looked_into_before_it_is_retried(
    status: int, session: Session, mistral: MistralServer, say: Say
) -> None:
    mistral.fault(faults.http_error(status))
    assert (await say(session, "two")).content == "[2] You said: two"
    assert paths(mistral) == [START, APPEND, HISTORY, APPEND]
    assert held(mistral) == [*ONE, *TWO]


async def test_a_refusal_is_retried_without_a_look(session: Session, mistral: MistralServer, say: Say) -> None:
    mistral.fault(faults.rate_limit(retry_after=0))
    assert (await say(session, "two")).content == "[2] You said: two"
    assert paths(mistral) == [START, APPEND, APPEND]


LOST: dict[str, faults.Fault] = {
    "only the input was kept": faults.drop(keeps="inputs"),
    "broken off after the headers, nothing kept": faults.cut_stream(after_events=0, keeps="nothing"),
    "broken off, nothing kept": faults.cut_stream(after_events=1, keeps="nothing"),
    "broken off, the input kept": faults.cut_stream(after_events=1, keeps="inputs"),
    "failed, the input kept": faults.error_event(after_events=1, keeps="inputs"),
}


@pytest.mark.parametrize("how", LOST)
async def test_what_cannot_be_told_is_left_in_a_fork(
    how: str, session: Session, mistral: MistralServer, say: Say, recorded: Recorded
) -> None:
    mistral.fault(LOST[how])
    assert (await say(session, "two")).content == "[2] You said: two"
    assert paths(mistral) == [START, APPEND, HISTORY, FORK]
    assert sent(mistral)["inputs"] == [{**USER, "content": "two"}], "what the fork holds is not sent"
    assert held(mistral) == [*ONE, *TWO], "a conversation of its own, with everything once"
    assert outcomes(recorded) == ["absent"]
    assert (await say(session, "three")).content == "[3] You said: three"
    assert paths(mistral)[-1] == APPEND
    assert session.provider_session_id == mistral.conversations[-1].id != mistral.conversations[0].id
    assert (await session.get_metrics()).rebuilds == 0


@pytest.mark.parametrize("status", [404, 422])
async def test_a_fork_that_is_refused_is_rebuilt(
    status: int, session: Session, mistral: MistralServer, say: Say
) -> None:
    mistral.fault(faults.drop(keeps="inputs"))
    mistral.fault(faults.http_error(status))
    assert (await say(session, "two")).content == "[2] You said: two"
    assert paths(mistral) == [START, APPEND, HISTORY, FORK, START]
    assert held(mistral) == [*ONE, *TWO]
    assert (await session.get_metrics()).rebuilds == 1


async def test_a_fork_whose_answer_gets_lost_is_forked_again(
    session: Session, mistral: MistralServer, say: Say
) -> None:
    mistral.fault(faults.drop(keeps="inputs"))
    mistral.fault(faults.drop(keeps="turn"))
    assert (await say(session, "two")).content == "[2] You said: two"
    assert paths(mistral) == [START, APPEND, HISTORY, FORK, HISTORY, FORK]
    assert [held(mistral, at) for at in (1, 2)] == [[*ONE, *TWO]] * 2, "the first of them nobody uses"
    assert (await say(session, "three")).content == "[3] You said: three"


async def test_a_failure_costs_as_much_however_long_the_conversation_is(
    session: Session, mistral: MistralServer
) -> None:
    cost: list[int] = []
    for turns in (1, 20):
        for turn in range(turns):
            await session.send_message(f"{turns}, {turn:02}: {'many words ' * 20}")
        before = len(mistral.requests)
        mistral.fault(faults.drop(keeps="inputs"))
        await session.send_message(f"lost {turns:02}")
        assert paths(mistral)[before:] == [APPEND, HISTORY, FORK]
        cost.append(sum(len(json.dumps(record.body or {})) for record in mistral.requests[before:]))
    assert cost[0] == cost[1]


async def test_a_failure_told_in_the_stream_is_retried_in_place(
    session: Session, mistral: MistralServer, say: Say
) -> None:
    mistral.fault(faults.error_event(after_events=1))
    assert (await say(session, "two")).content == "[2] You said: two"
    assert paths(mistral) == [START, APPEND, HISTORY, APPEND]
    assert held(mistral) == [*ONE, *TWO]


async def test_a_turn_that_may_still_be_kept_later_is_not_sent_on_top(
    hasty: Session, mistral: MistralServer, say: Say
) -> None:
    gate = Gate()
    mistral.fault(faults.delay(gate, keeps="turn", late=True))
    assert (await say(hasty, "two")).content == "[2] You said: two"
    gate.open()
    mistral.wait_until_idle()
    assert paths(mistral) == [START, APPEND, HISTORY, FORK]
    assert held(mistral, 0) == [*ONE, *TWO], "the old one, which nobody uses any more"
    assert held(mistral) == [*ONE, *TWO]
    assert (await say(hasty, "three")).content == "[3] You said: three"
    assert held(mistral, 0) == [*ONE, *TWO]


async def test_a_new_conversation_is_just_started_again(open_mistral: Open, mistral: MistralServer, say: Say) -> None:
    session = await open_mistral().create_session("user", "mistral", MODEL)
    mistral.fault(faults.drop(keeps="turn"))
    assert (await say(session, "one")).content == "[1] You said: one"
    assert paths(mistral) == [START, START]
    assert (await say(session, "two")).content == "[2] You said: two"
    assert held(mistral) == [*ONE, *TWO]


FOR_GOOD = [
    (faults.drop(keeps="inputs"), ProviderUnavailableError),
    (faults.http_error(503), ProviderUnavailableError),
]


@pytest.mark.parametrize(("fault", "error"), FOR_GOOD, ids=["drop", "503"])
@pytest.mark.parametrize("looks", [True, False], ids=["history", "no history"])
async def test_a_turn_that_failed_for_good_is_left_in_a_fork_next_time(
    fault: faults.Fault, error: type[Exception], looks: bool, session: Session, mistral: MistralServer, say: Say
) -> None:
    mistral.fault(fault, times=6)
    if not looks:
        mistral.fault(faults.http_error(503), times=6, on="history")
    with pytest.raises(error):
        await say(session, "two")
    calm(mistral)
    assert (await say(session, "three")).content == "[2] You said: three"
    assert paths(mistral)[-1] == FORK
    assert sent(mistral)["inputs"] == [{**USER, "content": "three"}]
    assert held(mistral) == [*ONE, ("user", "three"), ("assistant", "[2] You said: three")]


async def test_text_that_was_shown_fails_the_turn_and_the_next_forks(session: Session, mistral: MistralServer) -> None:
    mistral.fault(faults.cut_stream(after_events=3, keeps="turn"))
    stream = session.send_message_stream("two")
    with pytest.raises(IncompleteStreamError):
        [chunk async for chunk in stream]
    assert paths(mistral) == [START, APPEND]
    assert (await session.send_message("three")).content == "[2] You said: three"
    assert paths(mistral)[-1] == FORK
    stored = [(message.content, message.status.value) for message in await session.get_messages()]
    assert stored[2:] == [("two", "failed"), ("three", "completed"), ("[2] You said: three", "completed")]


async def test_an_answer_left_is_not_continued(session: Session, mistral: MistralServer) -> None:
    gate = Gate()
    mistral.answer_with(lambda _: Reply(chunks=("half ", "of it"), gate=gate))
    gate.permit()
    async with session.send_message_stream("two") as stream:
        assert await anext(stream) == "half "
    gate.open()
    mistral.wait_until_idle()
    answer = await session.send_message("three")
    assert answer.content == "half of it"
    assert held(mistral)[2:5] == [("user", "two"), ("assistant", "half "), ("user", "three")]
    assert paths(mistral) == [START, APPEND, FORK]


async def test_nothing_in_time_at_all_fails_the_turn(hasty: Session, mistral: MistralServer) -> None:
    gates = [Gate() for _ in range(4)]
    for gate in gates:
        mistral.fault(faults.delay(gate))
    with pytest.raises(ProviderTimeoutError):
        await hasty.send_message("two")
    calm(mistral)
    assert (await hasty.send_message("three")).content == "[2] You said: three"


async def test_turns_are_stored_as_they_went(open_mistral: Open, mistral: MistralServer, say: Say) -> None:
    manager = open_mistral()
    session = await manager.create_session("user", "mistral", MODEL)
    await session.send_message("one")
    mistral.fault(ARRIVED["broken off at once"])
    await say(session, "two")
    rows = await rows_of(manager, "SELECT state, mode, retries, rebuilds FROM turns ORDER BY turn_index")
    assert [tuple(row.values()) for row in rows] == [("completed", "native", 0, 0), ("completed", "native", 1, 0)]
    assert sent(mistral)["inputs"] == [{**USER, "content": "two"}]
