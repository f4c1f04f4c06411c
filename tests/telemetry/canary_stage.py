"""Where the canary sings: a session full of it, and all that its telemetry lets out."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from opentelemetry import baggage, propagate
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from langswarm_sessions import (
    RetryPolicy,
    Session,
    SessionLifecycleHook,
    SessionManager,
    SessionMessage,
    SessionMiddleware,
)
from tests.support.recorded import Recorded

__all__ = ["ANSWER", "CANARY", "PROMPT", "RULES", "Scene", "Stage", "Wiretap", "played", "say"]

CANARY = "CANARY-5f1c"
PROMPT, ANSWER, RULES = f"{CANARY} prompt", f"{CANARY} answer", f"{CANARY} rules"
Scene = Callable[["Stage"], Awaitable[None]]


class Wiretap(SessionMiddleware, SessionLifecycleHook):
    """Looks, wherever it is called, at what an instrumented HTTP client would send now; fails when it is told to."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.baggage: list[dict[str, object]] = []
        self.middleware_fails = False
        self.hook_fails = False

    def look(self) -> None:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        self.headers.append(carrier)
        self.baggage.append(dict(baggage.get_all()))

    async def process_message(self, session_id: str, message: SessionMessage, context: Any) -> None:
        self.look()
        if self.middleware_fails:
            raise ValueError(message.content)

    async def process_chunk(self, session_id: str, chunk: str, context: Any) -> str:
        return chunk

    async def on_message_sent(self, session_id: str, message: SessionMessage) -> None:
        self.look()
        if self.hook_fails:
            raise RuntimeError(message.content)

    async def on_session_error(self, session_id: str, error: Exception) -> None:
        if self.hook_fails:
            raise RuntimeError(str(error))

    async def on_session_archived(self, session_id: str) -> None:
        if self.hook_fails:
            raise RuntimeError(CANARY)


class Stage:
    """A session full of canaries, and everything its telemetry exports."""

    def __init__(self, recorded: Recorded, tap: Wiretap, manager: SessionManager) -> None:
        self.recorded = recorded
        self.tap = tap
        self.manager = manager

    async def session(self, *, strategy: str = "hybrid", **config: Any) -> Session:
        session = await self.manager.create_session(
            f"{CANARY} user",
            "mock",
            "mock-model",
            session_id="s-1",
            strategy=strategy,
            provider_config={"instructions": RULES},
            session_config={
                "name": f"{CANARY} name",
                "description": f"{CANARY} description",
                "tags": [f"{CANARY}-tag"],
                **config,
            },
        )
        await session.update_context({CANARY: CANARY})
        session.provider_session.set_response_pattern(ANSWER)
        return session

    def exported(self) -> dict[str, bytes]:
        """All that goes out, as the bytes an OTLP exporter sends."""
        metrics = self.recorded.reader.get_metrics_data()
        return {
            "spans": encode_spans(self.recorded.spans).SerializeToString(),
            "events": encode_logs(self.recorded.events).SerializeToString(),
            "metrics": b"" if metrics is None else encode_metrics(metrics).SerializeToString(),
            "headers": json.dumps(self.tap.headers).encode(),
            "baggage": repr(self.tap.baggage).encode(),
        }


async def say(session: Session, **options: Any) -> SessionMessage:
    return await session.send_message(PROMPT, metadata={CANARY: CANARY}, **options)


async def _quotes(messages: Sequence[SessionMessage]) -> str:
    raise RuntimeError(messages[0].content)


async def played(scene: Scene, recorded: Recorded, **arguments: Any) -> Stage:
    """Play a scene.

    Args:
        scene: What happens.
        recorded: What keeps its telemetry.
        arguments: More for the telemetry.

    Returns:
        The stage after it, its manager closed.
    """
    tap = Wiretap()
    async with SessionManager(
        "memory",
        telemetry=recorded.telemetry(**arguments),
        retry=RetryPolicy(max_attempts=2, initial_delay=0, jitter=0),
        middleware=[tap],
        hooks=[tap],
        summarizer=_quotes,
    ) as manager:
        stage = Stage(recorded, tap, manager)
        await scene(stage)
    return stage
