"""What the model sees, in one form for both APIs, and the rules its context must obey. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from tests.support.provider_server.json_types import JsonObject, objects, string

from .api_errors import ApiError
from .replies import Reply

_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """The whole context one request put before the model.

    Args:
        answer_id: The interaction or response made from it.
        model: The model that was asked for.
        instructions: This request's instructions.
        tool_names: The tools on offer, in order.
        previous_id: The interaction it continued.
        entries: What was said, oldest first: (who or what, text).
        own: How many of them came with this request.
    """

    answer_id: str
    model: str
    instructions: str | None
    tool_names: tuple[str, ...]
    previous_id: str | None
    entries: tuple[tuple[str, str], ...]
    own: int

    @property
    def user_texts(self) -> list[str]:
        """The texts of all user messages."""
        return [text for kind, text in self.entries if kind == "user"]

    @property
    def token_count(self) -> int:
        """The tokens the server bills for this context."""
        return tokens(self.instructions or "") + sum(tokens(text) for _, text in self.entries)


def tokens(text: str) -> int:
    """Return how many tokens a text has."""
    return 3 + len(text) // _CHARACTERS_PER_TOKEN


def default_reply(view: ModelView) -> Reply:
    """Say how many messages of the user the model saw, and the newest; or what the tools said."""
    results: list[str] = []
    for kind, text in reversed(view.entries):
        if kind != "result":
            break
        results.insert(0, text)
    count = len(view.user_texts)
    if results:
        return Reply(text=f"[{count}] Tools said: {', '.join(results)}")
    return Reply(text=f"[{count}] You said: {view.user_texts[-1] if count else ''}")


# Interactions


def step_entries(steps: Sequence[JsonObject]) -> list[tuple[str, str]]:
    """Return steps as entries."""
    return [_step_entry(step) for step in steps]


def _step_entry(step: JsonObject) -> tuple[str, str]:
    match string(step, "type"):
        case "user_input":
            return "user", _blocks(step.get("content"))
        case "model_output":
            return "model", _blocks(step.get("content"))
        case "function_call":
            return "call", string(step, "name")
        case "function_result":
            result = step.get("result")
            return "result", result if isinstance(result, str) else _blocks(result)
        case kind:
            return kind, _blocks(step.get("summary"))


def _blocks(content: JsonValue) -> str:
    return "".join(string(block, "text") or _opaque(block) for block in objects(content))


def _opaque(block: JsonObject) -> str:
    return "" if string(block, "type") == "text" else f"<{string(block, 'type')}>"


def check_steps(steps: Sequence[JsonObject], *, signatures: frozenset[str]) -> None:
    """Refuse a context whose calls and results do not pair, or whose thoughts were never signed here.

    Raises:
        ApiError: 400.
    """
    waiting: list[str] = []
    for step in steps:
        kind = string(step, "type")
        if kind == "function_call":
            waiting.append(string(step, "id"))
        elif kind == "function_result":
            if string(step, "call_id") not in waiting:
                raise _malformed(f"function_result for unknown function_call '{string(step, 'call_id')}'.")
            waiting.remove(string(step, "call_id"))
        elif kind == "user_input" and waiting:
            raise _malformed(f"function_call '{waiting[0]}' has no function_result.")
        elif kind == "thought" and string(step, "signature") not in signatures:
            raise _malformed("Thought signature is not valid.")
    if waiting:
        raise _malformed(f"function_call '{waiting[0]}' has no function_result.")


# generate_content


def content_entries(contents: Sequence[JsonObject]) -> list[tuple[str, str]]:
    """Return contents as entries."""
    found: list[tuple[str, str]] = []
    for content in contents:
        parts = objects(content.get("parts"))
        for part in parts:
            found += _special(part)
        texts = [string(part, "text") or _media(part) for part in parts if "thought" not in part]
        if any(texts):
            found.append((string(content, "role"), "".join(texts)))
    return found


def _special(part: JsonObject) -> list[tuple[str, str]]:
    call, response = part.get("functionCall"), part.get("functionResponse")
    if isinstance(call, dict):
        return [("call", string(call, "name"))]
    if isinstance(response, dict):
        outcome = response.get("response")
        return [("result", "".join(map(str, outcome.values())) if isinstance(outcome, dict) else "")]
    return []


def _media(part: JsonObject) -> str:
    return next((f"<{name}>" for name in ("inlineData", "fileData") if name in part), "")


def check_contents(contents: Sequence[JsonObject], *, signatures: frozenset[str], is_strict: bool) -> None:
    """Refuse contents that break the vendor's rules: turns, pairing, signatures.

    Raises:
        ApiError: 400.
    """
    if not contents:
        raise _malformed("* GenerateContentRequest.contents: contents is not specified")
    asked: list[JsonObject] = []
    for content in contents:
        parts = objects(content.get("parts"))
        if not parts or any(not part or part == {"text": ""} for part in parts):
            raise _malformed("* GenerateContentRequest.contents.parts: contents.parts must not be empty.")
        if string(content, "role") not in {"user", "model"}:
            raise _malformed("Please use a valid role: user, model.")
        answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
        if len(answers) != len(asked) or any(not _fits(*pair) for pair in zip(asked, answers, strict=True)):
            raise _malformed(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        calls = [part for part in parts if "functionCall" in part]
        if is_strict and calls and string(calls[0], "thoughtSignature") not in signatures:
            raise _malformed("Function call is missing a thought_signature in functionCall parts.")
        asked = [call for part in calls if isinstance(call := part["functionCall"], dict)]
    if asked:
        raise _malformed("A function call turn must be followed by a function response turn.")


def _fits(call: JsonObject, response: JsonValue) -> bool:
    if not isinstance(response, dict):
        return False
    return (call.get("name"), call.get("id")) == (response.get("name"), response.get("id"))


def _malformed(message: str) -> ApiError:
    return ApiError(400, "INVALID_ARGUMENT", message)
