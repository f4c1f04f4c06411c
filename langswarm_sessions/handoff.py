"""Handing a conversation to another provider or model, between two turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from langswarm_sessions.checks import check_name
from langswarm_sessions.errors import ConfigurationError, SessionArchivedError
from langswarm_sessions.events import EventType
from langswarm_sessions.interfaces.provider import EngineProvider
from langswarm_sessions.lifecycle import change_record, not_found, step_span, stored_record, tell
from langswarm_sessions.messages import Role, SessionMessage, plain_mapping
from langswarm_sessions.providers import canonical_name
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS
from langswarm_sessions.records import SessionRecord, SessionStatus, TurnOptions
from langswarm_sessions.runtime import Runtime, engine_face
from langswarm_sessions.strategies import Crossing, Mode, crossing_of
from langswarm_sessions.turns import foreseen
from langswarm_sessions_otel import LifecycleScope

__all__ = ["HandoffReport", "hand_off"]

_ENDPOINTS = frozenset(
    {"base_url", "api_version", "organization", "project", "assistant_id", "agent_id", "api", "native"}
)
"""Settings that mean something at one provider only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffReport:
    """What a handoff does, or would do. Nothing of what was said is in it.

    Args:
        session_id: The session.
        from_provider: Who answered so far.
        from_model: With which model.
        to_provider: Who answers from now on.
        to_model: With which model.
        is_dry_run: Whether it was only looked at.
        messages: How many messages the new provider is given with the next turn, besides its input.
        crossing: How their content parts cross.
        settings_left: Keys of provider_config that the new provider does not get, and why.
    """

    session_id: str
    from_provider: str
    from_model: str
    to_provider: str
    to_model: str
    is_dry_run: bool
    messages: int
    crossing: Crossing = field(repr=False)
    settings_left: Mapping[str, str]

    def __str__(self) -> str:
        """Return a few lines for people."""
        crossed = ", ".join(f"{count} {kind}" for kind, count in self.crossing.crossed.items()) or "nothing"
        lines = [
            f"{self.from_provider}/{self.from_model} → {self.to_provider}/{self.to_model}: {self.messages} messages",
            f"  crosses: {crossed}",
            *(f"  converted: {note.part} of {note.message_id}: {note.why}" for note in self.crossing.converted),
            *(f"  dropped: {note.part} of {note.message_id}: {note.why}" for note in self.crossing.dropped),
        ]
        lines += [f"  setting left behind: {name}: {why}" for name, why in self.settings_left.items()]
        return "\n".join(lines)


async def hand_off(
    runtime: Runtime,
    session_id: str,
    provider: str,
    model: str,
    *,
    provider_config: Mapping[str, Any] | None,
    dry_run: bool,
) -> HandoffReport:
    """Let another provider or model answer from the next turn on.

    Raises:
        SessionNotFoundError: No such session, or it is deleted.
        SessionArchivedError: The session is archived.
        SessionBusyError: A turn held the session for too long.
        ConfigurationError: The provider, model or given settings cannot work, or the provider cannot be given a
            history. What the session's own settings hold that the provider does not take is left behind.
    """
    named = (check_name(provider, field="provider"), check_name(model, field="model"))
    settings = None if provider_config is None else plain_mapping(provider_config, field="provider_config")
    check_name(session_id, field="session_id")
    if dry_run:
        return await _handed_off(runtime, session_id, named, settings, span=None)
    with step_span(runtime, "handoff", session_id) as span:
        return await _handed_off(runtime, session_id, named, settings, span=span)


async def _handed_off(
    runtime: Runtime,
    session_id: str,
    named: tuple[str, str],
    settings: Mapping[str, Any] | None,
    *,
    span: LifecycleScope | None,
) -> HandoffReport:
    """Do it, told to `span`; without one, only look what it would do."""
    if span is None:
        record = _living(await runtime.services.storage.load_session(session_id), session_id)
    else:
        record = _living(await stored_record(runtime, session_id), session_id)
        tell(span, record)
        _tell_parties(span, record, named)
    target, left = _target(runtime, record, *named, settings)
    runtime.providers.check(target.provider, target.model, target.provider_config)
    async with runtime.providers.opening(target) as live:
        report, mode = await _report(
            runtime, record, target, engine_face(live, target), left=left, dry_run=span is None
        )
        if span is not None:
            async with runtime.engine.between_turns(session_id):
                after = await _move(runtime, record, target, span=span)
            span.handed_over(
                source_mode=(Mode.CLIENT if record.native is None else Mode.NATIVE).value,
                target_mode=mode.value,
                messages=report.messages,
                last_turn=after.traceparent,
            )
            runtime.providers.keep(target, live)
            await _announce(runtime, after)
    if span is None:
        await runtime.providers.discard(target, live)
    return report


def _living(record: SessionRecord | None, session_id: str) -> SessionRecord:
    if record is None or record.status is SessionStatus.DELETED:
        raise not_found(session_id)
    if record.status is SessionStatus.ARCHIVED:
        raise SessionArchivedError(
            "The session is archived. Restore it before it is handed off.", session_id=session_id
        )
    return record


def _target(
    runtime: Runtime, record: SessionRecord, provider: str, model: str, settings: Mapping[str, Any] | None
) -> tuple[SessionRecord, dict[str, str]]:
    """Return the session's row as it is after the handoff, and why which of its settings are not in it."""
    target = replace(record, provider=canonical_name(provider), model=model, native=None)
    if settings is None:
        return _with_settings_taken(runtime, record, target)
    left = dict.fromkeys(sorted(set(record.provider_config) - set(settings)), "provider_config was given anew")
    return replace(target, provider_config=dict(settings)), left


def _with_settings_taken(
    runtime: Runtime, record: SessionRecord, target: SessionRecord
) -> tuple[SessionRecord, dict[str, str]]:
    """Return the target with those of the session's settings that it takes, and why which were left behind."""
    runtime.providers.check(target.provider, target.model, {})
    taken: dict[str, Any] = {}
    left: dict[str, str] = {}
    for name, value in sorted(record.provider_config.items()):
        if target.provider != record.provider and not _travels(name):
            left[name] = f"it means something to {record.provider} only"
            continue
        try:
            runtime.providers.check(target.provider, target.model, {**taken, name: value})
        except ConfigurationError as error:
            left[name] = str(error)
        else:
            taken[name] = value
    return replace(target, provider_config=taken), left


def _travels(name: str) -> bool:
    return name in DOCUMENTED_SETTINGS and name not in _ENDPOINTS


async def _report(
    runtime: Runtime,
    record: SessionRecord,
    target: SessionRecord,
    provider: EngineProvider,
    *,
    left: Mapping[str, str],
    dry_run: bool,
) -> tuple[HandoffReport, Mode]:
    """Return what the handoff does, and who remembers the conversation after it."""
    if provider.profile.owns_history:
        raise ConfigurationError(
            f"handoff: {target.provider} keeps its own history and cannot be given this one. Let its send_message take "
            "'history'.",
            provider=target.provider,
            session_id=record.session_id,
        )
    next_input = SessionMessage(role=Role.USER, seq=target.next_seq, tokens=0)
    seen = await foreseen(runtime.services, provider, target, [next_input], options=TurnOptions())
    given = {message.message_id for message in seen.plan.messages}
    history = [message for message in seen.history if message.message_id in given]
    profile = provider.profile.for_window(keep_native=seen.plan.keep_native)
    report = HandoffReport(
        session_id=record.session_id,
        from_provider=record.provider,
        from_model=record.model,
        to_provider=target.provider,
        to_model=target.model,
        is_dry_run=dry_run,
        messages=len(seen.plan.messages) - 1,
        crossing=crossing_of(history, provider=target.provider, model=target.model, profile=profile),
        settings_left=left,
    )
    return report, seen.plan.mode


def _tell_parties(span: LifecycleScope, record: SessionRecord, named: tuple[str, str]) -> None:
    span.handing_over(
        agent_name=record.config.agent_name or "session",
        source=(record.provider, record.model),
        target=(canonical_name(named[0]), named[1]),
    )


async def _move(
    runtime: Runtime, record: SessionRecord, target: SessionRecord, *, span: LifecycleScope
) -> SessionRecord:
    def moved(before: SessionRecord) -> SessionRecord:
        return replace(
            before,
            provider=target.provider,
            model=target.model,
            provider_config=target.provider_config,
            native=None,
            traceparent=span.kept_with(before.traceparent),
        )

    after = await change_record(runtime, record.session_id, moved)
    span.stored()
    if held := runtime.handles.get(record.session_id):
        held.adopt(after)
    return after


async def _announce(runtime: Runtime, after: SessionRecord) -> None:
    """Tell subscribers and hooks; turns may begin again by now, theirs too."""
    services = runtime.services
    services.events.publish(EventType.SESSION_HANDOFF, session_id=after.session_id, user_id=after.user_id)
    await services.hooks.run(
        "on_session_handoff", session_id=after.session_id, provider=after.provider, model=after.model
    )
