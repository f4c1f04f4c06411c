"""What the mock provider remembers as a log: conversations that keep their id and grow in place."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from langswarm_sessions.errors import NativeStateLostError, ProviderUnavailableError
from langswarm_sessions.ids import new_id
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.providers.mock.nodes import answer_line, calls_in, estimate_text_tokens, line_of
from langswarm_sessions.records import NativeState

__all__ = ["NEWEST", "LogItem", "LogMemory", "MockLog"]

NEWEST = "newest"
"""Key of the memo that says up to which item a session knows its log."""

_ITEMS_KEPT = 2000
_LOGS_KEPT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LogItem:
    """One entry of a log.

    Args:
        id: Its id.
        line: Role and text.
        answer: The answer it is, with all that was told of it; None for what was sent.
    """

    id: str
    line: tuple[str, str] = field(repr=False)
    answer: Completed | None = field(default=None, repr=False)


class MockLog:
    """One conversation. It takes what it is sent, twice if it is sent twice; its newest two thousand items are kept.

    Attributes:
        id: Its id, the same for as long as it lives.
        tokens: Tokens of everything in it.
        open_calls: Ids of the newest answer's tool calls, until something is sent.
    """

    def __init__(self) -> None:
        self.id = f"mocklog_{new_id()}"
        self.tokens = 0
        self.open_calls: frozenset[str] = frozenset()
        self._items: deque[LogItem] = deque(maxlen=_ITEMS_KEPT)
        self._late: tuple[tuple[SessionMessage, ...], Completed] | None = None

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Role and text of everything it holds, oldest first."""
        return [item.line for item in self._items]

    def take(self, messages: Iterable[SessionMessage]) -> None:
        """Append what was sent."""
        for message in messages:
            self._append(line_of(message))
        self.open_calls = frozenset()

    def keep(self, completed: Completed) -> Completed:
        """Append an answer; return it with what a session needs to continue."""
        item_id = _new_item_id()
        told = replace(completed, native_id=self.id, native_memo={NEWEST: item_id})
        self._append(answer_line(told), item_id=item_id, answer=told)
        self.open_calls = calls_in(told)
        return told

    def keep_later(self, messages: tuple[SessionMessage, ...], completed: Completed) -> None:
        """Work on for a while: the log looks as before, but the next request finds it locked."""
        self._late = (messages, completed)

    def check_lock(self) -> None:
        """Let a request in while no other is worked on; one that is turned away finds that one done the next time.

        Raises:
            ProviderUnavailableError: Another request is worked on.
        """
        if self._late is None:
            return
        (messages, completed), self._late = self._late, None
        self.take(messages)
        self.keep(completed)
        raise ProviderUnavailableError(
            "mock: another request holds the conversation. Try again.", provider="mock", status_code=409
        )

    def answer_to(self, messages: Iterable[SessionMessage], *, newest: str | None) -> Completed | None:
        """Return the answer to what was sent after an item; None if nothing came after it.

        Raises:
            NativeStateLostError: Something else is there.
        """
        later = self._after(newest)
        if later == []:
            return None
        sent = [line_of(message) for message in messages]
        if later is None or later[-1].answer is None or [item.line for item in later[:-1]] != sent:
            raise NativeStateLostError("mock: the conversation is not what the session knows of it.", provider="mock")
        return later[-1].answer

    def _after(self, newest: str | None) -> list[LogItem] | None:
        ids = [item.id for item in self._items]
        return list(self._items)[ids.index(newest) + 1 :] if newest in ids else None

    def _append(self, line: tuple[str, str], *, item_id: str | None = None, answer: Completed | None = None) -> None:
        self._items.append(LogItem(id=item_id or _new_item_id(), line=line, answer=answer))
        self.tokens += estimate_text_tokens(line[1])


class LogMemory:
    """The logs of one connection; of each session the newest hundred are kept."""

    def __init__(self) -> None:
        self._logs: dict[str, MockLog] = {}
        self._of_session: dict[str, deque[str]] = {}

    def open(self, session_id: str, request: ProviderRequest) -> MockLog | None:
        """Return the log a request goes to, a new one if it starts anew; None if nothing is to be kept.

        Raises:
            NativeStateLostError: The log is gone.
            ProviderUnavailableError: It is locked.
        """
        if request.native is None:
            return self._start(session_id) if request.keep_native else None
        log = self.find(request.native)
        log.check_lock()
        return log

    def find(self, native: NativeState) -> MockLog:
        """Return the log of a native state.

        Raises:
            NativeStateLostError: It is gone.
        """
        log = self._logs.get(native.id)
        if log is None:
            raise NativeStateLostError(
                "mock: the conversation is gone; the mock provider forgets when its process ends.", provider="mock"
            )
        return log

    def of_session(self, session_id: str) -> dict[str, list[tuple[str, str]]]:
        """Return role and text of everything in each log of a session, oldest first."""
        kept = (self._logs.get(log_id) for log_id in self._of_session.get(session_id, ()))
        return {log.id: log.lines for log in kept if log is not None}

    def lines(self, log_id: str) -> list[tuple[str, str]]:
        """Return role and text of everything in a log."""
        log = self._logs.get(log_id)
        return [] if log is None else log.lines

    def forget(self, log_id: str) -> None:
        """Forget one log; unknown ones are no error."""
        self._logs.pop(log_id, None)

    def forget_session(self, session_id: str) -> None:
        """Forget every log of a session."""
        for log_id in self._of_session.pop(session_id, ()):
            self.forget(log_id)

    def _start(self, session_id: str) -> MockLog:
        log = self._made()
        self._logs[log.id] = log
        known = self._of_session.setdefault(session_id, deque())
        known.append(log.id)
        if len(known) > _LOGS_KEPT:
            self.forget(known.popleft())
        return log

    def _made(self) -> MockLog:
        return MockLog()


def _new_item_id() -> str:
    return f"mockitem_{new_id()}"
