"""One conversation on its way from a source into a session."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from langswarm_sessions.errors import ImportFormatError, InvalidInputError, TurnConflictError
from langswarm_sessions.importing.plan import ImportPlan
from langswarm_sessions.importing.provenance import noted
from langswarm_sessions.importing.report import ImportProblem
from langswarm_sessions.importing.source import Assembled, Assembler, SourceEntry
from langswarm_sessions.importing.tally import Tally
from langswarm_sessions.importing.target import Target
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.messages.content import check_message

__all__ = ["Conversation"]

_BATCH = 500
_TICK = timedelta(microseconds=1)
_CHANGED = "it is not what was imported under this id before; the session was left as it is"
_NOTHING = "none of its messages could be imported"


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message to store, and the rows it was made of."""

    message: SessionMessage
    entries: tuple[SourceEntry, ...]


class Conversation:
    """Takes the rows of one conversation, oldest first.

    Args:
        source_id: The conversation's id in the source.
        target: The session it goes into, as it was read; or why there can be none.
        assembler: Makes messages of its rows.
        plan: What the import is told to do.
        tally: Where is counted.
        started: When the import began: the time of what the source has no time of.
    """

    def __init__(
        self,
        source_id: str,
        target: Target | str,
        *,
        assembler: Assembler,
        plan: ImportPlan,
        tally: Tally,
        started: datetime,
    ) -> None:
        self.source_id = source_id
        self._assembler = assembler
        self._plan = plan
        self._tally = tally
        self._batch: list[_Ready] = []
        self._stored = 0
        tally.found += 1
        self._target = target if isinstance(target, Target) else None
        self._was_there = self._target is not None and self._target.is_there
        self._newest = None if self._target is None else self._target.newest
        self._started = started
        self._problem: str | None = None
        problem = target if isinstance(target, str) else target.problem()
        if problem is not None:
            self._skip(problem)

    async def take(self, entries: Iterable[SourceEntry]) -> None:
        """Take the next rows; store what makes a batch."""
        for entry in entries:
            if entry.problem is not None and not entry.key:
                self._skip(entry.problem)
                continue
            self._tally.read += 1
            known = None if self._target is None else self._target.known.get(entry.key)
            if self._problem is not None:
                self._tally.refused += 1
            elif known is None:
                self._assemble(entry)
            elif known == entry.digest:
                self._tally.already_there += 1
            else:
                self._refuse([entry], _CHANGED)
            if len(self._batch) >= _BATCH:
                await self._flush()

    async def end(self) -> None:
        """Store what is left, and count the conversation."""
        for assembled in self._assembler.end():
            if self._problem is None:
                self._accept(assembled)
            else:
                self._tally.refused += len(assembled.entries)
        await self._flush()
        tally = self._tally
        if self._problem is not None:
            tally.skipped += 1
        elif self._stored:
            tally.extended += self._was_there
            tally.imported += not self._was_there
            if self._target is not None and not self._plan.dry_run:
                await self._target.settle()
        elif self._was_there:
            tally.unchanged += 1
        else:
            self._skip(_NOTHING)
            tally.skipped += 1

    def _assemble(self, entry: SourceEntry) -> None:
        if entry.problem is not None:
            self._refuse([entry], entry.problem)
            return
        try:
            assembled = self._assembler.add(entry)
        except (ImportFormatError, InvalidInputError) as error:
            self._refuse([entry], _reason(error))
            return
        for item in assembled:
            self._accept(item)

    def _accept(self, assembled: Assembled) -> None:
        """Make a message ready to be stored: with a time after that of the one before, and with where it came from."""
        message = assembled.message
        if message is None:
            self._refuse(assembled.entries, assembled.problem or _NOTHING)
            return
        moment = next((entry.time for entry in assembled.entries if entry.time is not None), None)
        if self._newest is not None:
            moment = max(self._newest + _TICK, moment or self._newest)
        note = noted(self._tally.survey.name, assembled.entries)
        try:
            ready = replace(message, timestamp=moment or self._started, metadata={**message.metadata, **note})
            check_message(ready, field="it")
        except InvalidInputError as error:
            self._refuse(assembled.entries, _reason(error))
            return
        self._newest = ready.timestamp
        self._batch.append(_Ready(ready, assembled.entries))

    async def _flush(self) -> None:
        """Store the batch; what somebody else imported meanwhile is there already."""
        target = self._target
        batch: list[_Ready] = self._batch
        self._batch = []
        while batch and target is not None:
            if not target.is_there and not self._plan.dry_run:
                await target.create(batch[0].message.timestamp)
            there = [item for item in batch if item.entries[0].key in target.known]
            batch = [item for item in batch if item.entries[0].key not in target.known]
            self._tally.already_there += _rows(there)
            if batch and (problem := target.problem(has_news=True)) is not None:
                self._skip(problem)
                self._tally.refused += _rows(batch)
                return
            try:
                if batch and not self._plan.dry_run:
                    await target.append([item.message for item in batch])
            except TurnConflictError:
                await target.load()
                continue
            self._tally.stored += _rows(batch)
            self._stored += len(batch)
            return

    def _skip(self, reason: str) -> None:
        self._problem = reason
        self._tally.note(self._checked(ImportProblem(session_id=self.source_id, row=None, reason=reason)))

    def _refuse(self, entries: Iterable[SourceEntry], reason: str) -> None:
        for entry in entries:
            self._tally.refused += 1
            self._tally.note(self._checked(ImportProblem(session_id=self.source_id, row=entry.key, reason=reason)))

    def _checked(self, problem: ImportProblem) -> ImportProblem:
        """Return a problem.

        Raises:
            ImportFormatError: There must be none.
        """
        if self._plan.strict:
            where = f"conversation {problem.session_id!r}" + (f", row {problem.row}" if problem.row else "")
            raise ImportFormatError(f"{where}: {problem.reason}. Without strict it is reported and passed over.")
        return problem


def _reason(error: Exception) -> str:
    return str(error).removesuffix(".")


def _rows(batch: Iterable[_Ready]) -> int:
    return sum(len(item.entries) for item in batch)
