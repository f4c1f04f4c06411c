"""What a turn is when nobody listens: the same methods, nothing done."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracer

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.chat import ChatScope
from langswarm_sessions_otel.checkpoints import CheckpointScope
from langswarm_sessions_otel.degradation import Degradation
from langswarm_sessions_otel.instruments import Instruments
from langswarm_sessions_otel.lifecycle import HookScope, LifecycleScope
from langswarm_sessions_otel.scope import Recorder, SpanScope
from langswarm_sessions_otel.settings import TelemetrySettings
from langswarm_sessions_otel.steps import RebuildScope, StorageScope
from langswarm_sessions_otel.tool import ToolScope
from langswarm_sessions_otel.turn import TurnScope


class _Silent(SpanScope):
    """Holds nothing that changes, so that one object serves every turn of the process."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def failed(self, error: BaseException) -> None:
        pass


class _SilentStorage(_Silent, StorageScope):
    __slots__ = ()

    def done(self, **_: object) -> None:
        pass


class _SilentRebuild(_Silent, RebuildScope):
    __slots__ = ()

    def replayed(self, **_: object) -> None:
        pass


class _SilentTool(_Silent, ToolScope):
    __slots__ = ()

    def finished(self, **_: object) -> None:
        pass

    def content(self, **_: object) -> None:
        pass


class _SilentChat(_Silent, ChatScope):
    __slots__ = ()

    def first_chunk(self) -> None:
        pass

    def finished(self, **_: object) -> None:
        pass

    def content(self, **_: object) -> None:
        pass


class _SilentLifecycle(_Silent, LifecycleScope):
    __slots__ = ()

    def unchanged(self) -> None:
        pass

    def handed_over(self, **_: object) -> None:
        pass


class _SilentCheckpoints(_Silent, CheckpointScope):
    __slots__ = ()

    def done(self, **_: object) -> None:
        pass


class _SilentHook(_Silent, HookScope):
    __slots__ = ()


class _SilentTurn(_Silent, TurnScope):
    __slots__ = ()

    def began(self, **_: object) -> None:
        pass

    def storage(self, operation: str, **_: object) -> StorageScope:
        return _STORAGE

    def chat(self, **_: object) -> ChatScope:
        return _CHAT

    def foreign_chat(self) -> ChatScope:
        return _CHAT

    def tool(self, **_: object) -> ToolScope:
        return _TOOL

    def rebuild(self, **_: object) -> RebuildScope:
        return _REBUILD

    def retrying(self, **_: object) -> None:
        pass

    def rate_limited(self, **_: object) -> None:
        pass

    def circuit_opened(self, **_: object) -> None:
        pass

    def circuit_refused(self, **_: object) -> None:
        pass

    def event(self, name: str, attributes: object = None) -> None:
        pass

    def input_content(self, text: str) -> None:
        pass

    def output_content(self, text: str) -> None:
        pass

    def finished(self, **_: object) -> None:
        pass

    def interrupted(self, reason: str) -> None:
        pass


def _silent_recorder() -> Recorder:
    instruments = Instruments(NoOpMeterProvider().get_meter(semconv.SCOPE), semconv.RELEASED)
    settings = TelemetrySettings(enabled=False)
    return Recorder(NoOpTracer(), instruments, settings, Degradation(instruments.telemetry_errors))


_RECORDER: Final = _silent_recorder()

SILENT_TURN: Final[TurnScope] = _SilentTurn(
    _RECORDER, session_id="", agent_name="", operation="", mode="", provider="", model="", stream=False
)
SILENT_LIFECYCLE: Final[LifecycleScope] = _SilentLifecycle(_RECORDER, "", session_id="", mode=None, provider=None)
SILENT_HOOK: Final[HookScope] = _SilentHook(_RECORDER, name="", point="", session_id="")
SILENT_CHECKPOINTS: Final[CheckpointScope] = _SilentCheckpoints(_RECORDER, "", backend="", db_system=None)
_STORAGE: Final = _SilentStorage(SILENT_TURN, "", backend="", db_system=None)
_REBUILD: Final = _SilentRebuild(SILENT_TURN, reason="", provider="", attempt=1, previous=None)
_TOOL: Final = _SilentTool(SILENT_TURN, name=None, call_id="", description=None)
_CHAT: Final = _SilentChat(
    SILENT_TURN,
    provider="",
    model="",
    stream=False,
    previous_response_id=None,
    server_address=None,
    server_port=None,
    request_options=None,
)
