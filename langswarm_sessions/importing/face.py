"""`manager.import_from` and `manager.import_conversation`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.checks import check_name, check_strategy, check_text
from langswarm_sessions.config import SessionConfig, Strategy
from langswarm_sessions.errors import ConfigurationError, InvalidInputError
from langswarm_sessions.importing.plan import ImportPlan, UserOf
from langswarm_sessions.importing.report import ImportReport, ProgressListener
from langswarm_sessions.importing.source import ImportSource
from langswarm_sessions.messages import plain_mapping
from langswarm_sessions.providers import canonical_name
from langswarm_sessions.runtime import Runtime

if TYPE_CHECKING:
    from langswarm_sessions.importing.exports import Overrides
    from langswarm_sessions.session import Session
    from langswarm_sessions.turns import TurnSubject

__all__ = ["ConversationImports", "ImportedExport", "import_export"]


class ConversationImports:
    """What a manager takes over from elsewhere."""

    _runtime: Runtime
    _strategy: Strategy

    async def import_from(
        self,
        source: str | ImportSource,
        *,
        user_id: UserOf,
        provider: str | None = None,
        model: str | None = None,
        strategy: Strategy | str | None = None,
        session_config: SessionConfig | Mapping[str, Any] | None = None,
        session_prefix: str = "",
        dry_run: bool = False,
        resume: bool = False,
        strict: bool = False,
        on_progress: ProgressListener | None = None,
    ) -> ImportReport:
        """Bring conversations that were kept elsewhere into sessions. The source is read and never written.

        Running it again imports nothing twice: what is there is passed by, what was added to the source since is
        appended, and one that was broken off is finished.

        Args:
            source: A URL or a file, whose kind is found out by looking; or a source made yourself, such as
                `SQLChatHistorySource("sqlite:///chat.db", table="message_store")`.
            user_id: Whose the sessions will be; or a function from a conversation's id to its user.
            provider: Who answers in them from now on; None is whoever did: a chain of yours, with `SessionRunnable`,
                or agents of the framework.
            model: The provider's name of the model; needed with `provider`.
            strategy: "native", "client" or "hybrid"; None takes the manager's.
            session_config: name, tags, max_messages and the like, for every session.
            session_prefix: Put before the conversation's id to make the session's.
            dry_run: Read and check everything, store nothing.
            resume: Begin reading at the first conversation that is not there whole; without it every row is compared
                with what was imported. Checkpoints are read from the beginning.
            strict: Raise at the first message that cannot be imported, instead of reporting it.
            on_progress: Called with ImportProgress after each page; may be a coroutine function.

        Returns:
            What was done, in numbers that add up, with a reason for everything that was not imported.

        Raises:
            ConfigurationError: There is no such source, or the provider cannot work.
            ImportFormatError: A message cannot be imported, with `strict`.
            StorageError: The source or the storage failed; run it again to go on.

        Example:
            >>> async def move(manager):
            ...     report = await manager.import_from("sqlite:///chat.db", user_id="ada")
            ...     return report.messages_stored
        """
        from langswarm_sessions.importing.run import run_import

        with self._runtime.services.telemetry.job("import") as job:
            async with await _opened(source) as opened:
                name, its_model = _answerer(opened, provider, model)
                plan = ImportPlan(
                    user_id=user_id if callable(user_id) else check_name(user_id, field="user_id"),
                    provider=name,
                    model=its_model,
                    strategy=self._strategy if strategy is None else check_strategy(strategy),
                    session_config=SessionConfig.of(session_config),
                    session_prefix=check_text(session_prefix, field="session_prefix") or "",
                    dry_run=dry_run,
                    resume=resume,
                    strict=strict,
                    on_progress=on_progress,
                )
                report = await run_import(self._runtime, opened, plan)
            changed = report.sessions_imported + report.sessions_extended
            job.done(sessions=changed, messages=report.messages_stored, dry_run=dry_run)
        return report

    async def import_conversation(
        self,
        data: Mapping[str, Any],
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        provider_config: Mapping[str, Any] | None = None,
    ) -> Session:
        """Make a session of what `session.export_conversation()` returned, all or nothing.

        Everything that was said comes along with its ids, turns and times, and so do settings, context, status, figures
        and summary. What the provider itself keeps of the conversation does not: the next turn gives it the transcript.

        Importing it again returns the session that is there, which may have gone on since.

        Args:
            data: The export; of a file, what `json.load` reads.
            session_id: Another id for the session. The id of a message that is taken is replaced, and kept as
                `provider_message_id`.
            user_id: Whose the session will be; None: whose it was.
            provider: Who answers from now on; None: whoever did.
            model: The provider's name of the model; needed with `provider`.
            provider_config: The provider's settings; None: those of the export, or none with `provider`.

        Returns:
            The session.

        Raises:
            ImportFormatError: It is no export, one of a later version, or a field of it is wrong; the message names it.
            InvalidInputError: An argument is of the wrong type.
            SessionExistsError: Another session has the id.
            ConfigurationError: The provider cannot work.
            StorageError: The storage failed, or is one of your own with six methods, which cannot do this.

        Example:
            >>> async def copy(session, manager):
            ...     return await manager.import_conversation(await session.export_conversation())
        """
        done = await import_export(
            self,
            data,
            session_id=session_id,
            user_id=user_id,
            provider=provider,
            model=model,
            provider_config=provider_config,
        )
        return cast("Session", done.session)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedExport:
    """What was done with an export.

    Args:
        session_id: Of the session it became, or would become.
        messages: How many it holds.
        is_new: Whether the session was not there already.
        session: Its handle; None after a dry run.
    """

    session_id: str
    messages: int
    is_new: bool
    session: TurnSubject | None


async def import_export(
    imports: ConversationImports, data: object, *, dry_run: bool = False, **options: Any
) -> ImportedExport:
    """Do what `import_conversation` does, and tell what was done.

    Args:
        imports: The manager.
        data: The export.
        dry_run: Refuse what the import would refuse, and store nothing.
        options: Those of `import_conversation`, `session_prefix` and `remedies`; see `Overrides`.

    Raises:
        SessionError: What `import_conversation` raises.
    """
    from langswarm_sessions.importing.exports import read_export
    from langswarm_sessions.importing.whole import rehearse, take_over

    runtime = imports._runtime  # pyright: ignore[reportPrivateUsage]  # a part of the class, but of no use to callers
    with runtime.services.telemetry.job("import") as job:
        overrides = _overrides(**options)
        # Beside the loop: an export of tens of thousands of messages takes seconds.
        conversation = await asyncio.to_thread(read_export, data, overrides)
        session: TurnSubject | None = None
        if dry_run:
            is_new = await rehearse(runtime, conversation, overrides.remedies)
        else:
            session, is_new = await take_over(runtime, conversation, overrides.remedies)
        messages = len(conversation.messages)
        job.done(sessions=int(is_new), messages=messages if is_new else 0, dry_run=dry_run)
    return ImportedExport(session_id=conversation.record.session_id, messages=messages, is_new=is_new, session=session)


def _overrides(
    *,
    session_id: str | None = None,
    user_id: str | None = None,
    provider: str | None = None,
    model: str | None = None,
    provider_config: Mapping[str, Any] | None = None,
    **others: Any,
) -> Overrides:
    from langswarm_sessions.importing.exports import Overrides

    name, its_model = _both(provider, model)
    return Overrides(
        session_id=None if session_id is None else check_name(session_id, field="session_id"),
        user_id=None if user_id is None else check_name(user_id, field="user_id"),
        provider=name,
        model=its_model,
        provider_config=None if provider_config is None else plain_mapping(provider_config, field="provider_config"),
        **others,
    )


async def _opened(source: object) -> ImportSource:
    if isinstance(source, ImportSource):
        return source
    if not isinstance(source, str):
        raise InvalidInputError("source must be a URL, a path or an ImportSource.")
    from langswarm_sessions.importing.opening import open_source

    return await open_source(source)


def _answerer(source: ImportSource, provider: str | None, model: str | None) -> tuple[str, str]:
    name, its_model = _both(provider, model)
    return name or source.provider, its_model or source.model


def _both(provider: str | None, model: str | None) -> tuple[str | None, str | None]:
    if provider is None and model is None:
        return None, None
    if provider is None or model is None:
        raise ConfigurationError("provider and model: name both, or neither.")
    return canonical_name(check_name(provider, field="provider")), check_name(model, field="model")
