"""Where a load is played: a manager over a database file, providers on loopback, and the account of what was done."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langswarm_sessions import RetryPolicy, Session, SessionManager, SessionMessage
from langswarm_sessions.errors import SessionError
from langswarm_sessions.interfaces import SessionLifecycleHook
from tests.accept.tracing.account import Account, TurnAccount
from tests.accept.tracing.metered import Meter, MeteredAnthropic, MeteredOpenAI
from tests.support.openai_server import Gate, Reply

__all__ = ["ANTHROPIC_MODEL", "OPENAI_MODEL", "Stage", "on_stage"]

OPENAI_MODEL = "gpt-6-astra"
ANTHROPIC_MODEL = "claude-sonnet-5-5"
AT_ONCE = RetryPolicy(max_attempts=3, initial_delay=0, jitter=0)


class FailingHook(SessionLifecycleHook):
    """A user's hook that fails in some turns: the turn stays well."""

    async def on_message_sent(self, session_id: str, message: object) -> None:
        if session_id.startswith("hook"):
            raise LookupError("a fault of the hook")

    async def on_session_archived(self, session_id: str) -> None:
        raise LookupError("a fault of the hook")


@dataclass(slots=True, kw_only=True)
class Stage:
    """Sends, and writes down what was sent.

    Attributes:
        suffix: Ends every session's id; Phoenix tells sessions apart by their ids alone, whatever their project.
        manager: What is under load.
        openai: OpenAI's server.
        anthropic: Anthropic's server.
        meter: What the servers told of tokens.
        account: What was done.
    """

    suffix: str
    manager: SessionManager
    openai: MeteredOpenAI
    anthropic: MeteredAnthropic
    meter: Meter
    account: Account

    def named(self, name: str) -> str:
        """Return the id of a session of this load."""
        return name + self.suffix

    async def open(self, name: str, *, strategy: str = "hybrid", provider: str = "openai") -> Session:
        """Create a session."""
        model = ANTHROPIC_MODEL if provider == "anthropic" else OPENAI_MODEL
        session_id = self.named(name)
        self.account.session(session_id)
        config = {"agent_name": "support desk"}
        return await self.manager.create_session(
            "ada", provider, model, session_id=session_id, strategy=strategy, session_config=config
        )

    async def send(
        self,
        session: Session,
        text: str,
        *,
        ran: tuple[str, ...] = (),
        mended: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        """Send, and write down how it went.

        Args:
            session: Where.
            text: What.
            ran: Tools that the turn will run.
            mended: Spans that will fail although the turn goes well.
            **options: Of `Session.send_message`.
        """
        await self._written_down(session, text, session.send_message(text, **options), tools=ran, mended=mended)

    async def answer_tools(self, session: Session, results: list[dict[str, str]]) -> None:
        """Send the results of tools, which is a turn as well."""
        said = "\n".join(result["content"] for result in results)
        await self._written_down(session, said, session.send_tool_results(results), answers_tools=True)

    async def read(self, session: Session, text: str) -> None:
        """Send, and read the stream to its end."""

        async def reading() -> SessionMessage:
            stream = session.send_message_stream(text)
            heard = "".join([chunk async for chunk in stream])
            assert heard == stream.message.content
            return stream.message

        await self._written_down(session, text, reading())

    async def leave(self, session: Session, text: str, *, answer: tuple[str, ...]) -> None:
        """Send, and leave the stream after the first piece of the answer."""
        gate = Gate()
        self.openai.script(Reply(chunks=answer, gate=gate))
        gate.permit()
        async with session.send_message_stream(text) as stream:
            heard = await anext(stream)
        self.openai.wait_until_idle()
        self._note(session, text, answered=heard, failure="abandoned")

    async def _written_down(self, session: Session, text: str, sending: Awaitable[SessionMessage], **told: Any) -> None:
        before = self._posts()
        answered: str | None = None
        failure: str | None = None
        try:
            answered = (await sending).content
        except SessionError as error:
            failure = type(error).__name__
        self.openai.wait_until_idle()
        self.anthropic.wait_until_idle()
        self._note(session, text, answered=answered, failure=failure, chats=self._posts() - before, **told)

    def _note(self, session: Session, said: str, **told: Any) -> None:
        given, made = self.meter.read()
        turn = TurnAccount(said=said, input_tokens=given, output_tokens=made, **told)
        self.account.session(session.session_id).turns.append(turn)

    def did(self, session: Session, transition: str) -> None:
        """Write down what is no turn."""
        self.account.session(session.session_id).transitions.append(transition)

    def _posts(self) -> int:
        return len(self.openai.posts) + len(self.anthropic.posts)


@asynccontextmanager
async def on_stage(*, suffix: str, database: Path, account: Account) -> AsyncGenerator[Stage]:
    """Start the providers' servers and a manager, and stop them again.

    Args:
        suffix: Ends every session's id.
        database: The file that holds the sessions.
        account: What earlier loads did; added to.
    """
    with ExitStack() as servers:
        meter = Meter()
        openai = servers.enter_context(MeteredOpenAI(meter))
        anthropic = servers.enter_context(MeteredAnthropic(meter))
        manager = SessionManager(
            "sqlite",
            storage_config={"db_path": str(database)},
            providers={"openai": openai.credential, "anthropic": anthropic.credential},
            hooks=[FailingHook()],
            retry=AT_ONCE,
        )
        async with manager:
            yield Stage(
                suffix=suffix, manager=manager, openai=openai, anthropic=anthropic, meter=meter, account=account
            )
            assert openai.violations == [], openai.violations
            assert anthropic.violations == [], anthropic.violations
