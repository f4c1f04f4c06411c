"""A user's own small ProviderSession, made into what the turn engine needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from functools import cache
from typing import Any, cast

from langswarm_sessions.calling import call, takes
from langswarm_sessions.errors import (
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SessionError,
)
from langswarm_sessions.interfaces.provider import (
    Completed,
    EngineSession,
    ProviderEvent,
    ProviderProfile,
    ProviderRequest,
    ProviderSession,
    Started,
    TextDelta,
)
from langswarm_sessions.interfaces.traffic import TrafficRules
from langswarm_sessions.messages import Role, SessionMessage, TextPart, ToolResult
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS
from langswarm_sessions.records import NativeKind, Usage

__all__ = ["SimpleProvider", "takes_history"]

_HISTORY = frozenset({"history"})
_END = object()


class SimpleProvider(EngineSession):
    """Wraps a user's ProviderSession: async or not, with as many parameters as it cares for.

    Its `send_message` (or `send_message_stream`, when it has one) is given the newest message, and the conversation
    before it when it has a parameter `history`. Without one it owns its history.

    Args:
        wrapped: The user's object; `wrapped` stays reachable under this name.
        provider: The name it is registered under.
        model: The session's model; by default the object's own attribute `model`.
        traffic: What its requests are held to; None: nothing.
    """

    __slots__ = ("_traffic", "model", "name", "profile", "wrapped")

    # Other providers are one class each; here every wrapped object has a name and abilities of its own.
    name: str  # type: ignore[misc]
    profile: ProviderProfile  # type: ignore[misc]

    def __init__(
        self,
        wrapped: ProviderSession,
        *,
        provider: str = "custom",
        model: str | None = None,
        traffic: TrafficRules | None = None,
    ) -> None:
        self.wrapped = wrapped
        self._traffic = traffic
        self.name = provider  # pyright: ignore[reportIncompatibleVariableOverride]
        profile = _profile(provider, is_replayed=takes_history(wrapped))
        self.profile = profile  # pyright: ignore[reportIncompatibleVariableOverride]
        self.model = model if model is not None else str(getattr(wrapped, "model", ""))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {type(self.wrapped).__name__}>"

    @property
    def traffic(self) -> TrafficRules | None:
        """What its requests are held to; None: nothing."""
        return self._traffic

    @property
    def provider_session_id(self) -> str | None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """The user's own id of the conversation."""
        value: object = getattr(self.wrapped, "provider_session_id", None)
        return value if isinstance(value, str) else None

    async def send_message(
        self, content: str, role: str = Role.USER, metadata: dict[str, Any] | None = None
    ) -> SessionMessage | str:
        """Ask the user's object directly; nothing is recorded."""
        values = {"content": content, "role": role, "metadata": metadata}
        answer: SessionMessage | str = await self._call("send_message", values)
        return answer

    async def get_provider_metadata(self) -> dict[str, Any]:
        """Return what the user's object tells of itself."""
        return dict(await self._call("get_provider_metadata", {}) or {})

    async def update_provider_config(self, config: dict[str, Any]) -> None:
        """Hand changed settings to the user's object."""
        await self._call("update_provider_config", {"config": config})

    async def cleanup_provider_resources(self) -> None:
        """Let the user's object release what it holds."""
        await self._call("cleanup_provider_resources", {})

    async def stream_turn(self, request: ProviderRequest) -> AsyncIterator[ProviderEvent]:
        """Ask the user's object and yield its answer, in pieces when it streams."""
        values = _arguments(request)
        yield Started()
        try:
            if not request.streamed or getattr(self.wrapped, "send_message_stream", None) is None:
                answer = self._message_of(await self._call("send_message", values))
                if answer.content:
                    yield TextDelta(answer.content)
            else:
                pieces: list[str] = []
                async with aclosing(_iterate(await self._call("send_message_stream", values))) as stream:
                    async for piece in stream:
                        pieces.append(self._text_of(piece))
                        yield TextDelta(pieces[-1])
                answer = SessionMessage(role=Role.ASSISTANT, parts=[TextPart("".join(pieces))])
        except SessionError:
            raise
        except Exception as error:  # the user's code may raise anything: it is named, its text may hold content
            raise self.translate(error) from error
        yield self._completed(answer)

    def translate(self, error: Exception) -> Exception:
        """Return a ProviderError that names the class of a foreign error, not its text."""
        if isinstance(error, SessionError):
            return error
        kind = type(error).__name__
        if isinstance(error, TimeoutError):
            return ProviderTimeoutError(f"{self.name}: no answer in time ({kind}). Try again.", provider=self.name)
        if isinstance(error, OSError):
            return ProviderUnavailableError(f"{self.name}: not reachable ({kind}). Try later.", provider=self.name)
        return ProviderError(
            f"{self.name}: {type(self.wrapped).__name__} raised {kind}. Correct it, or raise an error of "
            "langswarm_sessions.errors to say what is to be done.",
            provider=self.name,
        )

    async def _call(self, method: str, values: Mapping[str, Any]) -> Any:
        function = getattr(self.wrapped, method, None)
        return await call(function, values, by_name_only=_HISTORY) if function is not None else None

    def _message_of(self, answer: object) -> SessionMessage:
        if isinstance(answer, SessionMessage):
            answer.align()
            return answer
        data = {"content": answer} if isinstance(answer, str) else _as_mapping(answer)
        if not isinstance(data.get("content"), str):
            raise self._wrong("send_message", "a SessionMessage, a str, or a dict with 'content'", answer)
        return SessionMessage(
            role=Role.ASSISTANT,
            content=data["content"],
            message_id=str(data.get("message_id") or data.get("id") or ""),
            provider_metadata={name: data[name] for name in ("usage", "model", "finish_reason") if name in data},
        )

    def _text_of(self, piece: object) -> str:
        if isinstance(piece, str):
            return piece
        raise self._wrong("send_message_stream", "pieces of str", piece)

    def _wrong(self, method: str, expected: str, got: object) -> ProviderError:
        return ProviderError(
            f"{self.name}: {type(self.wrapped).__name__}.{method} must give {expected}, not {type(got).__name__}.",
            provider=self.name,
        )

    def _completed(self, answer: SessionMessage) -> Completed:
        told = answer.provider_metadata
        return Completed(
            parts=tuple(answer.parts),
            model=str(told.get("model") or self.model),
            usage=_usage(_as_mapping(told.get("usage"))),
            finish_reason=str(told["finish_reason"]) if told.get("finish_reason") else _finish_reason(answer),
            provider_message_id=answer.provider_message_id or answer.message_id or None,
            request_id=str(told["request_id"]) if told.get("request_id") else None,
            payload=answer.provider_payload,
        )


def takes_history(session: ProviderSession) -> bool:
    """Whether a user's ProviderSession can be given the conversation so far."""
    methods = [getattr(session, name, None) for name in ("send_message_stream", "send_message")]
    asked = [method for method in methods if method is not None]
    return bool(asked) and all(takes(method, "history") for method in asked)


@cache
def _profile(provider: str, *, is_replayed: bool) -> ProviderProfile:
    return ProviderProfile(
        native=NativeKind.NONE,
        client=is_replayed,
        owns_history=not is_replayed,
        config_keys=frozenset(DOCUMENTED_SETTINGS),
        otel_name=provider,
        takes_options=False,
    )


def _arguments(request: ProviderRequest) -> dict[str, Any]:
    """Return what a user's method may take: the newest message's text, role and metadata, and what came before."""
    if not request.messages:
        return {"content": "", "role": Role.USER, "metadata": {}, "history": []}
    *history, newest = request.messages
    return {
        "content": newest.content or _results_text(newest.tool_results),
        "role": newest.role,
        "metadata": dict(newest.metadata),
        "history": history,
    }


def _results_text(results: list[ToolResult]) -> str:
    return "\n".join(result.content for result in results)


def _as_mapping(value: object) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


async def _iterate(stream: AsyncIterable[object] | Iterable[object]) -> AsyncGenerator[object, None]:
    if not isinstance(stream, AsyncIterable):
        pieces = iter(stream)
        while (piece := await asyncio.to_thread(next, pieces, _END)) is not _END:  # it may block until there is one
            yield piece
        return
    try:
        async for piece in stream:
            yield piece
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


def _usage(counts: Mapping[str, Any]) -> Usage:
    def count(*names: str) -> int:
        return next((counts[name] for name in names if isinstance(counts.get(name), int)), 0)

    sent, made = count("input_tokens", "prompt_tokens"), count("output_tokens", "completion_tokens")
    return Usage(
        input_tokens=sent,
        output_tokens=made,
        total_tokens=count("total_tokens") or sent + made,
        cached_tokens=count("cached_tokens"),
        reasoning_tokens=count("reasoning_tokens"),
        cache_write_tokens=count("cache_write_tokens"),
    )


def _finish_reason(answer: SessionMessage) -> str:
    return "tool_calls" if answer.tool_calls else "stop"
