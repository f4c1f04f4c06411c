"""A log may have grown by a request that failed: whatever happened, nothing stands in it twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from langswarm_sessions import (
    AuthenticationError,
    ProviderUnavailableError,
    RetryPolicy,
    Session,
    SessionError,
    SessionManager,
    SessionMiddleware,
    ToolCall,
)
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import SessionContext
from tests.session.kit import OpenManager, rows_of
from tests.support.recorded import Recorded
from tests.turns.logs import ask, known_to_both, log_session, native_of

IN_A_STREAM = ProviderUnavailableError("an error event inside an answer", status_code=200)


@dataclass(frozen=True)
class Case:
    """A fault of the second turn, and what becomes of that turn.

    `outcome` is "resent", "adopted" or "rebuilt" (answered all the same), "refused" (failed, and the log is as it was)
    or "doubted" (failed, and the next turn rebuilds).
    """

    fault: Any
    outcome: str
    streamed_outcome: str = ""
    stored: str | None = None
    after_chunks: int | None = None
    looks: int = 0

    def expected(self, streamed: bool) -> str:
        return self.streamed_outcome if streamed and self.streamed_outcome else self.outcome

    def __str__(self) -> str:
        fault = self.fault if isinstance(self.fault, str) else type(self.fault).__name__
        return f"{fault}-{self.stored}-{self.after_chunks}"


NOTHING, INPUT, ANSWER, LATER = "nothing", "input", "answer", "later"
BEFORE_THE_ANSWER = [
    Case(fault, outcome, stored=stored, after_chunks=0, looks=looks)
    for fault in ("timeout", "unavailable", "drop", "eof", IN_A_STREAM)
    for stored, outcome, looks in [
        (NOTHING, "resent", 1),
        (INPUT, "rebuilt", 1),
        (ANSWER, "adopted", 1),
        (LATER, "adopted", 2),
    ]
]
INSIDE_THE_ANSWER = [
    Case(fault, outcome, "doubted", stored=stored, after_chunks=1, looks=looks)
    for fault in ("drop", "eof", "timeout", "rate_limit")
    for stored, outcome, looks in [(NOTHING, "resent", 1), (INPUT, "rebuilt", 1), (ANSWER, "adopted", 1)]
]
REFUSALS = [Case("rate_limit", "resent"), Case("busy", "resent"), Case("lost", "rebuilt")] + [
    Case(fault, "refused") for fault in ("auth", "quota", "refused")
]
FOREIGN = [Case(ZeroDivisionError("oops"), "doubted", stored=stored) for stored in (NOTHING, INPUT, ANSWER)]
CASES = [*BEFORE_THE_ANSWER, *INSIDE_THE_ANSWER, *REFUSALS, *FOREIGN]


@pytest.fixture
async def session(manager: SessionManager) -> Session:
    return await log_session(manager)


@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_nothing_stands_twice_in_what_the_provider_holds(session: Session, case: Case, streamed: bool) -> None:
    mock, expected = session.provider_session, case.expected(streamed)
    await session.send_message("one")
    before = await native_of(session)
    mock.fail_next(case.fault, stored=case.stored, after_chunks=case.after_chunks)
    answered = expected in {"resent", "adopted", "rebuilt"}
    if answered:
        assert await ask(session, "two", streamed) == "Mock response to: two"
        await known_to_both(session)
    else:
        with pytest.raises((SessionError, ZeroDivisionError)):
            await ask(session, "two", streamed)
    assert len(mock.looks) == (case.looks if answered else 0)
    after = await native_of(session)
    assert (after["id"] == before["id"]) is (expected != "rebuilt")
    assert after["suspect"] is (expected == "doubted")
    assert await ask(session, "three", streamed) == "Mock response to: three"
    await known_to_both(session)
    assert (session.provider_session_id == before["id"]) is (expected not in {"rebuilt", "doubted"})
    metrics = await session.get_metrics()
    assert metrics.rebuilds == int(expected in {"rebuilt", "doubted"})
    assert [message.content for message in await session.get_messages(role="user")] == ["one", "two", "three"]


@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
async def test_an_adopted_answer_is_stored_once_with_its_usage(
    session: Session, manager: SessionManager, streamed: bool
) -> None:
    await session.send_message("one")
    tokens = (await session.get_metrics()).total_tokens
    session.provider_session.fail_next("timeout", stored="answer")
    await ask(session, "two", streamed)
    answers = await session.get_messages(role="assistant")
    assert [message.content for message in answers] == ["Mock response to: one", "Mock response to: two"]
    usage = answers[1].provider_metadata["usage"]
    assert usage["input_tokens"] > usage["cached_tokens"] > 0
    metrics = await session.get_metrics()
    assert (metrics.total_tokens - tokens, metrics.retries, metrics.total_messages) == (usage["total_tokens"], 1, 4)
    [turn] = await rows_of(manager, "SELECT total_tokens, retries, rebuilds FROM turns WHERE turn_index = 2")
    assert turn == {"total_tokens": usage["total_tokens"], "retries": 1, "rebuilds": 0}
    assert len(session.provider_session.requests) == 2


@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
async def test_an_adopted_answer_goes_through_the_middleware(open_manager: OpenManager, streamed: bool) -> None:
    manager = open_manager("memory", middleware=[Shouts()])
    session = await log_session(manager)
    session.provider_session.fail_next("drop", stored="answer")
    await ask(session, "one", streamed=False)
    session.provider_session.fail_next("timeout", stored="answer")
    assert await ask(session, "two", streamed) == "MOCK RESPONSE TO: TWO"
    assert (await session.get_messages())[-1].content == "MOCK RESPONSE TO: TWO"


class Shouts(SessionMiddleware):
    async def process_message(self, session_id: str, message: SessionMessage, context: SessionContext) -> None:
        message.content = message.content.upper()


@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
async def test_adopted_tool_calls_can_be_answered(session: Session, streamed: bool) -> None:
    await session.send_message("one")
    session.provider_session.set_responses([[ToolCall(id="a", name="clock"), ToolCall(id="b", name="clock")]])
    session.provider_session.fail_next("timeout", stored="answer")
    await ask(session, "time?", streamed)
    calls = (await session.get_messages())[-1].tool_calls
    assert [call.id for call in calls] == ["a", "b"]
    session.provider_session.fail_next("unavailable", stored="answer")
    told = await session.send_tool_results([{"tool_call_id": name, "content": f"of {name}"} for name in ("a", "b")])
    assert told.content == "Mock response to: of a, of b"
    assert (len(session.provider_session.requests), (await session.get_metrics()).rebuilds) == (3, 0)
    assert session.provider_session.seen[-1] == ("assistant", "Mock response to: of a, of b")


async def test_the_same_words_said_before_are_not_taken_for_the_answer(session: Session) -> None:
    await session.send_message("again")
    session.provider_session.set_responses(["another answer"])
    session.provider_session.fail_next("timeout", stored="nothing")
    assert (await session.send_message("again")).content == "another answer"
    assert [text for role, text in session.provider_session.seen if role == "user"] == ["again", "again"]


async def test_every_failure_is_looked_into(session: Session) -> None:
    """Sent, and stored only at the second attempt: resent once, then adopted."""
    await session.send_message("one")
    session.provider_session.fail_next("timeout", stored="nothing")
    session.provider_session.fail_next("unavailable", stored="answer")
    assert (await session.send_message("two")).content == "Mock response to: two"
    assert (len(session.provider_session.requests), len(session.provider_session.looks)) == (3, 2)
    assert (await session.get_metrics()).retries == 2
    await known_to_both(session)


@pytest.mark.parametrize("fault", ["unavailable", "busy", "rate_limit", "timeout"])
async def test_a_look_that_fails_is_tried_again_and_nothing_is_sent_meanwhile(session: Session, fault: str) -> None:
    await session.send_message("one")
    session.provider_session.fail_next("timeout", stored="answer")
    session.provider_session.fail_reconcile(fault)
    assert (await session.send_message("two")).content == "Mock response to: two"
    assert (len(session.provider_session.requests), len(session.provider_session.looks)) == (2, 2)
    await known_to_both(session)


async def test_what_cannot_be_looked_into_is_rebuilt_by_the_next_turn(session: Session) -> None:
    await session.send_message("one")
    session.provider_session.fail_next("timeout", stored="answer")
    session.provider_session.fail_reconcile("auth")
    with pytest.raises(AuthenticationError):
        await session.send_message("two")
    assert (await native_of(session))["suspect"]
    await session.send_message("three")
    await known_to_both(session)


async def test_a_conversation_deleted_meanwhile_is_rebuilt_at_once(session: Session) -> None:
    await session.send_message("one")
    session.provider_session.fail_next("timeout", stored="answer")
    session.provider_session.fail_reconcile("lost")
    assert (await session.send_message("two")).content == "Mock response to: two"
    await known_to_both(session)


async def test_a_rebuild_that_fails_does_not_bring_the_contradiction_back(session: Session) -> None:
    await session.send_message("one")
    before = await native_of(session)
    session.provider_session.fail_next("timeout", stored="input")
    session.provider_session.fail_next("auth")
    with pytest.raises(AuthenticationError):
        await session.send_message("two")
    assert await native_of(session) == {**before, "suspect": True}
    await session.send_message("three")
    await known_to_both(session)
    assert session.provider_session_id != before["id"]


async def test_a_rebuild_is_retried_without_a_look(session: Session) -> None:
    await session.send_message("one")
    session.provider_session.fail_next("timeout", stored="input")
    session.provider_session.fail_next("timeout", stored="answer")
    assert (await session.send_message("two")).content == "Mock response to: two"
    assert len(session.provider_session.looks) == 1, "a conversation nobody has the id of is given up"
    await known_to_both(session)


async def test_an_error_that_says_too_long_within_an_answer_leaves_a_doubt(session: Session) -> None:
    for text in ("one", "two"):
        await session.send_message(text)
    session.provider_session.fail_next("overflow", after_chunks=1)
    assert (await session.send_message("three")).content == "Mock response to: three"
    session.provider_session.fail_next("overflow", after_chunks=1)
    session.provider_session.fail_next("auth")
    with pytest.raises(AuthenticationError):
        await session.send_message("four")
    assert (await native_of(session))["suspect"]
    assert session.provider_session.looks == []


async def test_without_retries_the_turn_fails_and_the_next_one_rebuilds(open_manager: OpenManager) -> None:
    session = await log_session(open_manager("memory", retry=RetryPolicy(max_attempts=1)))
    await session.send_message("one")
    session.provider_session.fail_next("timeout", stored="answer")
    with pytest.raises(SessionError):
        await session.send_message("two")
    assert session.provider_session.looks == []
    await session.send_message("three")
    await known_to_both(session)


# What is told of it


@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
@pytest.mark.parametrize(
    ("stored", "outcomes"),
    [
        ("nothing", ["absent"]),
        ("answer", ["adopted"]),
        ("later", ["absent", "adopted"]),
        ("input", ["contradiction"]),
    ],
)
async def test_the_turns_span_says_what_was_found(
    open_manager: OpenManager, stored: str, outcomes: list[str], streamed: bool
) -> None:
    recorded = Recorded()
    manager = open_manager("memory", telemetry=recorded.telemetry())
    session = await log_session(manager)
    await session.send_message("one")
    recorded.exporter.clear()
    events = manager.session_events()
    session.provider_session.fail_next("timeout", stored=stored)
    await ask(session, "two", streamed)
    root = recorded.span("invoke_agent session")
    told = [dict(event.attributes or {}) for event in root.events if event.name == "langswarm.session.turn_reconciled"]
    assert told == [{"langswarm.reconcile.outcome": outcome} for outcome in outcomes]
    assert (root.attributes or {})["langswarm.turn.retries"] == len(outcomes)
    asked = [span.attributes or {} for span in recorded.spans if span.name == "chat m"]
    assert len(asked) == 2 - (outcomes == ["adopted"])
    assert all("gen_ai.request.previous_response.id" not in attributes for attributes in asked), "a log is no response"
    rebuilt = [span for span in recorded.spans if span.name == "langswarm.session.rebuild"]
    counted = [(point.attributes or {}).get("langswarm.rebuild.reason") for point in recorded.points(REBUILDS)]
    published = [(await anext(events)).type.value for _ in range(1 + len(rebuilt))]
    if outcomes == ["contradiction"]:
        assert [(span.attributes or {})["langswarm.rebuild.reason"] for span in rebuilt] == counted == ["corrupt"]
        assert published == ["session_rebuilt", "message_sent"]
    else:
        assert (rebuilt, counted, published) == ([], [], ["message_sent"])


REBUILDS = "langswarm.session.rebuilds"


async def test_a_provider_that_cannot_look_is_rebuilt(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    from langswarm_sessions.interfaces import EngineProvider
    from langswarm_sessions.providers import MockProviderSession

    monkeypatch.setattr(MockProviderSession, "reconcile", EngineProvider.reconcile)
    await session.send_message("one")
    session.provider_session.fail_next("timeout", stored="answer")
    assert (await session.send_message("two")).content == "Mock response to: two"
    assert (await session.get_metrics()).rebuilds == 1
    await known_to_both(session)
