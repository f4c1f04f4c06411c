"""Provider interfaces: the small one for users, the whole one for the turn engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from langswarm_sessions.errors import NativeStateLostError
from langswarm_sessions.interfaces.traffic import TrafficRules
from langswarm_sessions.messages import Part, Role, SessionMessage
from langswarm_sessions.records import ModelCall, NativeKind, NativeState, TurnOptions, Usage

__all__ = [
    "Completed",
    "Crosses",
    "EngineProvider",
    "EngineSession",
    "ModelLimits",
    "ProviderConnection",
    "ProviderEvent",
    "ProviderProfile",
    "ProviderRequest",
    "ProviderSession",
    "Started",
    "TextDelta",
    "TurnRecorder",
]


class ProviderSession(ABC):
    """What a provider of your own must do. No `super().__init__` needed.

    It is given the new input only and keeps its own history. If `send_message` also takes `history` (a list of
    SessionMessage), it is given the conversation so far and its sessions can be rebuilt after a restart. An async
    generator `send_message_stream(content, role, metadata)` of str is optional.

    A manager keeps it as long as its session lives. One of a class with `keeps_state = False` is instead made anew
    whenever its session is opened, and dropped without a clean-up.
    """

    provider_session_id: str | None = None

    @abstractmethod
    async def send_message(
        self, content: str, role: str = Role.USER, metadata: dict[str, Any] | None = None
    ) -> SessionMessage | str:
        """Answer `content`."""

    @abstractmethod
    async def get_provider_metadata(self) -> dict[str, Any]:
        """Return what is known of the provider's side, without secrets."""

    @abstractmethod
    async def update_provider_config(self, config: dict[str, Any]) -> None:
        """Change settings; they hold from the next turn on."""

    @abstractmethod
    async def cleanup_provider_resources(self) -> None:
        """Release what is held. Called when the session is deleted or the manager closes."""


class TurnRecorder(Protocol):
    """The session a built-in live provider session belongs to: turns asked of either are recorded."""

    @property
    def native_id(self) -> str | None:
        """Id of the provider's conversation state, if there is one."""
        ...

    async def record_turn(self, content: str, *, role: str, metadata: dict[str, Any] | None) -> SessionMessage:
        """Run a turn of the session and return its answer."""
        ...

    def record_stream(self, content: str, *, metadata: dict[str, Any] | None) -> AsyncIterator[str]:
        """Run a streamed turn of the session."""
        ...

    async def save_provider_config(self, changes: Mapping[str, Any], *, profile: ProviderProfile) -> None:
        """Store changed provider settings with the session; `profile` is what the provider can do under them."""
        ...


EVERY_MEDIUM = frozenset({"text", "image", "file", "audio"})

Crosses = Callable[[Sequence[SessionMessage], str], Sequence[Sequence[Part]]]
"""Returns of each message the parts that a model is sent as they are; of media not among them a text is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderProfile:
    """What a provider can do.

    Args:
        native: The kind of conversation state it keeps.
        client: Whether it can be given the whole window instead.
        config_keys: The provider_config keys it has a use for.
        ignored_keys: Documented keys it accepts, keeps and warns about.
        otel_name: Its value of `gen_ai.provider.name`.
        owns_history: It remembers by itself and takes nothing but the new input.
        takes: Types of content parts its requests can hold; in place of another medium it is told that there was one.
        is_foreign: It hands the turn to code that calls models, and traces its calls, by itself.
        asks_several: That code may call several models and tools: an error that it raises tells of one call alone,
            and after none of them is it run again.
        takes_options: Whether its requests hold more than messages: tools, a response format.
        crosses: Tells which parts of a history are sent as they are (None: all that are of a type it takes; of answers
            of others no reasoning and no raw blocks).
        forks: Continues a log that is suspect from its newest known entry, in a copy without what came after that.
        unkept: What it can do with a window it is to keep nothing of, where that is another API (None: the same).
    """

    native: NativeKind
    client: bool
    config_keys: frozenset[str]
    ignored_keys: frozenset[str] = frozenset()
    otel_name: str
    owns_history: bool = False
    takes: frozenset[str] = EVERY_MEDIUM
    is_foreign: bool = False
    asks_several: bool = False
    takes_options: bool = True
    crosses: Crosses | None = field(default=None, repr=False, compare=False)
    forks: bool = False
    unkept: ProviderProfile | None = None

    def for_window(self, *, keep_native: bool) -> ProviderProfile:
        """Return what holds for a window that the provider is to keep, or not."""
        return self if keep_native or self.unkept is None else self.unkept


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRequest:
    """One request: what the planner decided to send, in order.

    Args:
        messages: The messages to send: the window, or only what the provider has not seen.
        native: Continue from this state (None: the messages are all there is).
        keep_native: Let the provider keep the conversation, so that a later turn can continue from it.
        instructions: The instructions in force, sent with every request.
        options: Tools and tool choice.
        timeout: Seconds left for the turn (None: no limit).
        streamed: Whether somebody reads along; a plain turn is collected from the same stream.
    """

    messages: tuple[SessionMessage, ...]
    native: NativeState | None = None
    keep_native: bool = False
    instructions: str | None = field(default=None, repr=False)
    options: TurnOptions = field(default_factory=TurnOptions)
    timeout: float | None = None
    streamed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The provider accepted the request; `native_id` is the id of what it will keep, if it said so."""

    native_id: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text; `raw` is the provider's own chunk, for readers that know it."""

    text: str = field(repr=False)
    raw: object = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """The whole answer: always the last event. Without it the stream was cut.

    Args:
        parts: The answer: text, refusals, reasoning, tool calls, in the provider's order.
        native_id: Id to continue from (None: nothing was kept).
        native_memo: What the adapter wants to find in `NativeState.memo` when it continues from there.
        payload: The provider's own items, JSON-ready, for a lossless replay to the same provider.
        earlier: Messages that came before the answer within the same turn (an agent's tool calls and their results).
        terms: What sets the request apart from a standard one where it is billed, such as `{"service_tier": "flex"}`.
        calls: The requests it took, as they are billed, where that is more than one, or not what `usage` counts.
        raw: The provider's own answer object, for readers that know it; never stored.
    """

    parts: tuple[Part, ...]
    model: str
    usage: Usage
    finish_reason: str | None = None
    provider_message_id: str | None = None
    native_id: str | None = None
    native_memo: Mapping[str, str] = field(default_factory=dict[str, str])
    request_id: str | None = None
    payload: Mapping[str, Any] | None = field(default=None, repr=False)
    earlier: tuple[SessionMessage, ...] = ()
    terms: Mapping[str, str] = field(default_factory=dict[str, str])
    calls: tuple[ModelCall, ...] = ()
    raw: object = field(default=None, repr=False)


ProviderEvent = Started | TextDelta | Completed


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """How much a model takes.

    Args:
        context_tokens: Tokens of a request; where the provider counts the answer in, with it.
        output_tokens: Tokens of the longest answer (None: not known).
        is_told: Whether the provider said so; else a table does.
    """

    context_tokens: int
    output_tokens: int | None = None
    is_told: bool = True


class EngineProvider(ABC):
    """What the turn engine needs of a live provider session. Streaming is the only primitive."""

    name: ClassVar[str]
    profile: ClassVar[ProviderProfile]
    model: str

    @abstractmethod
    def stream_turn(self, request: ProviderRequest) -> AsyncIterator[ProviderEvent]:
        """Send one request and yield its events as they come, ending with `Completed`.

        Foreign errors are translated by `translate`; the iterator is closed when the turn ends early.
        """

    @abstractmethod
    def translate(self, error: Exception) -> Exception:
        """Return this library's error for one of the provider's SDK: the classifier.

        `retryable` says whether tenacity may try again; NativeStateLostError asks for a rebuild. An error that is not
        the provider's comes back unchanged.
        """

    async def reconcile(self, request: ProviderRequest) -> Completed | None:
        """Find out what became of a request that continued a log and whose fate is unknown.

        Returns:
            The answer, if the provider holds it whole; None if the request may be sent again: it never arrived, or what
            did will not be part of the conversation.

        Raises:
            NativeStateLostError: What the provider holds fits neither: the conversation is to be rebuilt. An adapter
                that cannot look says so of every request.
        """
        raise NativeStateLostError(
            f"{self.name}: it is not known whether the last message arrived. Send it again: it is rebuilt.",
            provider=self.name,
        )

    async def delete_native(self, native: NativeState) -> None:  # noqa: B027 - nothing to do unless overridden
        """Delete what the provider keeps; a state that is gone already is a success."""

    async def model_limits(self) -> ModelLimits | None:
        """Ask the provider how much the model takes; None when it does not tell. Failures are raised as they come."""
        return None

    async def count_tokens(self, request: ProviderRequest) -> int | None:
        """Let the provider count the tokens of a request, instructions and tools included, without answering it.

        Returns:
            Their number; None when the provider does not count.
        """
        return None

    def endpoint(self) -> tuple[str | None, int | None]:
        """Return host and port requests go to, for telemetry; (None, None) when unknown."""
        return None, None

    def sdk_calls(self) -> Sequence[str]:
        """Name the SDK's functions that a request goes through, each ``module:Class.function``; for telemetry.

        Others may have wrapped one of them, and record the call.
        """
        return ()

    @property
    def traffic(self) -> TrafficRules | None:
        """What its requests are held to: limits a minute, and when it is left alone; None: nothing."""
        return None


class EngineSession(EngineProvider, ProviderSession):
    """A live provider session with both faces: the turn engine's and the user's."""


class ProviderConnection(ABC):
    """One configured provider of one manager: opens live sessions, owns the clients they share.

    Attributes:
        name: The provider's name.
        keeps_state: Whether its live sessions hold something that must outlive the handles of their sessions.
    """

    name: str
    keeps_state: bool = False

    @abstractmethod
    def check(self, model: str, config: Mapping[str, Any]) -> None:
        """Refuse what cannot work, before anything is stored.

        Raises:
            ConfigurationError: A key is missing or a setting unknown; the message names the remedy.
        """

    @abstractmethod
    def open(self, session_id: str, model: str, config: Mapping[str, Any]) -> ProviderSession:
        """Return the live provider session of one conversation. No I/O."""

    def traffic(self, config: Mapping[str, Any]) -> TrafficRules | None:
        """Return what the requests of a session with this provider_config are held to; None: nothing."""
        return None

    async def discard(self, session_id: str, live: ProviderSession) -> None:  # noqa: B027 - nothing to do unless overridden
        """Take back what `open` returned, for a conversation that was refused before anything was stored."""

    def forget(self, session_id: str) -> None:  # noqa: B027 - nothing to do unless overridden
        """Drop what is kept here of a conversation that was deleted."""

    async def aclose(self) -> None:  # noqa: B027 - nothing to do unless overridden
        """Close the clients this connection made itself."""
