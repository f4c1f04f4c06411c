"""The state a provider keeps: interactions, their chains, and which signatures were ever issued. Thread-safe."""

from __future__ import annotations

import base64
import itertools
import secrets
import threading
from dataclasses import dataclass

from tests.support.provider_server.journal import Journal
from tests.support.provider_server.json_types import JsonObject, objects, string
from tests.support.provider_server.replies import Script

from . import views
from .api_errors import ApiError
from .replies import Reply
from .views import ModelView

UNSIGNED = base64.b64encode(b"skip_thought_signature_validator").decode()


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored interaction: its own steps and the one before it."""

    steps: list[JsonObject]
    parent: Kept | None

    def chain(self) -> list[JsonObject]:
        """Return all steps of the conversation."""
        return [*(self.parent.chain() if self.parent else []), *self.steps]


@dataclass(frozen=True, slots=True)
class Turn:
    """A request that is being answered."""

    view: ModelView
    reply: Reply
    parent: Kept | None
    steps: list[JsonObject]
    is_stored: bool


class GeminiState:
    """Answers both APIs and remembers.

    Args:
        journal: Where contexts are written down.
        replies: What the model says.
    """

    def __init__(self, journal: Journal[ModelView], replies: Script[ModelView, Reply]) -> None:
        self._journal = journal
        self._replies = replies
        self.is_strict = True
        self.has_call_ids = False
        self._lock = threading.RLock()
        self._kept: dict[str, Kept] = {}
        self._signatures = {UNSIGNED}
        self._salt = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    def new_id(self, prefix: str) -> str:
        """Return an id no other answer has."""
        return f"{prefix}_{self._salt}{next(self._numbers):06d}"

    def sign(self) -> str:
        """Return a new signature."""
        with self._lock:
            signature = base64.b64encode(secrets.token_bytes(24)).decode()
            self._signatures.add(signature)
            return signature

    def interact(self, body: JsonObject) -> Turn:
        """Answer the body of an interaction.

        Raises:
            ApiError: The interaction before it is unknown, or the steps do not fit together.
        """
        with self._lock:
            previous = string(body, "previous_interaction_id")
            if previous and previous not in self._kept:
                raise ApiError(404, "not_found", f"previous_interaction_id '{previous}' not found.")
            parent = self._kept.get(previous)
            given = body.get("input")
            steps = objects(given)
            chain = [*(parent.chain() if parent else []), *steps]
            views.check_steps(chain, signatures=frozenset(self._signatures))
            view = ModelView(
                answer_id=self.new_id("int"),
                model=string(body, "model"),
                instructions=string(body, "system_instruction") or None,
                tool_names=tuple(string(tool, "name") or string(tool, "type") for tool in objects(body.get("tools"))),
                previous_id=previous or None,
                entries=tuple(views.step_entries(chain)),
                own=len(steps),
            )
            return self._turn(view, parent=parent, steps=steps, is_stored=body.get("store") is not False)

    def generate(self, model: str, body: JsonObject) -> Turn:
        """Answer the body of `:streamGenerateContent`.

        Raises:
            ApiError: The contents do not fit together.
        """
        with self._lock:
            contents = objects(body.get("contents"))
            signed = frozenset(self._signatures) | {
                signature.replace("+", "-").replace("/", "_") for signature in self._signatures
            }
            views.check_contents(contents, signatures=signed, is_strict=self.is_strict)
            instruction = body.get("systemInstruction")
            parts = objects(instruction.get("parts")) if isinstance(instruction, dict) else []
            declared = [
                function
                for tool in objects(body.get("tools"))
                for function in objects(tool.get("functionDeclarations"))
            ]
            entries = views.content_entries(contents)
            view = ModelView(
                answer_id=self.new_id("resp"),
                model=model,
                instructions="".join(string(part, "text") for part in parts) or None,
                tool_names=tuple(string(function, "name") for function in declared),
                previous_id=None,
                entries=tuple(entries),
                own=len(entries),
            )
            return self._turn(view, parent=None, steps=[], is_stored=False)

    def keep(self, turn: Turn, answer: list[JsonObject]) -> None:
        """Let a turn be continued from now on."""
        if turn.is_stored:
            with self._lock:
                self._kept[turn.view.answer_id] = Kept([*turn.steps, *answer], turn.parent)

    def delete(self, interaction_id: str) -> None:
        """Delete an interaction.

        Raises:
            ApiError: 404, unless it is kept.
        """
        with self._lock:
            if self._kept.pop(interaction_id, None) is None:
                raise ApiError(404, "not_found", "Requested entity was not found.")

    def forget(self) -> None:
        """Lose all interactions without a word."""
        with self._lock:
            self._kept.clear()

    def kept_ids(self) -> list[str]:
        """Return the ids of all interactions kept, oldest first."""
        with self._lock:
            return list(self._kept)

    def _turn(self, view: ModelView, *, parent: Kept | None, steps: list[JsonObject], is_stored: bool) -> Turn:
        self._journal.saw(view)
        return Turn(view, self._replies.next(view), parent, steps, is_stored)
