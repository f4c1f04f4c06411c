"""For tests of sessions over the real Mistral SDK: a server that minds what its models are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from langswarm_sessions import RetryPolicy, SessionManager, SessionMessage
from langswarm_sessions.providers.mistral.client import connect_mistral
from tests.session.kit import AT_ONCE, OpenManager
from tests.support.mistral_server import MistralServer, ModelView
from tests.support.mistral_server.plugin import mistral_server
from tests.support.recorded import Recorded

__all__ = [
    "CLOCK",
    "MODEL",
    "Open",
    "Say",
    "calm",
    "held",
    "mistral",
    "mistral_server",
    "open_mistral",
    "paths",
    "sent",
]

MODEL = "mistral-medium-latest"
CLOCK: dict[str, Any] = {"name": "clock", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}}

Open = Callable[..., SessionManager]
Say = Callable[..., Awaitable[SessionMessage]]


@pytest.fixture
def mistral(mistral_server: MistralServer) -> Iterator[MistralServer]:
    """The test's server; afterwards no model may have been given a user's message twice, by whoever held it."""
    yield mistral_server
    mistral_server.wait_until_idle()
    for view in mistral_server.model_views:
        _check_once(view)


def _check_once(view: ModelView) -> None:
    twice = [text for text, count in Counter(view.user_texts).items() if count > 1]
    assert not twice, f"the model was told twice: {twice}"


@pytest.fixture
def open_mistral(mistral: MistralServer, open_manager: OpenManager, recorded: Recorded) -> Open:
    """Open a manager over a database file whose Mistral is the test's server; retries come at once."""

    def open_one(retry: RetryPolicy = AT_ONCE, **options: Any) -> SessionManager:
        credential = {**mistral.credential, **options.pop("credential", {})}
        providers = {"mistral": connect_mistral(credential)}
        return open_manager(telemetry=recorded.telemetry(), providers=providers, retry=retry, **options)

    return open_one


def held(server: MistralServer, at: int = -1) -> list[tuple[str, str]]:
    """Return what a conversation holds, as (kind, text)."""
    conversation = server.conversations[at]
    view = ModelView(
        conversation_id=conversation.id,
        continued=True,
        model=conversation.model,
        instructions=conversation.instructions,
        tool_names=conversation.tool_names,
        entries=tuple(conversation.entries),
    )
    return view.texts


def sent(server: MistralServer, at: int = -1) -> dict[str, Any]:
    """Return the body of one request for an answer."""
    body = server.posts[at].body
    assert body is not None
    return dict(body)


def paths(server: MistralServer) -> list[str]:
    """Return what was asked of the server, in order, with `{id}` for the conversations' ids."""
    known = {record.response_id for record in server.requests if record.response_id}
    told: list[str] = []
    for record in server.requests:
        path = record.path.removeprefix("/v1/")
        for conversation_id in known:
            path = path.replace(str(conversation_id), "{id}")
        told.append(f"{record.method} {path}")
    return told


def calm(server: MistralServer) -> None:
    """Let nothing go wrong any more."""
    while server.take_fault("answer") is not None or server.take_fault("history") is not None:
        pass
