"""What `session.export_conversation()` wrote, read back: session, transcript, figures, summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import MAXYEAR, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from ipaddress import ip_address
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from langswarm_sessions.checks import check_strategy
from langswarm_sessions.config import LARGEST_COUNT, SessionConfig, Strategy
from langswarm_sessions.errors import ImportFormatError, InvalidInputError
from langswarm_sessions.export import EXPORT_FORMAT, FIGURES
from langswarm_sessions.ids import now
from langswarm_sessions.importing.fields import Fields, list_at, refused
from langswarm_sessions.messages import (
    SCHEMA_VERSION,
    MessageKind,
    Part,
    Role,
    SessionMessage,
    TextPart,
    TurnState,
    part_from_json,
    plain_mapping,
    text_of,
)
from langswarm_sessions.providers import canonical_name
from langswarm_sessions.records import (
    SessionCounters,
    SessionRecord,
    SessionStatus,
    SessionSummary,
    told_cost,
    total_of,
)

__all__ = ["ExportedConversation", "Overrides", "Remedies", "read_export"]

E = TypeVar("E", bound=StrEnum)

_SESSION = (
    "session_id",
    "user_id",
    "provider",
    "model",
    "strategy",
    "status",
    "created_at",
    "last_activity",
    "archived_at",
    "config",
    "provider_config",
    "context",
)
_MESSAGE = (
    "message_id",
    "role",
    "kind",
    "content",
    "parts",
    "timestamp",
    "status",
    "metadata",
    "turn_id",
    "parent_id",
    "group_id",
    "provider_message_id",
    "provider_metadata",
    "provider_payload",
)
_SUMMARY = (*(item.name for item in fields(SessionSummary)), "up_to_message_id")
_TOKENS = ("input_tokens", "output_tokens", "total_tokens")
_MOST_DOLLARS = 1_000_000  # for one conversation; every database can add up what is below


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedies:
    """What to do about a refusal, in the words of who asked.

    Args:
        taken: The id is that of another session.
        answerer: Who answers cannot work.
        address: The settings name another machine.
    """

    taken: str = "Give session_id= to import into a session of another id."
    answerer: str = "Or say who answers from now on: provider=, model=, provider_config=."
    address: str = "If that is right, give provider_config= with it; if not, give provider_config= without it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What shall be another way than the export says; None: as it says.

    Args:
        session_id: The session's id here.
        session_prefix: Put before the id that the export says.
        user_id: Whose it will be.
        provider: Who answers from now on.
        model: The provider's name of the model.
        provider_config: The provider's settings.
        remedies: What errors say is to be done.
    """

    session_id: str | None = None
    session_prefix: str = ""
    user_id: str | None = None
    provider: str | None = None
    model: str | None = None
    provider_config: Mapping[str, Any] | None = field(default=None, repr=False)
    remedies: Remedies = Remedies()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedConversation:
    """An export as data: the session's row with its counters, its messages, what stands for the oldest of them."""

    record: SessionRecord
    messages: tuple[SessionMessage, ...]
    summary: SessionSummary | None


def read_export(data: object, overrides: Overrides) -> ExportedConversation:
    """Return what an export says.

    Args:
        data: What `session.export_conversation()` returned, or what `json.load` read of it.
        overrides: What shall be another way.

    Raises:
        InvalidInputError: It is no mapping.
        ImportFormatError: It is no export, one of a later version, or something in it is wrong; the message names the
            field.
    """
    if not isinstance(data, Mapping):
        raise InvalidInputError(
            f"data must be the dict that session.export_conversation() returns, not {type(data).__name__}; read a file "
            "of it with json.load(file)."
        )
    whole = Fields(cast("object", data), "")
    _check_version(whole)
    messages = _messages(whole)
    record = _record(
        Fields(whole.needed("session"), "session", known=_SESSION), overrides, counters=_figures(whole, messages)
    )
    return ExportedConversation(record=record, messages=messages, summary=_summary(whole, messages))


def _check_version(whole: Fields) -> None:
    if whole.given("format") != EXPORT_FORMAT:
        raise ImportFormatError(
            f"format must be {EXPORT_FORMAT!r}: this is nothing that session.export_conversation() wrote. What other "
            "libraries keep is imported with manager.import_from()."
        )
    version = whole.needed("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ImportFormatError("version must be a whole number of at least 1.")
    if version > SCHEMA_VERSION:
        raise ImportFormatError(
            f"version is {version}, and this release reads exports up to version {SCHEMA_VERSION}. Upgrade it: "
            "pip install --upgrade langswarm-sessions."
        )


def _record(session: Fields, overrides: Overrides, *, counters: SessionCounters) -> SessionRecord:
    """Return the session's row; a thread that the provider keeps is not taken over."""
    status = session.read("status", _member(SessionStatus), SessionStatus.ACTIVE)
    if status is SessionStatus.DELETED:
        raise ImportFormatError("session.status is 'deleted': make it 'active' or 'archived' to import the session.")
    return SessionRecord(
        session_id=overrides.session_id or session.name("session_id", prefix=overrides.session_prefix),
        user_id=overrides.user_id or session.name("user_id"),
        provider=canonical_name(overrides.provider or session.name("provider")),
        model=overrides.model or session.name("model"),
        strategy=session.read("strategy", check_strategy, Strategy.HYBRID),
        status=status,
        created_at=session.time("created_at"),
        last_activity=session.time("last_activity"),
        archived_at=_archived_at(session, status),
        config=session.read("config", SessionConfig.of),
        provider_config=_settings(session, overrides),
        context=session.mapping("context"),
        counters=counters,
    )


def _settings(session: Fields, overrides: Overrides) -> Mapping[str, Any]:
    """Return the provider's settings; who wrote the export does not say where the next turn sends the user's key."""
    if overrides.provider_config is not None:
        return overrides.provider_config
    settings = session.mapping("provider_config") if overrides.provider is None else {}
    address = settings.get("base_url")
    if isinstance(address, str) and not _is_this_machine(address):
        raise ImportFormatError(
            "session.provider_config.base_url: the next turn would send your key to where the export says. "
            + overrides.remedies.address
        )
    return settings


def _is_this_machine(address: str) -> bool:
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _archived_at(session: Fields, status: SessionStatus) -> datetime | None:
    """Return since when the session is archived; where nobody tells, a clean-up shall not find it long ago."""
    if status is not SessionStatus.ARCHIVED:
        return None
    return now() if session.given("archived_at") is None else session.time("archived_at")


def _figures(whole: Fields, messages: tuple[SessionMessage, ...]) -> SessionCounters:
    if whole.given("figures") is None:
        return _told_figures(messages)
    told = Fields(whole.given("figures"), "figures", known=FIGURES)
    counts = {name: told.count(name) for name in FIGURES if name not in ("response_ms", "cost")}
    return SessionCounters(**counts, response_ms=told.number("response_ms"), cost=_cost(told))


def _told_figures(messages: tuple[SessionMessage, ...]) -> SessionCounters:
    """Return the figures as far as the messages tell them."""
    ends = {message.turn_id: message.status for message in messages if message.turn_id}
    answers = [message for message in messages if message.role is Role.ASSISTANT and message.turn_id]
    costs = {message.message_id: cost for message in answers if (cost := told_cost(message)) is not None}
    priced = {message.turn_id for message in answers if message.message_id in costs}
    return SessionCounters(
        turns=len(ends),
        failed_turns=list(ends.values()).count(TurnState.FAILED),
        **{name: sum(_tokens(message, name) for message in answers) for name in _TOKENS},
        cost=total_of(costs.values()),
        priced_turns=len(priced),
        unpriced_turns=len({message.turn_id for message in answers} - priced),
    )


def _tokens(answer: SessionMessage, name: str) -> int:
    usage: object = answer.provider_metadata.get("usage")
    count: object = cast("Mapping[str, object]", usage).get(name) if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) and 0 <= count <= LARGEST_COUNT else 0


def _cost(told: Fields) -> Decimal:
    text = told.text("cost")
    try:
        amount = Decimal(text or 0)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _MOST_DOLLARS:
        raise ImportFormatError(f"{told.at('cost')} must be an amount of 0 to {_MOST_DOLLARS} US dollars, as text.")
    return amount


def _messages(whole: Fields) -> tuple[SessionMessage, ...]:
    messages: list[SessionMessage] = []
    seen: dict[str, int] = {}
    ends: dict[str, TurnState] = {}
    cost = Decimal(0)
    for position, item in enumerate(list_at(whole.needed("messages"), "messages")):
        path = f"messages[{position}]"
        message = _message(Fields(item, path, known=_MESSAGE))
        if seen.setdefault(message.message_id, position) != position:
            raise ImportFormatError(f"{path}.message_id is that of messages[{seen[message.message_id]}], too.")
        if ends.setdefault(message.turn_id or "", message.status) is not message.status:
            raise ImportFormatError(
                f"{path}.status is not that of the messages before it of the same turn. Make them agree."
            )
        price = told_cost(message) or Decimal(0)
        if price > _MOST_DOLLARS or (cost := total_of((cost, price))) > _MOST_DOLLARS:
            raise ImportFormatError(f"{path}.provider_metadata: the answers cannot have cost so much.")
        messages.append(message)
    return tuple(messages)


def _message(told: Fields) -> SessionMessage:
    content, parts = told.text("content") or "", _parts(told)
    if parts and text_of(parts) != content:
        raise ImportFormatError(f"{told.at('content')} is not the text of the message's parts. Make them agree.")
    status, turn_id = told.read("status", _member(TurnState), TurnState.COMPLETED), told.id("turn_id")
    if turn_id is None and status is not TurnState.COMPLETED:
        raise ImportFormatError(f"{told.at('turn_id')} is missing: only a turn can be {status.value}.")
    message = SessionMessage(  # each field of it was checked
        message_id=told.id("message_id") or told.needed("message_id"),
        role=told.read("role", _member(Role)),
        kind=told.read("kind", _member(MessageKind), MessageKind.SAID),
        content=content,
        parts=parts,
        timestamp=told.time("timestamp", last_year=MAXYEAR),
        status=TurnState.INTERRUPTED if status is TurnState.PENDING else status,  # who ran the turn is elsewhere
        metadata=told.mapping("metadata"),
        turn_id=turn_id,
        group_id=told.id("group_id"),
        provider_message_id=told.text("provider_message_id"),
        provider_metadata=told.mapping("provider_metadata"),
        provider_payload=None if told.given("provider_payload") is None else told.mapping("provider_payload"),
    )
    _check_meaning(message, told)
    return message


def _check_meaning(message: SessionMessage, told: Fields) -> None:
    if message.kind is MessageKind.RETRACTED:
        raise ImportFormatError(f"{told.at('kind')} is 'retracted': no export holds what was taken back. Remove it.")
    if message.kind is MessageKind.INSTRUCTIONS and message.role is not Role.SYSTEM:
        raise ImportFormatError(f"{told.at('role')} must be 'system', for these are instructions.")


def _parts(told: Fields) -> list[Part]:
    parts: list[Part] = []
    for position, item in enumerate(list_at(told.given("parts") or [], told.at("parts"))):
        path = f"{told.at('parts')}[{position}]"
        Fields(item, path)
        with refused(path):
            parts.append(part_from_json(item))
        if not isinstance(parts[-1], TextPart):  # its text is in the content, which was looked at before
            with refused():
                plain_mapping(item, field=path)
    return parts


def _summary(whole: Fields, messages: tuple[SessionMessage, ...]) -> SessionSummary | None:
    """Return the summary; one that does not say which message it goes up to is made again when it is needed."""
    if whole.given("summary") is None:
        return None
    told = Fields(whole.given("summary"), "summary", known=_SUMMARY)
    last = told.id("up_to_message_id")
    if last is None:
        return None
    places = {message.message_id: place for place, message in enumerate(messages, start=1)}
    if last not in places:
        raise ImportFormatError(f"{told.at('up_to_message_id')} is the id of none of the messages.")
    told.needed("text")
    return SessionSummary(
        up_to_seq=places[last],
        text=told.text("text") or "",
        tokens=told.count("tokens"),
        created_at=told.time("created_at"),
        provider=told.id("provider"),
        model=told.id("model"),
    )


def _member(kind: type[E]) -> Callable[[Any], E]:
    def read(value: Any) -> E:
        try:
            return kind(value)
        except ValueError:
            raise InvalidInputError(f"it must be one of {', '.join(kind)}.") from None

    return read
