"""What a turn would send, as far as it can be known without asking the provider or writing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from langswarm_sessions.interfaces.provider import EngineProvider
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import SessionRecord, TurnOptions
from langswarm_sessions.strategies import TurnPlan, TurnStrategy, choose_strategy, planned
from langswarm_sessions.turns.send.exchange import begins_at
from langswarm_sessions.turns.services import TurnServices
from langswarm_sessions.window import WindowRoom, estimate_tokens

__all__ = ["Foreseen", "foreseen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """The plan of a turn that is not sent.

    Args:
        strategy: Who made it.
        plan: The plan.
        history: What it was made of.
        summarises: Whether what it leaves out would be summarised.
    """

    strategy: TurnStrategy
    plan: TurnPlan
    history: tuple[SessionMessage, ...] = field(repr=False)
    summarises: bool


async def foreseen(
    services: TurnServices,
    provider: EngineProvider,
    record: SessionRecord,
    inputs: Sequence[SessionMessage],
    *,
    options: TurnOptions,
    instructions: str | None = None,
) -> Foreseen:
    """Plan a turn as it would be planned if it were sent now.

    Args:
        services: What turns work with.
        provider: Who would answer.
        record: The session's row.
        inputs: The new input.
        options: The turn's tools.
        instructions: The turn's instructions (None: those in force).
    """

    def room() -> WindowRoom:
        return services.windows.room(provider, record, options=options, instructions=instructions)

    strategy = choose_strategy(record.strategy, provider=provider.name, profile=provider.profile, room=room())
    query = strategy.needs(record)
    history: tuple[SessionMessage, ...] = ()
    if query is not None:
        down_to = await begins_at(services.storage, record.session_id, inputs)
        history = await services.storage.load_history(record.session_id, replace(query, down_to=down_to))
    plan = strategy.plan(record, history, inputs)
    if plan.budget is not None and not isinstance(record.config.max_tokens_window, int):
        await services.windows.look_into_table(provider, tokens=sum(map(estimate_tokens, plan.messages)))
        if room().tokens(record.config) < plan.budget:
            strategy = strategy.with_room(room())
            plan = planned(strategy, record, history, inputs, instead=plan, summary=None, at_once=False)
    summary, summarises = None, False
    if plan.left_out:
        summarises = services.summaries.may_write(record)
        if services.summaries.are_wanted(record):
            summary = await services.storage.load_summary(record.session_id)
    if summary is not None or summarises:
        plan = planned(strategy, record, history, inputs, instead=plan, summary=summary, at_once=summarises)
    return Foreseen(strategy=strategy, plan=plan, history=history, summarises=summarises)
