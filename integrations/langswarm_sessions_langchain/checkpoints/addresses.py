"""Between LangGraph's configs and addresses in the storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.runnables import RunnableConfig

from langswarm_sessions.errors import InvalidInputError, SessionAccessError
from langswarm_sessions.records.checkpoints import CheckpointAddress

__all__ = [
    "BRANCH_KEY",
    "DEFAULT_USER",
    "HEAD_KEY",
    "Place",
    "config_of",
    "must_extend_head",
    "place_of",
    "run_key",
    "thread_name",
    "user_name",
]

DEFAULT_USER = "user"

# LangGraph hands a run's config on from what it read to what it stores: by this a put knows that its run began at the
# newest checkpoint, and which run it is of. Keys that begin so are in no metadata and no trace.
HEAD_KEY = "__langswarm_head"

# The checkpoint a run was pointed at, where others have gone on from it: there, and only there, the run branches off.
BRANCH_KEY = "__langswarm_branch"

_RUN_PREFIX = "__pregel_"
_DURABILITY = "__pregel_durability"
_RUNTIME = "__pregel_runtime"
_REPLAY = "__pregel_replay_state"


class Place:
    """What a config addresses.

    Args:
        address: The namespace of a thread.
        checkpoint_id: One checkpoint of it, or None for the newest.
        names_user: Whether the config says whose thread it is.
    """

    __slots__ = ("address", "checkpoint_id", "names_user")

    def __init__(self, address: CheckpointAddress, checkpoint_id: str | None, *, names_user: bool) -> None:
        self.address = address
        self.checkpoint_id = checkpoint_id
        self.names_user = names_user

    def config(self, checkpoint_id: str, **more: Any) -> RunnableConfig:
        """Return a config that addresses a checkpoint of this place."""
        return config_of(self.address, checkpoint_id, names_user=self.names_user, **more)


def config_of(address: CheckpointAddress, checkpoint_id: str, *, names_user: bool, **more: Any) -> RunnableConfig:
    """Return the config that addresses a checkpoint."""
    configurable: dict[str, Any] = {
        "thread_id": address.thread_id,
        "checkpoint_ns": address.namespace,
        "checkpoint_id": checkpoint_id,
        **more,
    }
    if names_user:
        configurable["user_id"] = address.user_id
    return {"configurable": configurable}


def place_of(config: RunnableConfig, *, user_id: str | None) -> Place:
    """Return what a config addresses.

    Args:
        config: With `configurable.thread_id`, and perhaps `checkpoint_ns`, `checkpoint_id` and `user_id`.
        user_id: Whose threads the saver is for; None takes the config's word.

    Raises:
        InvalidInputError: It names no thread.
        SessionAccessError: It names another user.
    """
    configurable = _configurable(config)
    named = configurable.get("user_id")
    whose = user_id if named is None else user_name(named, user_id=user_id)
    checkpoint_id = configurable.get("checkpoint_id")
    namespace = configurable.get("checkpoint_ns")
    address = CheckpointAddress(
        user_id=whose or DEFAULT_USER,
        thread_id=thread_name(configurable.get("thread_id")),
        namespace="" if namespace is None else str(namespace),
    )
    return Place(address, str(checkpoint_id) if checkpoint_id else None, names_user=named is not None)


def user_name(named: object, *, user_id: str | None) -> str:
    """Return the user a config names.

    Raises:
        InvalidInputError: The name is none.
        SessionAccessError: The saver is for another user.
    """
    if not isinstance(named, str | int) or isinstance(named, bool) or not str(named):
        raise InvalidInputError("configurable.user_id must be a non-empty string.")
    if user_id is not None and str(named) != user_id:
        raise SessionAccessError(
            "This saver is for the threads of one user, and the config names another. Leave configurable.user_id out, "
            "or take the saver of that user: saver.for_user(...)."
        )
    return str(named)


def thread_name(thread_id: object) -> str:
    """Return a thread's id as text.

    Raises:
        InvalidInputError: It is missing or empty.
    """
    if isinstance(thread_id, bool | None) or not str(thread_id):
        raise InvalidInputError(
            'The config must name a thread: {"configurable": {"thread_id": "..."}}, a string that is not empty.'
        )
    return str(thread_id)


def must_extend_head(config: RunnableConfig, metadata: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint may only be stored as the child of the newest one.

    That is so for a run, or an update of the state, that began at the newest checkpoint or at an empty thread. One
    that was pointed at an earlier checkpoint branches off once, and so do the graphs within it that kept a state of
    their own; what it goes on to store extends its branch.
    """
    configurable = _configurable(config)
    if configurable.get(HEAD_KEY):
        return True
    source = metadata.get("source")
    is_run = any(key.startswith(_RUN_PREFIX) for key in configurable)
    before = configurable.get("checkpoint_id")
    if not before:
        return (is_run or source == "update") and configurable.get(_REPLAY) is None
    if before == configurable.get(BRANCH_KEY):
        return False
    return is_run and source == "loop" and configurable.get(_DURABILITY) != "exit"


def run_key(config: RunnableConfig) -> object | None:
    """Return what all that one run stores in one namespace has in common; None for what is no run."""
    configurable = _configurable(config)
    return configurable.get(HEAD_KEY) or configurable.get(_RUNTIME)


def _configurable(config: RunnableConfig) -> Mapping[str, Any]:
    found = cast("Mapping[str, Any] | None", config.get("configurable"))
    return {} if found is None else found
