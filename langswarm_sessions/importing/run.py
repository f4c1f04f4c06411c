"""An import from its beginning to its end."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import aclosing
from itertools import groupby
from typing import Any

from langswarm_sessions.checks import check_name
from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.ids import now
from langswarm_sessions.importing.conversation import Conversation
from langswarm_sessions.importing.plan import ImportPlan
from langswarm_sessions.importing.provenance import Origin
from langswarm_sessions.importing.report import ImportReport
from langswarm_sessions.importing.source import ImportSource, SourceEntry
from langswarm_sessions.importing.tally import Tally
from langswarm_sessions.importing.target import Target
from langswarm_sessions.runtime import Runtime

__all__ = ["run_import"]

_EVERYTHING_THERE: Any = object()


async def run_import(runtime: Runtime, source: ImportSource, plan: ImportPlan) -> ImportReport:
    """Bring the conversations of a source into sessions; what an earlier import brought is passed by.

    Args:
        runtime: The manager's.
        source: What to read.
        plan: What to do.

    Raises:
        ConfigurationError: The source is not there, or the sessions' provider cannot work.
        ImportFormatError: Something cannot be imported, and the plan is strict.
        StorageError: Source or storage failed; running it again goes on where this one stopped.
    """
    runtime.providers.check(plan.provider, plan.model, {})
    survey = await source.survey()
    run = _Run(runtime, source, plan, Tally(survey=survey, dry_run=plan.dry_run))
    await run.everything()
    return run.tally.report(f"{survey.kind} {survey.name} in {survey.location}")


class _Run:
    def __init__(self, runtime: Runtime, source: ImportSource, plan: ImportPlan, tally: Tally) -> None:
        self._runtime = runtime
        self._source = source
        self._plan = plan
        self.tally = tally
        self._origin = Origin.of(tally.survey)
        self._started = now()

    async def everything(self) -> None:
        start = await self._first_unfinished() if self._plan.resume else None
        if start is _EVERYTHING_THERE:
            return
        current: Conversation | None = None
        async with aclosing(self._source.pages(start)) as pages:
            async for page in pages:
                current = await self._take(page, current)
                await self._tell()
        if current is not None:
            await current.end()
        await self._tell()

    async def _take(self, page: Sequence[SourceEntry], current: Conversation | None) -> Conversation | None:
        for session_id, entries in groupby(page, key=lambda entry: entry.session_id):
            if current is None or current.source_id != session_id:
                if current is not None:
                    await current.end()
                current = await self._begin(session_id)
            await current.take(entries)
        return current

    async def _begin(self, source_id: str) -> Conversation:
        return Conversation(
            source_id,
            await self._target(source_id),
            assembler=self._source.assembler(),
            plan=self._plan,
            tally=self.tally,
            started=self._started,
        )

    async def _target(self, source_id: str) -> Target | str:
        target = self._named(source_id)
        return await target.load() if isinstance(target, Target) else target

    def _named(self, source_id: str) -> Target | str:
        """Return the session a conversation goes into; or why there can be none."""
        try:
            session_id = check_name(self._plan.session_prefix + source_id, field="its id")
            user_id = check_name(self._plan.user_of(source_id), field="user_id")
        except InvalidInputError as error:
            return str(error).removesuffix(".")
        return Target(self._runtime, self._plan, session_id=session_id, user_id=user_id, origin=self._origin)

    async def _first_unfinished(self) -> Any:
        """Return where reading has to begin: before that, every conversation is there whole."""
        tally, is_known = self.tally, False
        async with aclosing(self._source.heads()) as heads:
            async for head in heads:
                is_known = True
                target = self._named(head.session_id)
                if not isinstance(target, Target) or not await target.holds_all(head.entries, head.newest):
                    return head.position
                tally.found += 1
                tally.unchanged += 1
                tally.read += head.entries
                tally.already_there += head.entries
        return _EVERYTHING_THERE if is_known else None

    async def _tell(self) -> None:
        if self._plan.on_progress is not None:
            heard = self._plan.on_progress(self.tally.progress())
            if inspect.isawaitable(heard):
                await heard
