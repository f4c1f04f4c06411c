"""The counterparties of the matrix behind one face: a server of ours, a chat model, the mock provider."""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langswarm_sessions import Session
from tests.support.chat_model import JudgedChat
from tests.support.provider_server.gates import Gate
from tests.support.provider_server.server import ProviderServer

if TYPE_CHECKING:
    from langswarm_sessions.providers.mock import MockProviderSession

__all__ = ["ChatModelParty", "MockParty", "Party", "ServerParty"]


class Party(ABC):
    """Whom a session talks to."""

    def start(self) -> None:  # noqa: B027  (there may be nothing to start)
        """Begin to answer."""

    def stop(self) -> None:  # noqa: B027
        """Stop answering; every connection must be closed by now."""

    @abstractmethod
    def calm(self, session: Session) -> None:
        """Let nothing go wrong any more, and come to rest."""

    @abstractmethod
    def speak_slowly(self, session: Session) -> None:
        """Say the first word of the next answer, and the others when calm is restored."""

    @abstractmethod
    def credential(self, timeout: float | None) -> Any:
        """Return what `providers={name: ...}` takes; ``timeout`` in seconds of silence."""

    @abstractmethod
    def asked(self, session: Session) -> int:
        """Return how many requests for an answer came so far."""

    @abstractmethod
    def contexts(self) -> list[str]:
        """Return what the user said in every context a model answered, run together."""

    def check(self) -> None:  # noqa: B027
        """Demand that every request was one a real provider would take, and that no connection is left."""


class ServerParty(Party):
    """A loopback server, asked over HTTP with the provider's own SDK."""

    def __init__(self, server: ProviderServer[Any, Any]) -> None:
        self.server = server
        self.gate = Gate()

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.gate.open()
        self.server.stop()

    def speak_slowly(self, session: Session) -> None:
        self.gate.permit()
        self.server.script(replace(self.server.make_reply("half of it"), gate=self.gate))

    def calm(self, session: Session) -> None:
        self.gate.open()
        self.gate = Gate()
        self.server.calm()
        if not self.server.is_running:
            self.server.start()
        self.server.wait_until_idle()

    def credential(self, timeout: float | None) -> Any:
        return {**self.server.credential, **({} if timeout is None else {"timeout": timeout})}

    def asked(self, session: Session) -> int:
        return len(self.server.posts)

    def contexts(self) -> list[str]:
        return [" ".join(view.user_texts) for view in self.server.model_views]

    def check(self) -> None:
        self.server.wait_for_connections(0)
        assert self.server.violations == []


class ChatModelParty(Party):
    """A chat model of LangChain; its SDK's errors are raised in its stead."""

    def __init__(self) -> None:
        self.model = JudgedChat(model="judged-1")
        self._may_go_on = asyncio.Event()

    @property
    def strings(self) -> Any:
        """What pulls the model's strings."""
        return self.model.party

    def speak_slowly(self, session: Session) -> None:
        said, may_go_on = itertools.count(), self._may_go_on

        async def wait() -> None:
            if next(said):
                await may_go_on.wait()

        self.strings.say("half of it")
        self.strings.before_chunk = wait

    def calm(self, session: Session) -> None:
        self._may_go_on.set()
        self._may_go_on = asyncio.Event()
        self.strings.faults.clear()
        self.strings.script.clear()
        self.strings.before_chunk = None

    def credential(self, timeout: float | None) -> Any:
        return self.model

    def asked(self, session: Session) -> int:
        return len(self.strings.calls)

    def contexts(self) -> list[str]:
        return [" ".join(asked.user_texts) for asked in self.strings.calls]


class MockParty(Party):
    """The mock provider: it fails as its session is told."""

    def __init__(self) -> None:
        self._may_go_on = asyncio.Event()

    def speak_slowly(self, session: Session) -> None:
        may_go_on = self._may_go_on

        async def say() -> AsyncIterator[str]:
            yield "half "
            await may_go_on.wait()

        self.live(session).set_responses([say()])

    def calm(self, session: Session) -> None:
        self._may_go_on.set()
        self._may_go_on = asyncio.Event()
        live: Any = self.live(session)
        live._connection.script(session.session_id).faults.clear()

    def credential(self, timeout: float | None) -> Any:
        return None

    def asked(self, session: Session) -> int:
        return len(self.live(session).requests)

    def contexts(self) -> list[str]:
        return []

    @staticmethod
    def live(session: Session) -> MockProviderSession:
        """Return the session's live mock session."""
        live: Any = session.provider_session
        return live  # type: ignore[no-any-return]
