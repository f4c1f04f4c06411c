"""Summaries of what falls out of the window: beside the transcript, steady, incremental, never in a turn's way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from langswarm_sessions import ConfigurationError, Session, SessionManager, SessionMessage
from langswarm_sessions.turns import summaries
from tests.session.kit import OpenManager, rows_of
from tests.storage.lists import Lists
from tests.support.recorded import Recorded

HEADING = "Summary of the conversation so far:\n\n"


class Writer:
    """A summariser that says which messages it was given."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []
        self.trouble: Exception | None = None

    async def __call__(self, messages: Sequence[SessionMessage]) -> str:
        self.given.append([message.content for message in messages])
        if self.trouble is not None:
            raise self.trouble
        return f"summary {len(self.given)}"


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture(params=["memory", "sqlite", "lists"])
def storage(request: pytest.FixtureRequest) -> Any:
    return Lists() if request.param == "lists" else str(request.param)


def saying(answer: Any) -> Any:
    def summarise(messages: Sequence[SessionMessage]) -> Any:
        return answer

    return summarise


def counting(messages: Sequence[SessionMessage]) -> str:
    return f"{len(messages)} messages"


async def talked(manager: SessionManager, turns: int, **config: Any) -> Session:
    settings = {"max_messages": 10, **config}
    session = await manager.create_session("user", "mock", "m", strategy="client", session_config=settings)
    await session.send_system_message("Always.")
    for number in range(turns):
        await session.send_message(f"question {number}")
    return session


def sent(session: Session, at: int = -1) -> list[str]:
    return [message.content for message in session.provider_session.requests[at].messages]


async def test_what_falls_out_is_summarised_beside_the_transcript(
    storage: Any, open_manager: OpenManager, writer: Writer
) -> None:
    session = await talked(open_manager(storage, summarizer=writer), 6)
    assert writer.given == [
        ["question 0", "Mock response to: question 0", "question 1", "Mock response to: question 1"]
    ]
    assert sent(session)[:3] == ["Always.", HEADING + "summary 1", "question 2"]
    assert session.provider_session.requests[-1].messages[1].role == "system"
    summary = await session.get_summary()
    assert summary is not None
    assert (summary.text, summary.up_to_seq, summary.provider) == ("summary 1", 5, None)
    assert "summary 1" not in repr(summary)
    messages = await session.get_messages()
    assert len(messages) == 13, "the transcript is whole, and the summary no part of it"
    assert all("summary" not in message.content for message in messages)
    exported = await session.export_conversation()
    assert exported["summary"]["text"] == "summary 1"


async def test_it_stays_the_same_until_the_next_one_which_goes_on_from_it(
    open_manager: OpenManager, writer: Writer
) -> None:
    session = await talked(open_manager("memory", summarizer=writer), 12)
    heads = [sent(session, at)[1] for at in range(12)]
    told = [head for head in heads if head.startswith(HEADING)]
    assert len(writer.given) < len(told), "not every turn makes a new one"
    for before, after in zip(writer.given, writer.given[1:], strict=False):
        assert after[0].startswith(HEADING), "the summary so far"
        assert not set(after[1:]) & set(before), "and only what it does not cover"
    said = [text for given in writer.given for text in given if not text.startswith(HEADING)]
    window = sent(session)
    whole = [message.content for message in await session.get_messages(role="user")]
    assert [text for text in [*said, *window] if text in whole] == whole, "nothing is lost, nothing told twice"


async def test_short_conversations_cost_nothing(open_manager: OpenManager, writer: Writer) -> None:
    session = await talked(open_manager("memory", summarizer=writer), 3)
    assert writer.given == []
    assert await session.get_summary() is None


@pytest.mark.parametrize("trouble", [RuntimeError("secret"), ValueError("secret")])
async def test_a_failing_summariser_is_done_without(
    trouble: Exception,
    open_manager: OpenManager,
    writer: Writer,
    recorded: Recorded,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer.trouble = trouble
    clock = [1_000.0]
    monkeypatch.setattr(summaries, "monotonic", lambda: clock[0])
    with caplog.at_level(logging.WARNING, logger="langswarm_sessions"):
        session = await talked(open_manager("memory", summarizer=writer, telemetry=recorded.telemetry()), 8)
    assert len(writer.given) == 1, "it is left alone for a while"
    assert sent(session)[0] == "Always."
    assert not sent(session)[1].startswith(HEADING)
    assert len(sent(session)) <= 11
    assert "was not summarised (" + type(trouble).__name__ in caplog.text
    assert "secret" not in caplog.text
    events = [event.name for span in recorded.spans for event in span.events]
    assert events.count("langswarm.session.summary_failed") == 1
    writer.trouble, clock[0] = None, 2_000.0
    await session.send_message("once more")
    assert sent(session)[1] == HEADING + "summary 2"


async def test_a_slow_summariser_is_not_waited_for(open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(messages: Sequence[SessionMessage]) -> str:
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(summaries, "LONGEST_SECONDS", 0.02)
    session = await talked(open_manager("memory", summarizer=never), 7)
    assert (await session.get_messages())[-1].content == "Mock response to: question 6"


async def test_what_is_stored_is_sent_although_its_writer_fails(open_manager: OpenManager, writer: Writer) -> None:
    manager = open_manager("memory", summarizer=writer)
    session = await talked(manager, 6)
    writer.trouble = RuntimeError("down")
    await talked(manager, 7)
    for number in range(3):
        await session.send_message(f"more {number}")
        assert sent(session)[1] == HEADING + "summary 1"


async def test_it_goes_on_from_what_is_stored_while_another_session_s_writer_rests(
    open_manager: OpenManager, writer: Writer
) -> None:
    manager = open_manager("memory", summarizer=writer)
    writer.trouble = RuntimeError("down")
    await talked(manager, 7)
    writer.trouble = None
    session = await talked(manager, 7)
    assert sent(session)[1] == HEADING + "summary 2"


async def test_a_turn_that_has_no_time_tells_nothing_of_the_writer(open_manager: OpenManager) -> None:
    slow = [True]

    async def summarise(messages: Sequence[SessionMessage]) -> str:
        if slow.pop() if slow else False:
            await asyncio.Event().wait()
        return "in time"

    session = await talked(open_manager("memory", summarizer=summarise), 5)
    await session.send_message("hurry", timeout=2)
    assert not sent(session)[1].startswith(HEADING)
    await session.send_message("no hurry")
    assert sent(session)[1] == HEADING + "in time"


async def test_a_writer_is_given_as_much_as_it_takes_and_what_it_did_is_kept(
    open_manager: OpenManager, writer: Writer
) -> None:
    manager = open_manager("memory", summarizer=writer)
    session = await manager.create_session("user", "mock", "m", strategy="client")
    for number in range(75):
        await session.add_message("user", f"{number} " + "w " * 2_000)
        await session.add_message("assistant", "w " * 2_000)
    await session.send_message("go")
    assert len(writer.given[0]) < 31, "thirty thousand tokens at once"
    assert len(writer.given) > 1
    assert all(given[0].startswith(HEADING) for given in writer.given[1:]), "each goes on from the one before"
    window = session.provider_session.requests[-1].messages
    assert window[1].seq == (await session.get_summary()).up_to_seq + 1  # type: ignore[union-attr]


async def test_a_summary_takes_a_quarter_of_the_window_at_most(open_manager: OpenManager) -> None:
    manager = open_manager("memory", summarizer=saying("word " * 3_000))
    session = await talked(manager, 30, max_messages=None, max_tokens_window=400)
    assert (await session.get_summary()).tokens > 400  # type: ignore[union-attr]
    assert len(sent(session)) > 10
    assert len(sent(session)[1]) <= 400 + len(HEADING)


async def test_a_summarizer_that_cannot_work_is_refused_later_as_well(open_manager: OpenManager) -> None:
    session = await open_manager("memory").create_session("user", "mock", "m")
    with pytest.raises(ConfigurationError, match="nobody"):
        await session.update_config({"summarizer": "nobody/model"})
    assert session.config.summarizer is None


@pytest.mark.parametrize("nothing", ["", "  ", None, 7])
async def test_what_is_no_summary_is_none(nothing: Any, open_manager: OpenManager) -> None:
    session = await talked(open_manager("memory", summarizer=saying(nothing)), 7)
    assert await session.get_summary() is None


async def test_a_plain_function_will_do(open_manager: OpenManager) -> None:
    session = await talked(open_manager("memory", summarizer=counting), 7)
    assert sent(session)[1] == HEADING + "4 messages"


async def test_a_provider_can_write_in_requests_of_its_own(open_manager: OpenManager) -> None:
    manager = open_manager("memory", summarizer="mock/writer")
    session = await talked(manager, 7)
    summary = await session.get_summary()
    assert summary is not None
    assert (summary.provider, summary.model) == ("mock", "writer")
    assert summary.text.startswith("Mock response to: user: question 0")
    assert len(session.provider_session.requests) == 7, "it was not asked through the session's own provider session"
    assert await rows_of(manager, "SELECT count(*) AS n FROM messages WHERE content LIKE '%user: question%'") == [
        {"n": 0}
    ]


async def test_a_session_chooses_for_itself(open_manager: OpenManager, writer: Writer) -> None:
    manager = open_manager("memory", summarizer=writer)
    silent = await talked(manager, 7, summarizer="none")
    assert await silent.get_summary() is None
    own = await talked(manager, 7, summarizer="mock/own")
    assert (await own.get_summary()).model == "own"  # type: ignore[union-attr]
    assert writer.given == []


async def test_clearing_drops_it(open_manager: OpenManager, writer: Writer) -> None:
    session = await talked(open_manager("memory", summarizer=writer), 7)
    await session.clear_messages()
    assert await session.get_summary() is None
    assert (await session.export_conversation())["summary"] is None
    await session.send_message("anew")
    assert sent(session) == ["anew"]


async def test_a_rebuild_is_given_it_as_well(open_manager: OpenManager, writer: Writer) -> None:
    manager = open_manager("memory", summarizer=writer)
    session = await manager.create_session("user", "mock", "m", session_config={"max_messages": 6})
    for number in range(6):
        await session.send_message(f"question {number}")
    session.provider_session.forget()
    await session.send_message("still with me?")
    assert sent(session)[0] == HEADING + "summary 1"
    await session.send_message("and now?")
    assert sent(session) == ["and now?"], "the provider holds it now"


async def test_another_process_goes_on_from_it(open_manager: OpenManager, writer: Writer) -> None:
    session = await talked(open_manager(summarizer=writer), 6)
    there = await open_manager(summarizer=writer).get_session(session.session_id)
    await there.send_message("question 6")
    assert sent(there)[1] == sent(session)[1]


async def test_explain_tells_what_is_and_what_would_be_summarised(open_manager: OpenManager, writer: Writer) -> None:
    session = await talked(open_manager("memory", summarizer=writer), 5)
    before = await session.explain("question 5")
    assert (before.to_summarise, before.dropped, before.summarised_up_to) == (4, 0, None)
    assert writer.given == [], "looking summarises nothing"
    await session.send_message("question 5")
    after = await session.explain("question 6")
    assert (after.to_summarise, after.dropped, after.summarised_up_to) == (0, 0, 5)
    assert [message.is_summary for message in after.messages[:3]] == [False, True, False]
    assert "a summary stands for the transcript up to 5" in str(after)


async def test_a_summarizer_that_cannot_work_is_refused(open_manager: OpenManager) -> None:
    with pytest.raises(ConfigurationError, match="summarizer"):
        open_manager("memory", summarizer=7)
    manager = open_manager("memory", summarizer="nobody/model")
    with pytest.raises(ConfigurationError, match="nobody"):
        await manager.create_session("user", "mock", "m")
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        await open_manager("memory").create_session("user", "mock", "m", session_config={"summarizer": "openai/x"})
