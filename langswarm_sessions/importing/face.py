"""`manager.import_from`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langswarm_sessions.checks import check_name, check_strategy, check_text
from langswarm_sessions.config import SessionConfig, Strategy
from langswarm_sessions.errors import ConfigurationError, InvalidInputError
from langswarm_sessions.importing.plan import ImportPlan, UserOf
from langswarm_sessions.importing.report import ImportReport, ProgressListener
from langswarm_sessions.importing.source import ImportSource
from langswarm_sessions.providers import canonical_name
from langswarm_sessions.runtime import Runtime

__all__ = ["ConversationImports"]


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


async def _opened(source: object) -> ImportSource:
    if isinstance(source, ImportSource):
        return source
    if not isinstance(source, str):
        raise InvalidInputError("source must be a URL, a path or an ImportSource.")
    from langswarm_sessions.importing.opening import open_source

    return await open_source(source)


def _answerer(source: ImportSource, provider: str | None, model: str | None) -> tuple[str, str]:
    if provider is None and model is None:
        return source.provider, source.model
    if provider is None or model is None:
        raise ConfigurationError("provider and model: name both, or neither.")
    return canonical_name(check_name(provider, field="provider")), check_name(model, field="model")
