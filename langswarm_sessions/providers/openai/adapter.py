"""The live OpenAI session: one streamed request at a time, native operations, classified errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from langswarm_sessions.interfaces.provider import Completed, ProviderEvent, ProviderProfile, ProviderRequest
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.openai.asking import Asking
from langswarm_sessions.providers.openai.chat_turn import chat_events
from langswarm_sessions.providers.openai.client import OpenAIConnection, connect_openai
from langswarm_sessions.providers.openai.conversations import log_events, look_up
from langswarm_sessions.providers.openai.counting import counted_input
from langswarm_sessions.providers.openai.errors import OPENAI_FAILURES, foreign_errors, translate
from langswarm_sessions.providers.openai.profile import speaks_chat
from langswarm_sessions.providers.openai.request import is_kept
from langswarm_sessions.providers.openai.responses_turn import response_events
from langswarm_sessions.providers.remote import RemoteProviderSession
from langswarm_sessions.records import NativeKind, NativeState

__all__ = ["OpenAIProviderSession"]
_CHAT_CALLS = ("openai.resources.chat.completions:AsyncCompletions.create", "openai:AsyncOpenAI.request")
_RESPONSES_CALLS = ("openai.resources.responses:AsyncResponses.create", "openai:AsyncOpenAI.request")


class OpenAIProviderSession(RemoteProviderSession[OpenAIConnection]):
    """A conversation with an OpenAI model; the APIs it speaks and its settings are in docs/providers/openai.md."""

    __slots__ = ()

    name = "openai"

    @classmethod
    def connect(cls, credential: object) -> OpenAIConnection:
        """Return a connection of a credential."""
        return connect_openai(credential)

    @property
    def profile(self) -> ProviderProfile:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What OpenAI can do for this session; it depends on the settings `api`, `native` and `store`."""
        return self._connection.profile_for(self._config)

    def sdk_calls(self) -> Sequence[str]:
        """Name the SDK's functions that a request goes through."""
        return _CHAT_CALLS if speaks_chat(self._config) else _RESPONSES_CALLS

    async def reconcile(self, request: ProviderRequest) -> Completed | None:
        """Look for a turn in its conversation: return its answer, or None when nothing of it arrived."""
        return await self._asked(look_up(await self._asking(request), request))

    async def delete_native(self, native: NativeState) -> None:
        """Delete the conversation, or the newest response; one that is gone already is a success."""
        client = await self._connection.client(self._config)
        if native.kind is NativeKind.LOG:
            await self._deleted(client.conversations.delete(native.id))
        else:
            await self._deleted(client.responses.delete(native.id))

    async def count_tokens(self, request: ProviderRequest) -> int | None:
        """Let the provider count the input, what it keeps of the conversation included; Chat Completions cannot."""
        if speaks_chat(self._config):
            return None
        return await self._told(counted_input(await self._asking(request), request))

    def _foreign_errors(self) -> tuple[type[Exception], ...]:
        return foreign_errors()

    def _translated(self, error: Exception, *, continued: bool, streaming: bool) -> Exception:
        return translate(error, continued=continued, streaming=streaming)

    async def _asking(self, request: ProviderRequest) -> Asking:
        client = await self._connection.client(self._config)
        return Asking(
            connection=self._connection,
            client=client,
            session_id=self.session_id,
            model=self.model,
            config=self._config,
            seconds=self._seconds(request, client=client.timeout),
        )

    async def _events(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        kind, asking = self.profile.native, await self._asking(request)
        if request.native is not None and request.native.kind is not kind:
            raise OPENAI_FAILURES.lost(Failure())  # it was begun under other settings
        if speaks_chat(self._config):
            events = chat_events(asking, request)
        elif kind is NativeKind.LOG and is_kept(request, self._config):
            events = log_events(asking, request)
        else:
            events = response_events(asking, request)
        async with aclosing(events):
            async for event in events:
                yield event
