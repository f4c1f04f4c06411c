"""For tests of what is odd in itself: each provider's server behind a relay, and a session with one turn behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import pytest

from langswarm_sessions import Session, SessionError, SessionManager, SessionMessage
from langswarm_sessions.providers.tools import parse_arguments
from tests.kills.kinds import KINDS, Kind
from tests.session.kit import AT_ONCE, OpenManager
from tests.support import anthropic_server, cohere_server, gemini_server, mistral_server, openai_server
from tests.support.relay import Answer, Relay

__all__ = [
    "FIRST",
    "KEY",
    "SECRET",
    "WIRES",
    "Ask",
    "Scene",
    "ask",
    "discreet",
    "refused",
    "replaced",
    "scene",
    "wire",
    "wires",
]

# Read by the same code as a way that is there already: for `make accept`.
_READ_AS_ANOTHER = {"openai log", "anthropic threads"}
WIRES = [
    pytest.param(kind, id=str(kind), marks=[pytest.mark.accept] if kind.name in _READ_AS_ANOTHER else [])
    for kind in KINDS
    if kind.server is not None
]
FIRST = [("one", "completed"), ("[1] You said: one", "completed")]
SECRET = "canary-7f3a"
"""Stands in what is said; must stand in no error."""
KEY = "loopback-0123456789"
"""Stands in every server's key."""

_PACKAGES: dict[str, Any] = {
    "openai": openai_server,
    "anthropic": anthropic_server,
    "gemini": gemini_server,
    "mistral": mistral_server,
    "cohere": cohere_server,
}

Ask = Callable[..., Awaitable[SessionMessage]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A provider's server behind a relay, and a session with one turn behind it."""

    kind: Kind
    server: Any
    relay: Relay
    manager: SessionManager
    session: Session
    _looked_at: list[int] = field(default_factory=lambda: [len(FIRST)])

    def script(self, **reply: Any) -> None:
        """Let the model say something next; see the `Reply` of its server."""
        self.server.script(_PACKAGES[self.kind.provider].Reply(**reply))

    def call(self, name: str, arguments: str = "{}", call_id: str | None = None) -> Any:
        """Return a tool call for `script`; its arguments may be no JSON."""
        make = _PACKAGES[self.kind.provider].ToolCall
        if self.kind.provider != "gemini":
            return make(name, arguments, call_id)
        given = parse_arguments(arguments)
        return make(name, None, arguments) if given is None else make(name, given)

    def fault(self, fault: Any, *, times: int = 1) -> None:
        """Let something befall the next requests for an answer."""
        where = {"on": "chat"} if self.kind.name == "openai chat" else {}
        self.server.fault(fault, times=times, **where)

    def calm(self) -> None:
        """Let nothing befall them any more."""
        self.server.calm()

    def spoil(self, old: bytes, new: bytes) -> None:
        """Change the bytes of the next answer."""
        self.relay.change(replaced(old, new))

    async def said(self) -> list[tuple[str, str]]:
        """Return text and status of everything in the transcript."""
        return [(message.content, str(message.status)) for message in await self.session.get_messages()]

    async def newest(self) -> list[tuple[str, str]]:
        """Return text and status of what stands in the transcript since the last look."""
        said = await self.said()
        newest = said[self._looked_at[0] :]
        self._looked_at[0] = len(said)
        return newest

    async def goes_on(self) -> None:
        """Demand that the next turn works, and that the model still knows how it all began."""
        self.relay.forget_changes()
        answer = await self.session.send_message("and now?")
        assert answer.content.endswith("and now?")
        assert self.server.model_views[-1].user_texts[0] == "one"
        assert (await self.said())[:2] == FIRST
        await self.newest()


def replaced(old: bytes, new: bytes) -> Callable[[Answer], Answer]:
    """Return a change of an answer's bytes; what is to be replaced must be there."""

    def change(answer: Answer) -> Answer:
        assert old in answer.body
        return answer.with_body(answer.body.replace(old, new))

    return change


def discreet(error: BaseException) -> None:
    """Demand that an error says what to do, and tells nothing of what was said and of the key."""
    told = f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
    assert SECRET not in told
    assert KEY not in told
    assert str(error).rstrip().endswith("."), "it ends with what to do"


async def refused(scene: Scene, asking: Awaitable[Any], error: type[SessionError]) -> SessionError:
    """Demand that a turn fails as it should: typed, discreet, its input stored at most, and nothing else changed."""
    with pytest.raises(error) as caught:
        await asking
    discreet(caught.value)
    assert [status for _, status in await scene.newest()] in ([], ["failed"])
    assert (await scene.said())[:2] == FIRST
    return caught.value


def wires(*but: str) -> pytest.MarkDecorator:
    """Run a test with all ways to talk to a provider but these."""
    return pytest.mark.parametrize("wire", [one for one in WIRES if one.id not in but], indirect=True)


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Kind:
    """Each way to talk to a provider over HTTP, in turn."""
    kind: Kind = request.param
    return kind


@pytest.fixture
async def scene(wire: Kind, open_manager: OpenManager) -> AsyncIterator[Scene]:
    """A server, a relay and a session over a database file; retries come at once."""
    assert wire.server is not None
    with ExitStack() as stack:
        server: Any = stack.enter_context(wire.server())
        relay = stack.enter_context(Relay(server.base_url))
        credential = {"api_key": server.api_key, "base_url": relay.base_url}
        manager = open_manager(providers={wire.provider: credential}, retry=AT_ONCE)
        session = await manager.create_session("user", wire.provider, "m", provider_config=dict(wire.config))
        await session.send_message("one")
        yield Scene(kind=wire, server=server, relay=relay, manager=manager, session=session)
        await manager.close()


@pytest.fixture
def ask(request: pytest.FixtureRequest, scene: Scene) -> Ask:
    """Say something, at once or in a stream: either way is half of the tests."""
    return _asking(scene, streamed=bool(crc32(request.node.name.encode()) % 2))


def _asking(scene: Scene, *, streamed: bool) -> Ask:
    async def send(text: Any, **options: Any) -> SessionMessage:
        return await scene.session.send_message(text, **options)

    async def stream(text: Any, **options: Any) -> SessionMessage:
        answer = scene.session.send_message_stream(text, **options)
        read = "".join([chunk async for chunk in answer])
        assert read == answer.message.content
        return answer.message

    return stream if streamed else send
