"""What a turn is when nobody listens: the same methods, nothing done."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracer

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.instruments import Instruments
from langswarm_sessions_otel.propagation import with_handoff
from langswarm_sessions_otel.scopes.causes import Causes, Late, TimeLimit
from langswarm_sessions_otel.scopes.chat import ChatScope
from langswarm_sessions_otel.scopes.jobs import JobScope
from langswarm_sessions_otel.scopes.lease import LeaseHolder, LeaseWait
from langswarm_sessions_otel.scopes.lifecycle import HookScope, LifecycleScope
from langswarm_sessions_otel.scopes.outside import OutsideStorageScope
from langswarm_sessions_otel.scopes.scope import Recorder, SpanScope
from langswarm_sessions_otel.scopes.steps import RebuildScope, StorageScope, SummaryScope
from langswarm_sessions_otel.scopes.tool import ToolScope
from langswarm_sessions_otel.scopes.turn import TurnScope
from langswarm_sessions_otel.settings import TelemetrySettings


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


class _SilentSummary(_Silent, SummaryScope):
    __slots__ = ()

    def written(self, **_: object) -> None:
        pass


class _SilentRebuild(_Silent, RebuildScope):
    __slots__ = ()

    def last_good_turn(self, traceparent: str | None) -> None:
        pass

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

    def asks(self) -> None:
        pass

    def compacted(self) -> None:
        pass

    def chunk(self, **_: object) -> None:
        pass

    def finished(self, **_: object) -> None:
        pass

    def content(self, **_: object) -> None:
        pass


class _SilentLifecycle(_Silent, LifecycleScope):
    __slots__ = ()

    def known(self, **_: object) -> None:
        pass

    def kept_with(self, trace_state: str | None) -> str | None:
        return with_handoff(trace_state, None)

    def stored(self) -> None:
        pass

    def unchanged(self) -> None:
        pass

    def handing_over(self, **_: object) -> None:
        pass

    def handed_over(self, **_: object) -> None:
        pass


class _SilentOutsideStorage(_Silent, OutsideStorageScope):
    __slots__ = ()

    def done(self, **_: object) -> None:
        pass


class _SilentJob(_Silent, JobScope):
    __slots__ = ()

    def done(self, **_: object) -> None:
        pass

    def purged(self, sessions: int) -> None:
        pass

    def has_room(self) -> bool:
        return True


class _SilentHook(_Silent, HookScope):
    __slots__ = ()


class _SilentWait(LeaseWait):
    __slots__ = ()

    def asks(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _SilentLimit(TimeLimit):
    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class _SilentCauses(Causes):
    __slots__ = ()

    def ask_for_reason(self, reason: Callable[[], str | None]) -> None:
        pass

    def limit(self, late: Late) -> TimeLimit:
        return _NO_LIMIT

    def of(self, error: BaseException) -> BaseException | str:
        return error


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

    def summary(self) -> SummaryScope:
        return _SUMMARY

    def retrying(self, **_: object) -> None:
        pass

    def charged(self, cost: float, **_: object) -> None:
        """Do nothing."""

    def cost_is_partial(self) -> None:
        """Do nothing."""

    def rate_limited(self, **_: object) -> None:
        pass

    def circuit_opened(self, **_: object) -> None:
        pass

    def circuit_refused(self, **_: object) -> None:
        pass

    def lease_wait(self, *, held_by: LeaseHolder) -> LeaseWait:
        return _WAIT

    def lease_waited(self, **_: object) -> None:
        pass

    def lease_taken_over(self) -> None:
        pass

    def lease_lost(self) -> None:
        pass

    def fell_back(self, **_: object) -> None:
        pass

    def was_recorded(self) -> None:
        pass

    def paused(self) -> None:
        pass

    def reconciled(self, outcome: str) -> None:
        pass

    def window_trimmed(self, **_: object) -> None:
        pass

    def event(self, name: str, attributes: object = None) -> None:
        pass

    def input_content(self, said: object) -> None:
        pass

    def output_content(self, said: object) -> None:
        pass

    def finished(self, **_: object) -> None:
        pass

    def interrupted(self, reason: str) -> None:
        pass

    def first_chunk(self) -> None:
        pass

    def runs_no_more(self) -> None:
        pass


def _silent_recorder() -> Recorder:
    instruments = Instruments(NoOpMeterProvider().get_meter(semconv.SCOPE), semconv.RELEASED)
    settings = TelemetrySettings(enabled=False)
    return Recorder(NoOpTracer(), instruments, settings, instruments.degradation)


SILENT_RECORDER: Final = _silent_recorder()
_NO_LIMIT: Final = _SilentLimit([], lambda: None)

SILENT_TURN: Final[TurnScope] = _SilentTurn(
    SILENT_RECORDER, session_id="", agent_name="", operation="", mode="", provider="", model="", stream=False
)
SILENT_TURN.causes = _SilentCauses()
SILENT_LIFECYCLE: Final[LifecycleScope] = _SilentLifecycle(SILENT_RECORDER, "", session_id="", mode=None, provider=None)
SILENT_HOOK: Final[HookScope] = _SilentHook(SILENT_RECORDER, name="", point="", session_id="")
SILENT_STORAGE: Final[OutsideStorageScope] = _SilentOutsideStorage(
    SILENT_RECORDER, "", backend="", db_system=None, session_id=None
)
SILENT_JOB: Final[JobScope] = _SilentJob(SILENT_RECORDER, "")
_WAIT: Final = _SilentWait(SILENT_TURN, "this_manager")
_STORAGE: Final = _SilentStorage(SILENT_TURN, "", backend="", db_system=None)
_REBUILD: Final = _SilentRebuild(SILENT_TURN, reason="", provider="", attempt=1)
_SUMMARY: Final = _SilentSummary(SILENT_TURN)
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
