"""What the model sees, and the rules its items must obey. Pure: no state of the server is touched here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from tests.support.provider_server.json_types import JsonObject, objects, string

from .api_errors import ApiError, item_not_found
from .replies import Reply

_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_ITEM = 3
_GENERATED_TYPES = frozenset({"message", "function_call", "reasoning", "compaction"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """The whole context one request put before the model.

    Args:
        response_id: The response made from it.
        model: The model that was asked for.
        instructions: This request's instructions (earlier ones do not carry over).
        tool_names: The tools on offer, in order.
        previous_response_id: The native state the request built on, None without any.
        items: Every input and output item so far, in the order the model reads them.
        conversation_id: The conversation the request was a turn of, None without any.
    """

    response_id: str
    model: str
    instructions: str | None
    tool_names: tuple[str, ...]
    previous_response_id: str | None
    items: tuple[JsonObject, ...]
    conversation_id: str | None = None

    @property
    def user_texts(self) -> list[str]:
        """The texts of all user messages."""
        return [text_of(item) for item in self.items if string(item, "role") == "user"]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Every item as (role or item type, text): short enough to write down in an assertion."""
        return [(kind_of(item), text_of(item)) for item in self.items]

    @property
    def token_count(self) -> int:
        """The tokens the server bills for this context."""
        return count_tokens(self.instructions or "") + sum(item_tokens(item) for item in self.items)


def kind_of(item: JsonObject) -> str:
    """Return a message's role, and the type of any other item."""
    return string(item, "role") or string(item, "type")


def text_of(item: JsonObject) -> str:
    """Return the text of an item as the model reads it."""
    if string(item, "type") == "function_call":
        return f"{string(item, 'name')}({string(item, 'arguments')})"
    if string(item, "type") == "function_call_output":
        return _content_text(item.get("output"))
    if string(item, "type") == "reasoning":
        return _content_text(item.get("summary"))
    return _content_text(item.get("content"))


def _content_text(content: JsonValue) -> str:
    if isinstance(content, str):
        return content
    return "".join(string(part, "text") or string(part, "refusal") or _opaque(part) for part in objects(content))


def _opaque(part: JsonObject) -> str:
    kind = string(part, "type")
    return "" if kind in {"input_text", "output_text", "summary_text", "refusal"} else f"<{kind}>"


def count_tokens(text: str) -> int:
    """Return the server's token count of a text: deterministic, about four characters each."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def item_tokens(item: JsonObject) -> int:
    """Return the server's token count of one item."""
    return _TOKENS_PER_ITEM + count_tokens(text_of(item))


def default_reply(view: ModelView) -> Reply:
    """Return the reply that proves what the model saw: ``[{user messages}] You said: {last user text}``.

    A turn that ends in tool results is answered ``[{user messages}] Tools said: {results}``.
    """
    count = len(view.user_texts)
    results: list[str] = []
    for item in reversed(view.items):
        if string(item, "type") != "function_call_output":
            break
        results.insert(0, text_of(item))
    if results:
        return Reply(text=f"[{count}] Tools said: {', '.join(results)}")
    return Reply(text=f"[{count}] You said: {view.user_texts[-1] if count else ''}")


def input_items(value: JsonValue) -> list[JsonObject]:
    """Return a request's ``input`` as items; plain text is one user message."""
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": value}]}]
    return objects(value)


def resolve_references(items: Iterable[JsonObject], find_item: Callable[[str], JsonObject | None]) -> list[JsonObject]:
    """Put stored items in the place of ``item_reference`` items.

    Raises:
        ApiError: 404 when a reference names an item that no stored response holds.
    """
    resolved: list[JsonObject] = []
    for item in items:
        is_reference = string(item, "type") == "item_reference" or set(item) <= {"id", "type"}
        if not is_reference:
            resolved.append(item)
            continue
        found = find_item(string(item, "id"))
        if found is None:
            raise item_not_found(string(item, "id"))
        resolved.append(found)
    return resolved


def check_new_items(
    items: Iterable[JsonObject], *, is_kept: Callable[[str], bool], is_sealed: Callable[[str], bool]
) -> None:
    """Refuse new input items the model's side never made.

    Args:
        items: The request's own input.
        is_kept: Whether an item id belongs to a stored response.
        is_sealed: Whether an encrypted reasoning text is one the server issued.

    Raises:
        ApiError: 404 for an unknown item id, 400 for foreign encrypted content or user content in an assistant message.
    """
    for index, item in enumerate(items):
        _check_assistant_content(item, index)
        sealed = string(item, "encrypted_content")
        if sealed and not is_sealed(sealed):
            message = f"The encrypted content for item {string(item, 'id')} could not be verified."
            raise ApiError(400, message, code="invalid_encrypted_content")
        item_id = string(item, "id")
        generated = (string(item, "type") or "message") in _GENERATED_TYPES
        if item_id and generated and not sealed and not is_kept(item_id):
            raise item_not_found(item_id)


def _check_assistant_content(item: JsonObject, index: int) -> None:
    if string(item, "role") != "assistant":
        return
    for position, part in enumerate(objects(item.get("content"))):
        if string(part, "type") not in {"output_text", "refusal"}:
            kind = string(part, "type")
            raise ApiError(
                400,
                f"Invalid value: '{kind}'. Supported values are: 'output_text' and 'refusal'.",
                code="invalid_value",
                param=f"input[{index}].content[{position}]",
            )


def check_sequence(items: Sequence[JsonObject], *, needed_reasoning: Callable[[str], str | None]) -> None:
    """Refuse a context whose items do not fit together.

    Args:
        items: The whole context: stored chain and new input.
        needed_reasoning: The id of the reasoning item that a stored item must come with, None without any.

    Raises:
        ApiError: 400 for a duplicate item, an orphan tool output, an unanswered call, or a reasoning item that lost
            its successor (or the other way round).
    """
    ids: set[str] = set()
    for item_id in filter(None, (string(item, "id") for item in items)):
        if item_id in ids:
            hint = "Remove duplicate items from your input and try again."
            raise ApiError(400, f"Duplicate item found with id {item_id}. {hint}", param="input")
        ids.add(item_id)
    _check_calls(items)
    _check_reasoning(items, frozenset(ids), needed_reasoning)


def _check_calls(items: Sequence[JsonObject]) -> None:
    open_calls: dict[str, None] = {}
    made: set[str] = set()
    for item in items:
        call_id = string(item, "call_id")
        if string(item, "type") == "function_call":
            made.add(call_id)
            open_calls[call_id] = None
        elif string(item, "type") == "function_call_output":
            if call_id not in made:
                message = f"No tool call found for function call output with call_id {call_id}."
                raise ApiError(400, message, param="input")
            open_calls.pop(call_id, None)
    for call_id in open_calls:
        raise ApiError(400, f"No tool output found for function call {call_id}.", param="input")


def _check_reasoning(
    items: Sequence[JsonObject], ids: frozenset[str], needed_reasoning: Callable[[str], str | None]
) -> None:
    for item, follower in zip(items, [*items[1:], None], strict=True):
        item_id, kind = string(item, "id"), string(item, "type")
        needed = needed_reasoning(item_id) if item_id else None
        if needed is not None and needed not in ids:
            message = (
                f"Item '{item_id}' of type '{kind}' was provided without its required 'reasoning' item: '{needed}'."
            )
            raise ApiError(400, message, param="input")
        if kind == "reasoning" and not _follows_reasoning(follower):
            message = f"Item '{item_id}' of type 'reasoning' was provided without its required following item."
            raise ApiError(400, message, param="input")


def _follows_reasoning(item: JsonObject | None) -> bool:
    return item is not None and kind_of(item) in {"assistant", "function_call", "reasoning"}


def fit_context(view: ModelView, *, limit: int | None, may_truncate: bool) -> ModelView:
    """Hold a context against the model's window.

    Args:
        view: The whole context.
        limit: The window in tokens; None means endless.
        may_truncate: Whether the request asked for ``truncation="auto"``.

    Returns:
        The context the model really sees: without its oldest items where truncation was allowed.

    Raises:
        ApiError: 400 ``context_length_exceeded``.
    """
    excess = view.token_count - limit if limit is not None else 0
    if excess <= 0:
        return view
    if not may_truncate:
        message = "Your input exceeds the context window of this model. Please adjust your input and try again."
        raise ApiError(400, message, code="context_length_exceeded", param="input")
    kept = list(view.items)
    while kept and excess > 0:
        excess -= item_tokens(kept.pop(0))
    return replace(view, items=tuple(kept))


def prefix_keys(view: ModelView) -> list[str]:
    """Return one key per item that stands for the model, tools, instructions and all items up to it."""
    key = repr((view.model, view.instructions, view.tool_names))
    keys: list[str] = []
    for item in view.items:
        key = str(hash((key, kind_of(item), text_of(item))))
        keys.append(key)
    return keys
