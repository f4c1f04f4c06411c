"""The state a provider keeps: message threads, and which thinking it ever signed."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Collection
from dataclasses import dataclass

from anthropic.types import Message
from pydantic import JsonValue

from tests.support.provider_server.faults import Kept
from tests.support.provider_server.journal import Journal, Violation
from tests.support.provider_server.json_types import JsonObject, objects, string
from tests.support.provider_server.replies import Script

from . import context
from .answers import as_json, build_message
from .api_errors import ApiError
from .context import ModelView, blocks_of
from .replies import Reply
from .rules import check_conversation

_FIXED = ("cache_control", "model", "thinking", "tool_choice")
"""What every request of a thread must share (docs: build-with-claude/message-threads); the betas too."""


@dataclass(slots=True)
class _Kept:
    """A message of a thread, with all that led to it."""

    system: str | None
    tools: list[JsonObject]
    fixed: str
    messages: list[JsonObject]
    state: str = "open"  # or "in_flight", "continued"


@dataclass(frozen=True, slots=True)
class MadeMessage:
    """A finished answer that may still have to be sent.

    Args:
        message: The message as it ends.
        reply: What it was made from.
        kept: What is kept under its id once it was sent, None outside of threads.
        parent: The kept message it continues.
    """

    message: Message
    reply: Reply
    kept: _Kept | None
    parent: _Kept | None


class MessagesApi:
    """Answers requests and keeps threads. Thread-safe.

    Args:
        journal: Where contexts and violations are written down.
        replies: What the model says.
        models: The models that exist; None means any.
        output_limit: The longest answer every model gives, in tokens.
        context_length: The window of every model in tokens; None means endless.
    """

    def __init__(
        self,
        journal: Journal[ModelView],
        replies: Script[ModelView, Reply],
        *,
        models: Collection[str] | None,
        output_limit: int,
        context_length: int | None,
    ) -> None:
        self.models = models
        self.output_limit = output_limit
        self.context_length = context_length
        self.system_refused_by: set[str] = set()
        self.unthreadable: set[str] = set()
        self._journal = journal
        self._replies = replies
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._kept: dict[str, _Kept] = {}
        self._signed: set[tuple[str, str, str]] = set()
        self._cached: set[str] = set()

    def issue(self, prefix: str) -> str:
        """Return a new id."""
        return f"{prefix}_{next(self._numbers):024d}"

    def create(self, body: JsonObject, *, betas: str) -> MadeMessage:
        """Answer a judged body; a thread's message is in flight until `finish`.

        Args:
            body: The request.
            betas: Its ``anthropic-beta`` header.

        Raises:
            ApiError: The request is refused.
        """
        with self._lock:
            self._check_model(body)
            thread = body.get("thread")
            parent = self._parent(body, thread, betas) if isinstance(thread, dict) else None
            messages = context.merged([*(parent.messages if parent else []), *objects(body.get("messages"))])
            self._check(body, messages)
            view = self._view(body, messages, parent)
            if self.context_length is not None and context.prefixes(view)[-1][1] > self.context_length:
                raise ApiError(400, f"prompt is too long: {context.prefixes(view)[-1][1]} tokens")
            reply = self._replies.next(view)
            answer = self._answer(body, view, reply, parent=parent, keep=isinstance(thread, dict), betas=betas)
            self._journal.saw(view)
            if parent is not None:
                parent.state = "in_flight"
            return answer

    def finish(self, answer: MadeMessage, kept: Kept = "turn") -> None:
        """Keep a thread's message: from now on its thread goes on from there, and only from there; or lose it."""
        with self._lock:
            if answer.parent is not None:
                answer.parent.state = "open" if kept == "nothing" else "continued"
            if answer.kept is not None and answer.message.stop_reason != "refusal" and kept == "turn":
                self._kept[answer.message.id] = answer.kept

    def forget(self) -> None:
        """Lose every thread, as an expiry would."""
        with self._lock:
            self._kept.clear()

    def kept_ids(self) -> list[str]:
        """Return the messages threads can be continued from, oldest first."""
        with self._lock:
            return [key for key, kept in self._kept.items() if kept.state == "open"]

    def _check_model(self, body: JsonObject) -> None:
        model, most = string(body, "model"), body.get("max_tokens")
        if self.models is not None and model not in self.models:
            raise ApiError(404, f"model: {model}")
        if isinstance(most, int) and most > self.output_limit:
            limit = f"the maximum allowed number of output tokens for {model}"
            raise ApiError(400, f"max_tokens: {most} > {self.output_limit}, which is {limit}")
        roles = [string(message, "role") for message in objects(body.get("messages"))]
        if "system" in roles and model in self.system_refused_by:
            raise ApiError(400, "role 'system' is not supported on this model")

    def _parent(self, body: JsonObject, thread: JsonObject, betas: str) -> _Kept | None:
        unsupported: list[JsonValue] = [name for name in sorted(self.unthreadable) if name in {*body, "hipaa"}]
        if unsupported:
            details: JsonObject = {"unsupported": unsupported}
            raise ApiError(400, "not supported with threads", code="thread_unsupported_request", details=details)
        if string(thread, "type") != "continue":
            return None
        kept = self._kept.get(string(thread, "previous_message_id"))
        if kept is None:
            raise ApiError(404, "No usable thread was found.", code="thread_not_found")
        if kept.state == "continued":
            raise ApiError(400, "Already continued.", code="thread_already_continued")
        if kept.state == "in_flight":
            raise ApiError(400, "Still being continued.", code="thread_continue_in_flight")
        if kept.fixed != _fixed(body, betas):
            raise ApiError(400, "A fixed field differs.", code="thread_fingerprint_mismatch")
        return kept

    def _check(self, body: JsonObject, messages: list[JsonObject]) -> None:
        try:
            check_conversation(messages)
        except ApiError as error:
            self._journal.violated(Violation(error.message, body))
            raise
        for message in messages:
            for block in blocks_of(message):
                sealed = string(block, "signature") or string(block, "data")
                if string(block, "type").endswith("thinking") and (
                    string(body, "model"), string(block, "thinking"), sealed
                ) not in self._signed:  # fmt: skip
                    raise ApiError(400, "messages: Invalid `signature` in `thinking` block")

    def _view(self, body: JsonObject, messages: list[JsonObject], parent: _Kept | None) -> ModelView:
        thread = body.get("thread")
        system = body.get("system")
        tools = parent.tools if parent else objects(body.get("tools"))
        return ModelView(
            message_id=self.issue("msg"),
            model=string(body, "model"),
            system=parent.system if parent else system if isinstance(system, str) else None,
            tool_names=tuple(string(tool, "name") for tool in tools),
            previous_message_id=string(thread, "previous_message_id") or None if isinstance(thread, dict) else None,
            messages=tuple(messages),
        )

    def _answer(
        self, body: JsonObject, view: ModelView, reply: Reply, *, parent: _Kept | None, keep: bool, betas: str
    ) -> MadeMessage:
        for call in reply.tool_calls:
            if call.name not in view.tool_names:
                self._journal.violated(Violation(f"the scripted tool '{call.name}' was not offered", body))
        read, total = self._cache(body, view)
        message = build_message(reply, view, issue=self.issue, read=read, total=total)
        for block in map(as_json, message.content):
            if string(block, "type").endswith("thinking"):
                sealed = string(block, "signature") or string(block, "data")
                self._signed.add((view.model, string(block, "thinking"), sealed))
        said: JsonObject = {"role": "assistant", "content": [as_json(block) for block in message.content]}
        tools = parent.tools if parent else objects(body.get("tools"))
        kept = _Kept(view.system, tools, _fixed(body, betas), [*view.messages, said]) if keep else None
        return MadeMessage(message, reply, kept, parent)

    def _cache(self, body: JsonObject, view: ModelView) -> tuple[int, int]:
        """Return the tokens read from the prompt cache and all there are; remember this context if asked to."""
        prefixes = context.prefixes(view)
        read = max((tokens for key, tokens in prefixes if key in self._cached), default=0)
        if body.get("cache_control"):
            self._cached.update(key for key, _ in prefixes)
        return read, prefixes[-1][1]


def _fixed(body: JsonObject, betas: str) -> str:
    return json.dumps([betas, *(body.get(name) for name in _FIXED)], sort_keys=True)
