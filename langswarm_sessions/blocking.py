"""The blocking face: the same names without await. Every method is its async twin run on a loop thread."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from langswarm_sessions.bridge import Bridge, context_of_caller
from langswarm_sessions.config import SessionConfig
from langswarm_sessions.events import EventStream, Overflow, SessionEvent
from langswarm_sessions.handoff import HandoffReport
from langswarm_sessions.interfaces.hooks import SessionLifecycleHook, SessionMiddleware
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.messages import Content, SessionMessage
from langswarm_sessions.records import Page, SessionStatus
from langswarm_sessions.session import Session
from langswarm_sessions.turns import MessageStream, RunningTurn, TurnChunk

__all__ = ["BlockingEvents", "BlockingSession", "BlockingSessionManager", "BlockingStream", "BlockingTurn"]

P = ParamSpec("P")
T = TypeVar("T")


class _Wrapper:
    """Something async and the bridge it runs on.

    Attributes:
        wrapped: The async object inside.
        bridge: The loop thread its coroutines run on.
    """

    __slots__ = ("bridge", "wrapped")

    def __init__(self, wrapped: Any, bridge: Bridge) -> None:
        self.wrapped = wrapped
        self.bridge = bridge

    def __repr__(self) -> str:
        """Show what is wrapped."""
        return f"<blocking {self.wrapped!r}>"


def _waits(method: Callable[Concatenate[Any, P], Awaitable[T]]) -> Callable[Concatenate[Any, P], T]:
    """Make the blocking twin of a coroutine method."""

    @functools.wraps(method)
    def twin(self: _Wrapper, /, *args: P.args, **kwargs: P.kwargs) -> T:
        bridge, wrapped = self.bridge, self.wrapped
        return bridge.call(functools.partial(method, wrapped), *args, **kwargs)

    return twin


def _shows(name: str, *, of: str = "Session") -> Any:
    """Make the twin of an attribute."""
    return property(lambda self: getattr(self.wrapped, name), doc=f"See `{of}.{name}`.")


class BlockingStream(Iterator[str]):
    """The text of one answer as it comes; `message` is the stored answer when it has ended."""

    def __init__(self, stream: MessageStream, bridge: Bridge) -> None:
        self._stream = stream
        self.bridge = bridge

    @property
    def message(self) -> SessionMessage:
        """The stored answer, once the stream has ended."""
        return self._stream.message

    def __next__(self) -> str:
        """Return the next piece of text."""
        try:
            return self.bridge.call(self._stream.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """Leave the turn: what was read is stored as interrupted."""
        self.bridge.call(self._stream.aclose)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the turn."""
        self.close()


def _streams(
    method: Callable[Concatenate[Any, P], MessageStream],
) -> Callable[Concatenate[Any, P], BlockingStream]:
    """Make the blocking twin of a method that returns a stream."""

    @functools.wraps(method)
    def twin(self: _Wrapper, /, *args: P.args, **kwargs: P.kwargs) -> BlockingStream:
        stream = context_of_caller().run(method, self.wrapped, *args, **kwargs)
        return BlockingStream(stream, self.bridge)

    return twin


class BlockingTurn(_Wrapper):
    """A turn that goes on by itself; see `RunningTurn`."""

    __slots__ = ()

    id = _shows("id", of="RunningTurn")
    session_id = _shows("session_id", of="RunningTurn")
    is_done = _shows("is_done", of="RunningTurn")
    result = _waits(RunningTurn.result)
    cancel = _waits(RunningTurn.cancel)

    def read(self, after: int = 0) -> Iterator[TurnChunk]:
        """Yield the chunks after number `after`; see `RunningTurn.read`."""
        chunks = self.wrapped.read(after)
        try:
            while True:
                try:
                    yield self.bridge.call(chunks.__anext__)
                except StopAsyncIteration:
                    return
        finally:
            self.bridge.call(chunks.aclose)


class BlockingEvents(Iterator[SessionEvent]):
    """The events of a manager, waiting for each."""

    def __init__(self, events: EventStream, bridge: Bridge) -> None:
        self._events = events
        self.bridge = bridge

    @property
    def dropped(self) -> int:
        """How many events were lost to overflow."""
        return self._events.dropped

    def __next__(self) -> SessionEvent:
        """Return the next event."""
        try:
            return self.bridge.call(self._events.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """Unsubscribe."""
        self._events.close()


class BlockingProviderSession(_Wrapper):
    """A live provider session without await; what is not a coroutine is passed through."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        """Return the twin of a method, or the attribute itself."""
        found = getattr(self.wrapped, name)
        if not callable(found):
            return found

        @functools.wraps(found)
        def twin(*args: Any, **kwargs: Any) -> Any:
            result: Any = found(*args, **kwargs)
            if hasattr(result, "__anext__"):
                stream: AsyncIterator[Any] = result
                return self.bridge.iterate(lambda: stream)
            return self.bridge.call(_finish, result) if inspect.isawaitable(result) else result

        return twin


async def _finish(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


class BlockingSession(_Wrapper):
    """One conversation, without await; see `Session`.

    Args:
        session: The session it runs.
        bridge: The loop thread it runs on.
        closes_bridge: Whether `close` ends that thread: it was made for this session alone.
    """

    __slots__ = ("_closes_bridge",)
    wrapped: Session

    def __init__(self, session: Session, bridge: Bridge, *, closes_bridge: bool = False) -> None:
        super().__init__(session, bridge)
        self._closes_bridge = closes_bridge

    session_id: str = _shows("session_id")
    user_id: str = _shows("user_id")
    provider: str = _shows("provider")
    model: str = _shows("model")
    status: SessionStatus = _shows("status")
    message_count: int = _shows("message_count")
    created_at: datetime = _shows("created_at")
    last_activity: datetime = _shows("last_activity")
    config: SessionConfig = _shows("config")
    provider_session_id: str | None = _shows("provider_session_id")

    send_message = _waits(Session.send_message)
    send_tool_results = _waits(Session.send_tool_results)
    resume_tools = _waits(Session.resume_tools)
    send_system_message = _waits(Session.send_system_message)
    add_message = _waits(Session.add_message)
    get_messages = _waits(Session.get_messages)
    get_message = _waits(Session.get_message)
    clear_messages = _waits(Session.clear_messages)
    retract_messages = _waits(Session.retract_messages)
    get_summary = _waits(Session.get_summary)
    export_conversation = _waits(Session.export_conversation)
    get_context = _waits(Session.get_context)
    update_context = _waits(Session.update_context)
    update_config = _waits(Session.update_config)
    get_provider_metadata = _waits(Session.get_provider_metadata)
    get_metrics = _waits(Session.get_metrics)
    explain = _waits(Session.explain)
    handoff = _waits(Session.handoff)
    refresh = _waits(Session.refresh)
    archive = _waits(Session.archive)
    restore = _waits(Session.restore)
    delete = _waits(Session.delete)

    @property
    def provider_session(self) -> BlockingProviderSession:
        """The live provider session, without await."""
        return BlockingProviderSession(self.wrapped.provider_session, self.bridge)

    send_message_stream = _streams(Session.send_message_stream)

    def start_turn(self, content: Content, **options: Any) -> BlockingTurn:
        """Say something in a turn that goes on by itself; see `Session.start_turn`."""
        return BlockingTurn(self.bridge.call(self.wrapped.start_turn, content, **options), self.bridge)

    def get_turn(self, turn_id: str) -> BlockingTurn:
        """Return a turn that was started with `start_turn`; see `Session.get_turn`."""
        return BlockingTurn(self.wrapped.get_turn(turn_id), self.bridge)

    def close(self) -> None:
        """Close the manager that was made for this session alone, and its loop thread; else do nothing."""
        try:
            self.bridge.call(self.wrapped.close)
        finally:
            if self._closes_bridge:
                self.bridge.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close; see `Session.close`."""
        self.close()


def _opens(method: Callable[Concatenate[Any, P], Awaitable[Session]]) -> Callable[Concatenate[Any, P], BlockingSession]:
    """Make the blocking twin of a method that returns a session."""

    @functools.wraps(method)
    def twin(self: _Wrapper, /, *args: P.args, **kwargs: P.kwargs) -> BlockingSession:
        session = self.bridge.call(functools.partial(method, self.wrapped), *args, **kwargs)
        return BlockingSession(session, self.bridge)

    return twin


def _lists(
    method: Callable[Concatenate[Any, P], Awaitable[Page[Session]]],
) -> Callable[Concatenate[Any, P], Page[BlockingSession]]:
    """Make the blocking twin of a method that returns a page of sessions."""

    @functools.wraps(method)
    def twin(self: _Wrapper, /, *args: P.args, **kwargs: P.kwargs) -> Page[BlockingSession]:
        page = self.bridge.call(functools.partial(method, self.wrapped), *args, **kwargs)
        return Page((BlockingSession(session, self.bridge) for session in page), next_cursor=page.next_cursor)

    return twin


class BlockingSessionManager(_Wrapper):
    """A manager without await, for scripts, threads, and notebooks whose loop is running; see `SessionManager`.

    Args:
        manager: The manager it runs.
    """

    __slots__ = ()
    wrapped: SessionManager

    def __init__(self, manager: SessionManager) -> None:
        super().__init__(manager, manager.bridge)

    @property
    def manager(self) -> SessionManager:
        """The async manager inside."""
        return self.wrapped

    create_session = _opens(SessionManager.create_session)
    get_session = _opens(SessionManager.get_session)
    open_session = _opens(SessionManager.open_session)
    get_user_sessions = _lists(SessionManager.get_user_sessions)
    search_sessions = _lists(SessionManager.search_sessions)
    append_messages = _waits(SessionManager.append_messages)
    import_from = _waits(SessionManager.import_from)
    import_conversation = _opens(SessionManager.import_conversation)
    archive_session = _waits(SessionManager.archive_session)
    restore_session = _waits(SessionManager.restore_session)
    delete_session = _waits(SessionManager.delete_session)
    cleanup_inactive_sessions = _waits(SessionManager.cleanup_inactive_sessions)
    cleanup_archived_sessions = _waits(SessionManager.cleanup_archived_sessions)
    cleanup_deleted_sessions = _waits(SessionManager.cleanup_deleted_sessions)
    run_cleanup = _waits(SessionManager.run_cleanup)
    optimize_storage = _waits(SessionManager.optimize_storage)
    get_analytics = _waits(SessionManager.get_analytics)
    health_check = _waits(SessionManager.health_check)

    def send_message(self, session_id: str, content: Content, **options: Any) -> SessionMessage:
        """Say something in a session; see `Session.send_message` for the options."""
        return self.bridge.call(lambda: self.wrapped.send_message(session_id, content, **options))

    def handoff(self, session_id: str, provider: str, model: str, **options: Any) -> HandoffReport:
        """Let another provider or model answer; see `Session.handoff` for the options."""
        return self.bridge.call(lambda: self.wrapped.handoff(session_id, provider, model, **options))

    def session_events(
        self, *, max_queue: int = 1000, overflow: Overflow | str = Overflow.DROP_OLDEST
    ) -> BlockingEvents:
        """Subscribe to what happens to this manager's sessions; see `SessionManager.session_events`."""
        return BlockingEvents(self.wrapped.session_events(max_queue=max_queue, overflow=overflow), self.bridge)

    def add_middleware(self, middleware: SessionMiddleware) -> None:
        """Add a middleware; it runs inside those added before."""
        self.wrapped.add_middleware(middleware)

    def add_lifecycle_hook(self, hook: SessionLifecycleHook) -> None:
        """Add a lifecycle hook."""
        self.wrapped.add_lifecycle_hook(hook)

    def close(self) -> None:
        """Close the manager and its loop thread."""
        try:
            self.bridge.call(self.wrapped.close)
        finally:
            self.bridge.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
