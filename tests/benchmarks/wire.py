"""Bytes on the wire: what consecutive requests have in common, and what a turn of a long conversation costs.

Bodies are made by the planners and the adapters' own request builders; nothing is sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise, starmap, takewhile
from typing import Any

from langswarm_sessions.config import SessionConfig, Strategy
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.providers.anthropic.mapping import conversation_of
from langswarm_sessions.providers.anthropic.request import Dialect as AnthropicDialect
from langswarm_sessions.providers.anthropic.request import request_body as anthropic_body
from langswarm_sessions.providers.cohere.request import request_body as cohere_body
from langswarm_sessions.providers.cohere.request import senses_of
from langswarm_sessions.providers.gemini.contents import input_contents
from langswarm_sessions.providers.gemini.request import interaction_body
from langswarm_sessions.providers.mistral.request import append_body, chat_body, conversation_inputs
from langswarm_sessions.providers.openai.request import Dialect as OpenAIDialect
from langswarm_sessions.providers.openai.request import request_body as openai_body
from langswarm_sessions.records import NativeKind, NativeState, SessionRecord
from langswarm_sessions.strategies import ClientStrategy, NativeStrategy
from langswarm_sessions.window import estimate_tokens

__all__ = ["native_bytes", "prefix_shares"]

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = "model"
TURNS = 300
WINDOW_TOKENS = 8_000
CONFIG: dict[str, Any] = {}
Body = Callable[[ProviderRequest], object]


def _anthropic(request: ProviderRequest) -> object:
    told = conversation_of(request.messages, model=MODEL, system_in_place=True, is_whole=True)
    return anthropic_body(request, told, model=MODEL, config=CONFIG, dialect=AnthropicDialect())


def _openai(request: ProviderRequest) -> object:
    return openai_body(request, session_id="s", model=MODEL, config=CONFIG, dialect=OpenAIDialect())


def _mistral(request: ProviderRequest) -> object:
    return append_body(request, config=CONFIG, inputs=conversation_inputs(request, model=MODEL))


CLIENT_BODIES: dict[str, Body] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "gemini": lambda request: {"contents": input_contents(request.messages, model=MODEL)},
    "mistral": lambda request: chat_body(request, session_id="s", model=MODEL, config=CONFIG),
    "cohere": lambda request: cohere_body(request, model=MODEL, config=CONFIG, senses=senses_of(CONFIG, sees=True)),
}
NATIVE_BODIES: dict[str, tuple[NativeKind, Body]] = {
    "openai": (NativeKind.NODE, _openai),
    "gemini": (NativeKind.NODE, lambda request: interaction_body(request, model=MODEL, config=CONFIG)),
    "mistral": (NativeKind.LOG, _mistral),
}


def prefix_shares() -> dict[str, tuple[float, float]]:
    """Return, by provider, the share of bytes that begin as the request before did: of our window, and of one that
    slides by a turn every turn.
    """
    planner, row = ClientStrategy(), _record(SessionConfig(max_tokens_window=WINDOW_TOKENS))
    told = _conversation(TURNS)
    asked = range(0, len(told), 2)
    ours = [planner.plan(row, told[:at], told[at : at + 1]).messages for at in asked]
    sliding = [_sliding(told[: at + 1]) for at in asked]
    return {name: (_share(body, ours), _share(body, sliding)) for name, body in CLIENT_BODIES.items()}


def native_bytes(lengths: Sequence[int]) -> dict[str, list[tuple[int, int]]]:
    """Return, by provider, the bytes of a native and of a client's turn (default window) after so many messages."""
    found: dict[str, list[tuple[int, int]]] = {}
    for name, (kind, body) in NATIVE_BODIES.items():
        found[name] = []
        for length in lengths:
            told = _conversation(length // 2)
            native = NativeState(provider=name, kind=kind, id="id_0123456789", cursor=length, turn_id="t")
            row = _record(SessionConfig(), native)
            new = [SessionMessage(role=Role.USER, content="x" * 200, seq=length + 1)]
            delta = NativeStrategy(name, kind).plan(row, [], new)
            window = ClientStrategy().plan(row, told, new)
            sizes = (
                len(_bytes(body, delta.messages, delta.native)),
                len(_bytes(CLIENT_BODIES[name], window.messages)),
            )
            found[name].append(sizes)
    return found


def _share(body: Body, windows: Sequence[Sequence[SessionMessage]]) -> float:
    raw = [_bytes(body, window) for window in windows]
    return sum(starmap(_common, pairwise(raw))) / sum(map(len, raw[1:]))


def _common(before: bytes, after: bytes) -> int:
    """Return how many bytes two requests begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))


def _bytes(body: Body, messages: Sequence[SessionMessage], native: NativeState | None = None) -> bytes:
    request = ProviderRequest(messages=tuple(messages), native=native, keep_native=native is not None)
    return json.dumps(body(request)).encode()


def _sliding(told: Sequence[SessionMessage]) -> Sequence[SessionMessage]:
    cost, first = 0, len(told)
    while first > 0 and cost + estimate_tokens(told[first - 1]) <= WINDOW_TOKENS:
        first -= 1
        cost += estimate_tokens(told[first])
    return told[first + first % 2 :]


def _conversation(turns: int) -> list[SessionMessage]:
    """Return questions of 150 to 250 and answers of 400 to 800 characters."""
    told: list[SessionMessage] = []
    for number in range(turns):
        for role, size in ((Role.USER, 150 + number * 37 % 100), (Role.ASSISTANT, 400 + number * 61 % 400)):
            text = f"{number} ".ljust(size, "x")
            told.append(SessionMessage(role=role, content=text, seq=len(told) + 1, turn_id=str(number)))
    return told


def _record(config: SessionConfig, native: NativeState | None = None) -> SessionRecord:
    return SessionRecord(
        session_id="s",
        user_id="u",
        provider="p" if native is None else native.provider,
        model=MODEL,
        strategy=Strategy.HYBRID,
        created_at=MOMENT,
        last_activity=MOMENT,
        config=config,
        native=native,
    )
