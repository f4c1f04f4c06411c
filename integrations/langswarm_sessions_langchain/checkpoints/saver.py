"""`SessionCheckpointSaver`: LangGraph's checkpoints, kept where sessions are."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.checks import check_days, check_name, check_wait
from langswarm_sessions.errors import ConfigurationError, InvalidInputError, SessionAccessError
from langswarm_sessions.ids import now
from langswarm_sessions.manager import SessionManager
from langswarm_sessions_langchain.checkpoints.addresses import DEFAULT_USER, place_of, thread_name
from langswarm_sessions_langchain.checkpoints.backend import Backend
from langswarm_sessions_langchain.checkpoints.blocking import BlockingFace
from langswarm_sessions_langchain.checkpoints.copying import CopyReport, OnProgress, copy_all
from langswarm_sessions_langchain.checkpoints.known import KnownValues, RunningPuts
from langswarm_sessions_langchain.checkpoints.ordered import OrderedGraph
from langswarm_sessions_langchain.checkpoints.reading import get_tuple, history_of, list_tuples
from langswarm_sessions_langchain.checkpoints.removing import delete_for_runs, prune_threads
from langswarm_sessions_langchain.checkpoints.serializing import Codec, strict_serializer
from langswarm_sessions_langchain.checkpoints.turn import ThreadTurn
from langswarm_sessions_langchain.checkpoints.writing import next_version, put_checkpoint, put_writes
from langswarm_sessions_langchain.managers import checked_manager

__all__ = ["SessionCheckpointSaver"]


class SessionCheckpointSaver(BlockingFace, BaseCheckpointSaver[str]):
    """Keeps the checkpoints of graphs and agents in the database of a session manager.

    A run that began at a checkpoint which is no longer the newest is refused with TurnConflictError instead of
    silently replacing what another run said; `ordered` and `turn` wait for each other instead. A turn stores what it
    adds, however long the thread is. Sync and async methods may be used from any thread and event loop.

    Args:
        manager: Whose storage is used, blocking or not; None takes the process-wide one (`get_session_manager()`).
        user_id: Whose threads these are. None takes `configurable.user_id` of each config, or else "user". The same
            thread id of two users is two threads; a config that names another user is refused.
        allowed_classes: Classes of yours in the graph's state that may be rebuilt from a checkpoint. Messages,
            documents and plain values always may; nothing else is rebuilt, and pickle is never used.
        serde: A serializer of your own, such as EncryptedSerializer, in place of the strict one.

    Raises:
        ConfigurationError: The manager is none, or both `serde` and `allowed_classes` are given.

    Example:
        >>> saver = SessionCheckpointSaver(manager)
        >>> graph = builder.compile(checkpointer=saver)
        >>> graph.invoke({"messages": [("user", "hi")]}, {"configurable": {"thread_id": "1"}})
    """

    def __init__(
        self,
        manager: SessionManager | BlockingSessionManager | None = None,
        *,
        user_id: str | None = None,
        allowed_classes: Iterable[type | tuple[str, str]] = (),
        serde: SerializerProtocol | None = None,
    ) -> None:
        allowed = tuple(allowed_classes)
        if serde is not None and allowed:
            raise ConfigurationError("allowed_classes is for the built-in serializer; configure your serde instead.")
        super().__init__(serde=serde or strict_serializer(allowed))
        self._is_strict = serde is None
        self._given = None if manager is None else checked_manager(manager)
        self.user_id = None if user_id is None else check_name(user_id, field="user_id")
        self._known = KnownValues()
        self._runs = RunningPuts()

    def __repr__(self) -> str:
        """Name the user, no content."""
        return f"{type(self).__name__}(user_id={self.user_id!r})"

    def for_user(self, user_id: str) -> Self:
        """Return a saver for the threads of one user, and of nobody else.

        Args:
            user_id: Whose threads.
        """
        other = copy.copy(self)
        other.user_id = check_name(user_id, field="user_id")
        return other

    @property
    def manager(self) -> SessionManager:
        """The manager whose storage is used."""
        from langswarm_sessions import get_session_manager

        return self._given if self._given is not None else checked_manager(get_session_manager())

    # What LangGraph calls

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint a config addresses, the newest of its thread if it names none; None without one.

        Args:
            config: With `configurable.thread_id`, and perhaps `checkpoint_ns`, `checkpoint_id` and `user_id`.

        Raises:
            InvalidInputError: It names no thread.
            SessionAccessError: It names another user than the saver's.
            StorageError: The checkpoint holds what may not be rebuilt, or was stored with another serializer.
        """
        return await get_tuple(self._backend(), place_of(config, user_id=self.user_id), config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first.

        Args:
            config: Which thread, and perhaps namespace and checkpoint; None lists all threads of the saver's user.
            filter: Only checkpoints with this metadata.
            before: Only checkpoints from before the one that this config names.
            limit: At most this many.
        """
        tuples = list_tuples(
            self._backend(), config, user_id=self.user_id, wanted=filter or {}, before=before, limit=limit
        )
        async for found in tuples:
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint; return the config that addresses it.

        Args:
            config: Of the checkpoint before, or of the thread.
            checkpoint: What to store.
            metadata: What is known of it.
            new_versions: The channels whose values are new with it.

        Raises:
            TurnConflictError: Another run has gone on from the checkpoint this one began at; nothing was stored.
            InvalidInputError: A value cannot be stored, or not be rebuilt; nothing was stored.
        """
        place = place_of(config, user_id=self.user_id)
        return await put_checkpoint(self._backend(), place, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote, so that it need not run again.

        Args:
            config: Of the checkpoint that the task ran after.
            writes: Channels and values.
            task_id: Which task.
            task_path: Its place among the tasks of the step.

        Raises:
            TurnConflictError: The checkpoint was refused.
            InvalidInputError: A value cannot be stored, or not be rebuilt; nothing was stored.
        """
        place = place_of(config, user_id=self.user_id)
        await put_writes(self._backend(), place, config, writes, task_id=task_id, task_path=task_path)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return what led to the values of delta channels: the nearest stored value, and the writes since."""
        return await history_of(self._backend(), place_of(config, user_id=self.user_id), channels)

    # Keeping threads

    async def adelete_thread(self, thread_id: str) -> None:
        """Remove a thread of the saver's user with all its checkpoints; nothing happens when there is none.

        Args:
            thread_id: Which thread.
        """
        backend = self._backend()
        with backend.span("delete"):
            await backend.store.delete_thread(self._user, thread_name(thread_id))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove the checkpoints that runs made, but for what other checkpoints need of them.

        Args:
            run_ids: Runs in threads of the saver's user.
        """
        await delete_for_runs(self._backend(), self._user, run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread of the saver's user with all its checkpoints.

        Args:
            source_thread_id: The thread to copy.
            target_thread_id: A thread that is not there yet.

        Raises:
            SessionNotFoundError: There is no such thread.
            SessionExistsError: The target is there already.
        """
        backend = self._backend()
        with backend.span("append"):
            await backend.store.copy_thread(self._user, thread_name(source_thread_id), thread_name(target_thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Remove the checkpoints of threads.

        Args:
            thread_ids: Threads of the saver's user.
            strategy: "keep_latest" keeps the newest checkpoint of each namespace, and what delta channels are rebuilt
                from; "delete" keeps nothing.

        Raises:
            InvalidInputError: There is no such strategy.
        """
        if strategy not in ("keep_latest", "delete"):
            raise InvalidInputError("strategy must be 'keep_latest' or 'delete'.")
        if strategy == "delete":
            for thread_id in thread_ids:
                await self.adelete_thread(thread_id)
        else:
            await prune_threads(self._backend(), self._user, [thread_name(thread_id) for thread_id in thread_ids])

    async def adelete_inactive_threads(self, days: float, *, all_users: bool = False) -> int:
        """Remove the threads in which nothing has happened for this many days; return how many.

        Args:
            days: Days without a checkpoint or a write. Threads that wait for a human count as well.
            all_users: Everybody's threads, not only those of the saver's user.

        Raises:
            SessionAccessError: `all_users` with a saver for one user.
        """
        if all_users and self.user_id is not None:
            raise SessionAccessError(
                "This saver is for the threads of one user. Leave all_users out, or take a saver without user_id."
            )
        before = now() - timedelta(days=check_days(days, field="days"))
        backend = self._backend()
        with backend.span("delete") as op:
            count = await backend.store.delete_inactive_threads(before, user_id=None if all_users else self._user)
            op.done(count=count)
        return count

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Return a channel's next version: higher than all before, and another one in each branch of a thread."""
        return next_version(current)

    # Beyond LangGraph's interface

    def turn(self, thread_id: str, *, user_id: str | None = None, wait: float | None = None) -> ThreadTurn:
        """Return a context manager, async or not, in which nobody else has a turn of the thread.

        Turns of a thread are served in order, across threads, event loops and processes that share the database.

        Args:
            thread_id: Which thread.
            user_id: Whose; None takes the saver's.
            wait: Seconds to wait for other turns; None takes the manager's `turn_wait`.

        Raises:
            SessionBusyError: (on entering) Another turn lasted longer than that.

        Example:
            >>> async with saver.turn("1"):
            ...     await graph.ainvoke(question, {"configurable": {"thread_id": "1"}})
        """
        whose = self._user if user_id is None else user_id
        seconds = None if wait is None else check_wait(wait, field="wait")
        return ThreadTurn(self.manager, user_id=whose, thread_id=thread_name(thread_id), wait=seconds)

    def ordered(self, graph: Runnable[Any, Any], *, wait: float | None = None) -> OrderedGraph:
        """Return a graph each of whose runs has its thread to itself, and waits for it.

        Args:
            graph: A compiled graph or agent with this saver.
            wait: Seconds to wait for other runs; None takes the manager's `turn_wait`.

        Example:
            >>> agent = saver.ordered(create_agent(model, tools, checkpointer=saver))
        """
        return OrderedGraph.of(graph, saver=self, wait=wait)

    async def acopy_from(
        self,
        source: BaseCheckpointSaver[Any] | str | Path,
        *,
        on_progress: OnProgress | None = None,
        dry_run: bool = False,
    ) -> CopyReport:
        """Copy all threads of another saver into those of this saver's user; the source is only read.

        What is there already is left as it is, so that a copy which was broken off is finished by doing it again.

        Args:
            source: A saver, the path of a SqliteSaver's database, or the URL of a PostgresSaver's.
            on_progress: Called with a CopyProgress after each checkpoint, on the event loop; must not block.
            dry_run: Only count.

        Returns:
            What was copied, and what was there already.

        Raises:
            InvalidInputError: There is no such file, or a checkpoint holds what may not be rebuilt.
            ImportFormatError: The database is no saver's.
            MissingDependencyError: The package that reads the source is not installed.
            StorageError: The source cannot be reached or read.

        Example:
            >>> report = await saver.acopy_from("checkpoints.sqlite")
            >>> assert report.checkpoints == report.copied + report.already_there
        """
        return await copy_all(self._backend(), source, user_id=self._user, on_progress=on_progress, dry_run=dry_run)

    @property
    def _user(self) -> str:
        return self.user_id or DEFAULT_USER

    def _backend(self) -> Backend:
        return Backend.of(
            self.manager, codec=Codec(self.serde, is_strict=self._is_strict), known=self._known, runs=self._runs
        )
