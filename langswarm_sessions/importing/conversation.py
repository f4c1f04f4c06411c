"""One conversation on its way from a source into a session."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from langswarm_sessions.errors import ImportFormatError, InvalidInputError, TurnConflictError
from langswarm_sessions.importing.plan import ImportPlan
from langswarm_sessions.importing.report import ImportProblem
from langswarm_sessions.importing.source import Assembled, Assembler, SourceEntry
from langswarm_sessions.importing.tally import Tally
from langswarm_sessions.importing.target import Ready, Target
from langswarm_sessions.messages.content import check_message

__all__ = ["Conversation"]

_TICK = timedelta(microseconds=1)
_CHANGED = "it is not what was imported under this id before; the session was left as it is"
_ANOTHER = (
    "the session of this id was imported from another place, and this is another conversation; give session_prefix to "
    "import it into a session of another id"
)
_HALF = "another import that ran at the same time stored a part of this message; run it again"
_NOTHING = "none of its messages could be imported"


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
        self._batch: list[Ready] = []
        self._stored = 0
        self._matched = 0
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
                self._matched += 1
                self._tally.already_there += 1
            elif self._is_another():
                self._tally.refused += 1
                self._skip(_ANOTHER)
            else:
                self._refuse([entry], _CHANGED)
        await self._flush()

    async def end(self) -> None:
        """Store what is left, and count the conversation."""
        for assembled in self._assembler.end():
            self._accept(assembled)
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

    def _is_another(self) -> bool:
        """Whether this is not the conversation that was imported from elsewhere: a moved source holds all of that."""
        target = self._target
        return target is not None and target.is_moved and self._matched < len(target.known)

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
        """Make a message ready to be stored, with a time after that of the one before."""
        message = assembled.message
        if message is None:
            self._refuse(assembled.entries, assembled.problem or _NOTHING)
            return
        if self._problem is None and self._is_another():
            self._skip(_ANOTHER)
        if self._problem is not None:
            self._tally.refused += len(assembled.entries)
            return
        moment = next((entry.time for entry in assembled.entries if entry.time is not None), None)
        if self._newest is not None:
            moment = max(self._newest + _TICK, moment or self._newest)
        try:
            ready = replace(message, timestamp=moment or self._started)
            check_message(ready, field="it")
        except InvalidInputError as error:
            self._refuse(assembled.entries, _reason(error))
            return
        self._newest = ready.timestamp
        self._batch.append(Ready(ready, assembled.entries))

    async def _flush(self) -> None:
        """Store the batch; what somebody else imported meanwhile is there already."""
        target, batch = self._target, self._batch
        self._batch = []
        while batch and target is not None:
            if not target.is_there and not self._plan.dry_run:
                await target.create(batch[0].message.timestamp)
            batch = self._news_of(batch, target)
            problem = _ANOTHER if self._is_another() else target.problem(has_news=True)
            if batch and problem is not None:
                self._skip(problem)
                self._tally.refused += _rows(batch)
                return
            try:
                if batch and not self._plan.dry_run:
                    await target.append(batch)
            except TurnConflictError:
                await target.load()
                continue
            self._tally.stored += _rows(batch)
            self._matched += _rows(batch)
            self._stored += len(batch)
            return

    def _news_of(self, batch: Iterable[Ready], target: Target) -> list[Ready]:
        """Return the messages the session holds nothing of, and count the others."""
        news: list[Ready] = []
        for item in batch:
            if all(entry.key not in target.known for entry in item.entries):
                news.append(item)
                continue
            for entry in item.entries:
                known = target.known.get(entry.key)
                if known == entry.digest:
                    self._matched += 1
                    self._tally.already_there += 1
                else:
                    self._refuse([entry], _HALF if known is None else _CHANGED)
        return news

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


def _rows(batch: Iterable[Ready]) -> int:
    return sum(len(item.entries) for item in batch)
