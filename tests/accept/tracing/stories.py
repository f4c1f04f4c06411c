"""The stories of the load: each tells one session of its own, and together they meet everything a turn can meet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from tests.accept.tracing.stage import ANTHROPIC_MODEL, OPENAI_MODEL, Stage
from tests.importing.sources import Listed
from tests.support.openai_server import Reply, ToolCall, faults

__all__ = ["LATER", "STORIES", "Story", "put_away"]

Story = Callable[[Stage], Awaitable[None]]

CHAT = f"chat {OPENAI_MODEL}"
FIRST_TEXT = 5
"""Events of a stream up to, and with, its first piece of text."""


def clock(zone: str) -> str:
    """Tell the time.

    Args:
        zone: A zone's short name.
    """
    return f"noon in {zone}"


def weather(zone: str) -> str:
    """Tell the weather.

    Args:
        zone: A zone's short name.
    """
    raise LookupError(f"no weather in {zone}")


async def native(stage: Stage) -> None:
    """The provider keeps the thread; the answer to the third send is streamed."""
    session = await stage.open("native", strategy="native")
    await stage.send(session, "Where is my parcel?")
    await stage.send(session, "And when does it arrive?")
    await stage.read(session, "Can it be left with a neighbour?")


async def client(stage: Stage) -> None:
    """The session replays what was said."""
    session = await stage.open("client", strategy="client")
    await session.send_system_message("You are brief.")
    stage.did(session, "system message")
    await stage.send(session, "What is in stock?")
    await stage.read(session, "In which sizes?")
    await stage.send(session, "I take the blue one.")


async def rebuild(stage: Stage) -> None:
    """The provider loses the thread, and the turn that finds out heals it."""
    session = await stage.open("rebuild")
    await stage.send(session, "Please note my address.")
    await stage.send(session, "And my telephone number.")
    stage.openai.forget()
    await stage.send(session, "Which address did I give?", mended=(CHAT,))
    await stage.send(session, "Thank you.")


async def handoff(stage: Stage) -> None:
    """Another provider takes over, and hands back."""
    session = await stage.open("handoff")
    await stage.send(session, "Can you read this contract?")
    await session.handoff("anthropic", ANTHROPIC_MODEL)
    stage.did(session, "handoff")
    await stage.send(session, "Then summarise it.")
    await stage.read(session, "In one sentence.")
    await session.handoff("openai", OPENAI_MODEL)
    stage.did(session, "handoff")
    await stage.send(session, "Now translate that.")


async def tools(stage: Stage) -> None:
    """Tools run within the turn, in two rounds, and one fails; a third call is answered by the caller."""
    session = await stage.open("tools")
    both = (ToolCall("clock", {"zone": "UTC"}), ToolCall("weather", {"zone": "UTC"}))
    stage.openai.script(
        Reply(text="Let me look. ", tool_calls=both),
        Reply(text="And there? ", tool_calls=(ToolCall("clock", {"zone": "CET"}),)),
        "It is noon everywhere.",
    )
    await stage.send(
        session,
        "What time is it?",
        ran=("clock", "weather", "clock"),
        mended=("execute_tool weather",),
        tools=[clock, weather],
        run_tools=True,
    )
    stage.openai.script(Reply(text="One moment.", tool_calls=(ToolCall("clock", {"zone": "PST"}, call_id="call_1"),)))
    await stage.send(session, "And in California?", tools=[clock])
    await stage.answer_tools(session, [{"tool_call_id": "call_1", "content": "early morning in PST"}])
    await stage.send(session, "Good night.")


async def left(stage: Stage) -> None:
    """A reader leaves a stream; the next turn carries what was heard."""
    session = await stage.open("left")
    await stage.send(session, "Tell me a story.")
    await stage.leave(session, "A longer one.", answer=("Once upon ", "a time"))
    await stage.send(session, "Go on.")


async def failing(stage: Stage) -> None:
    """The provider refuses one request for good, and breaks an answer off; the turns around it are well."""
    session = await stage.open("failing")
    await stage.send(session, "First question.")
    stage.openai.fault(faults.http_error(400, message="scripted refusal"))
    await stage.send(session, "Second question.")
    stage.openai.fault(faults.cut_stream(after_events=FIRST_TEXT))
    await stage.read(session, "Third question.")
    await stage.send(session, "Fourth question.")


async def retried(stage: Stage) -> None:
    """A limit is waited out: the turn is well."""
    session = await stage.open("retried")
    stage.openai.fault(faults.rate_limit(retry_after=0.01))
    await stage.send(session, "Is anybody there?", mended=(CHAT,))
    await stage.send(session, "Hello?")


async def hooked(stage: Stage) -> None:
    """A user's hook fails after the answer is stored: the turn is well."""
    session = await stage.open("hook")
    await stage.send(session, "Does the hook work?", mended=("langswarm.hook",))


async def never_said(stage: Stage) -> None:
    """A session that lives and ends without a turn: it is no session of the backend."""
    session = await stage.open("silent")
    await session.add_message("user", "said elsewhere", timestamp=datetime.now(UTC))
    for transition in (session.archive, session.restore, session.delete):
        await transition()
        stage.did(session, transition.__name__)


async def kept(stage: Stage) -> None:
    """A session that is archived, restored and deleted around its turns."""
    session = await stage.open("kept")
    await stage.send(session, "Keep this for me.")
    for transition in (session.archive, session.restore):
        await transition()
        stage.did(session, transition.__name__)
    await stage.send(session, "Is it still there?")
    await session.clear_messages()
    for transition in (session.archive, session.restore, session.delete):
        await transition()
        stage.did(session, transition.__name__)


async def moved(stage: Stage) -> None:
    """A conversation comes from elsewhere, and is gone on with."""
    source = Listed([(stage.named("moved"), "I wrote to you last year.")])
    await stage.manager.import_from(source, user_id="ada", provider="openai", model=OPENAI_MODEL)
    session = await stage.manager.get_session(stage.named("moved"))
    stage.did(session, "import")
    await stage.send(session, "What did I write?")


async def again(stage: Stage) -> None:
    """Another process goes on with a session; the provider no longer knows its thread."""
    session = await stage.manager.get_session(stage.named("native"))
    await stage.send(session, "Are you still there?", mended=(CHAT,))


async def put_away(stage: Stage) -> None:
    """Everything is archived, deleted and purged by the clean-up."""
    await stage.manager.cleanup_inactive_sessions(days=0)
    await stage.manager.cleanup_archived_sessions(days=0)
    await stage.manager.cleanup_deleted_sessions(days=0)


STORIES: tuple[Story, ...] = (
    native,
    client,
    rebuild,
    handoff,
    tools,
    left,
    failing,
    retried,
    hooked,
    kept,
    moved,
    never_said,
)
LATER: tuple[Story, ...] = (again,)
