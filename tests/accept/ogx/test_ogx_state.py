"""Native threads over the real OpenAI SDK against ogx, a server of another project that really keeps them.

aimock is the model behind ogx. A reply scripted for one `turn` is served only when ogx put as many answers before the
model: so it proves what ogx had kept, as the session itself sends no more than what is new (mode `native`).

Where ogx 1.5.0 is not like OpenAI, as seen here: a thread that is gone is told within a 200 stream, as an error whose
code is "404"; a request that does not stream gets 404 with `detail` in place of `error`; a response that was being made
when ogx was killed stays `in_progress` for ever; `response.conversation` is null; items list a string as a string; what
the model's server refuses comes back as a failure of ogx's own. So rate limits and the words of OpenAI's own errors are
tested elsewhere, against the project's own server.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langswarm_sessions import Session, SessionManager
from langswarm_sessions.errors import IncompleteStreamError
from tests.accept.ogx.ogx_server import MODEL, OgxServer
from tests.session.kit import Rows, rows_of, until
from tests.support.aimock import Aimock

pytestmark = pytest.mark.accept

SECONDS = 10
"""A request may take; half of it is how long an answer is waited for that ogx began before it was killed."""
LINES = [f"line {number}" for number in range(6)]


@pytest.fixture(params=["node", "log"])
async def session(request: pytest.FixtureRequest, manager: SessionManager) -> Session:
    """A conversation that ogx keeps: as responses that follow each other, and as one conversation."""
    return await manager.create_session(
        "ada", "openai", MODEL, provider_config={"native": request.param, "timeout": SECONDS}, strategy="native"
    )


@pytest.fixture
def told(aimock: Aimock) -> Aimock:
    """The model, which answers line n only if the n answers before it are in what it is given."""
    for number, line in enumerate(LINES):
        aimock.reply(f"answer {number}", to=line, turn=number)
    return aimock


async def say(session: Session, number: int, *, as_stream: bool = False, **options: Any) -> None:
    """Say a line, which must be answered as it can only be by a model that was given all lines before."""
    if as_stream:
        heard = "".join([text async for text in session.send_message_stream(LINES[number], **options)])
    else:
        heard = (await session.send_message(LINES[number], **options)).content
    assert heard == f"answer {number}"


async def turns(manager: SessionManager) -> Rows:
    return await rows_of(manager, "SELECT state, mode, rebuilds FROM turns ORDER BY turn_index")


async def stored(session: Session) -> list[str]:
    return [message.content for message in await session.get_messages()]


def transcript(lines: int) -> list[str]:
    return [text for number in range(lines) for text in (LINES[number], f"answer {number}")]


def given(model: Aimock) -> list[str]:
    """Return what the model was given with the newest request."""
    return [message["content"] for message in model.requests()[-1]["messages"]]


def delete_thread(ogx: OgxServer, thread: str) -> None:
    with ogx.client() as client:
        if thread.startswith("conv_"):
            assert client.conversations.delete(thread).deleted
        else:
            client.responses.delete(thread)


async def test_ogx_keeps_the_thread_and_its_death_between_turns_changes_nothing(
    session: Session, manager: SessionManager, ogx: OgxServer, told: Aimock
) -> None:
    await say(session, 0)
    await say(session, 1, as_stream=True)
    for number in (2, 3):
        await asyncio.to_thread(ogx.restart)
        await say(session, number, as_stream=number == 3)
    assert given(told) == transcript(4)[:-1]
    assert await stored(session) == transcript(4)
    assert await turns(manager) == [{"state": "completed", "mode": "native", "rebuilds": 0}] * 4


async def test_a_thread_that_was_deleted_is_healed_within_the_turn(
    session: Session, manager: SessionManager, ogx: OgxServer, told: Aimock
) -> None:
    await say(session, 0)
    await say(session, 1)
    lost = session.provider_session_id
    assert lost is not None
    delete_thread(ogx, lost)
    await say(session, 2, as_stream=True)
    assert session.provider_session_id not in (None, lost)
    await say(session, 3)
    assert given(told) == transcript(4)[:-1]
    assert [row["rebuilds"] for row in await turns(manager)] == [0, 0, 1, 0]


async def test_death_in_the_middle_of_a_turn_is_waited_out(session: Session, ogx: OgxServer, told: Aimock) -> None:
    await say(session, 0)
    await say(session, 1)
    told.reset()
    slow = {"match": {"userMessage": LINES[2], "turnIndex": 2}, "response": {"content": "answer 2"}}
    told.add({**slow, "latency": 1000, "chunkSize": 2})
    asking = asyncio.create_task(session.send_message(LINES[2]))
    await until(lambda: bool(told.requests()))
    ogx.kill()
    told.reset()
    for number in (2, 3):
        told.reply(f"answer {number}", to=LINES[number], turn=number)
    await asyncio.to_thread(ogx.start)
    assert (await asking).content == "answer 2"
    await say(session, 3)
    assert given(told) == transcript(4)[:-1], "nothing is missing, and nothing stands twice"
    assert await stored(session) == transcript(4)


async def test_death_in_the_middle_of_a_stream_fails_it_and_its_key_asks_again(
    session: Session, ogx: OgxServer, told: Aimock
) -> None:
    await say(session, 0)
    told.reset()
    slow = {"match": {"userMessage": LINES[1], "turnIndex": 1}, "response": {"content": "answer 1"}}
    told.add({**slow, "latency": 300, "chunkSize": 2})
    shown: list[str] = []

    async def read() -> None:
        async for text in session.send_message_stream(LINES[1], idempotency_key="once"):
            shown.append(text)
            ogx.kill()

    with pytest.raises(IncompleteStreamError):
        await read()
    assert "answer 1".startswith("".join(shown))
    told.reset()
    for number in (1, 2):
        told.reply(f"answer {number}", to=LINES[number], turn=number)
    await asyncio.to_thread(ogx.start)
    await say(session, 1, as_stream=True, idempotency_key="once")
    await say(session, 2)
    assert given(told) == transcript(3)[:-1], "nothing is missing, and nothing stands twice"
    assert await stored(session) == transcript(3)
