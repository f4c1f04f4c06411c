"""A user's own provider and a user's own storage, as small as they may be."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from langswarm_sessions import (
    ConfigurationError,
    ProviderError,
    ProviderSession,
    ProviderSessionFactory,
    SessionMessage,
    SessionStorage,
    StorageError,
)
from tests.session.kit import OpenManager, threads_left, until


class Echo(ProviderSession):
    """Keeps its own history, in attributes of its own; no super().__init__."""

    made: list[Echo] = []

    def __init__(self, session_id: str, model: str, config: dict[str, Any]) -> None:
        self.session_id = session_id
        self.model_name = model
        self.settings = config
        self.history: list[str] = []
        self.cleaned = 0
        Echo.made.append(self)

    async def send_message(
        self, content: str, role: str = "user", metadata: dict[str, Any] | None = None
    ) -> SessionMessage:
        self.history.append(f"{role}:{content}:{metadata}")
        return SessionMessage(role="assistant", content=f"echo {content}")  # type: ignore[arg-type]

    @property
    def provider_session_id(self) -> str | None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        return f"own-{self.session_id}" if self.history else None

    async def get_provider_metadata(self) -> dict[str, Any]:
        return {"turns": len(self.history)}

    async def update_provider_config(self, config: dict[str, Any]) -> None:
        self.settings.update(config)

    async def cleanup_provider_resources(self) -> None:
        self.cleaned += 1


@pytest.fixture(autouse=True)
def _forget_echoes() -> Iterator[None]:
    Echo.made.clear()
    yield
    Echo.made.clear()
    ProviderSessionFactory.unregister_provider("echo")


async def test_it_is_given_the_new_input_only_and_is_the_live_session(open_manager: OpenManager, backend: str) -> None:
    ProviderSessionFactory.register_provider("echo", Echo)
    manager = open_manager(backend)
    session = await manager.create_session("user", "echo", "e", provider_config={"temperature": 1}, session_id="s")
    live = session.provider_session
    assert isinstance(live, Echo)
    assert (live.session_id, live.model_name, live.settings) == ("s", "e", {"temperature": 1})
    assert session.provider_session_id is None
    reply = await session.send_message("one", metadata={"k": 1})
    await session.send_message("two")
    assert reply.content == "echo one"
    assert (reply.provider_metadata["provider"], reply.provider_metadata["model"]) == ("echo", "e")
    assert reply.provider_metadata["usage"]["total_tokens"] == 0
    assert live.history == ["user:one:{'k': 1}", "user:two:{}"]
    assert session.provider_session_id == "own-s"
    assert await session.get_provider_metadata() == {"turns": 2, "provider_session_id": "own-s"}
    assert (await manager.get_analytics()).provider_usage == {"echo": 2}


async def test_it_outlives_the_handle_and_is_cleaned_up_once(open_manager: OpenManager, backend: str) -> None:
    manager = open_manager(backend, providers={"echo": Echo})
    await (await manager.create_session("user", "echo", "e", session_id="s")).send_message("one")
    other = await manager.create_session("user", "echo", "e", session_id="other")
    session = await manager.get_session("s")
    await session.send_message("two")
    assert len(session.provider_session.history) == 2
    first, second = session.provider_session, other.provider_session
    await session.delete()
    assert (first.cleaned, second.cleaned) == (1, 0)
    await session.restore()
    await session.send_message("three")
    assert session.provider_session is not first, "what was cleaned up is not used again"
    await manager.close()
    assert (first.cleaned, second.cleaned) == (1, 1)


async def test_a_failed_creation_of_a_taken_id_leaves_the_session_its_provider(open_manager: OpenManager) -> None:
    manager = open_manager("memory", providers={"echo": Echo})
    session = await manager.create_session("user", "mock", "m", session_id="s")
    with pytest.raises(Exception, match="exists"):
        await manager.create_session("user", "echo", "e", session_id="s")
    del session
    again = await manager.get_session("s")
    assert (await again.send_message("hi")).content == "Mock response to: hi"


class BreaksOnCleanup(Echo):
    async def cleanup_provider_resources(self) -> None:
        raise RuntimeError("cannot clean up")


async def test_a_failing_clean_up_fails_neither_delete_nor_close(
    open_manager: OpenManager, caplog: pytest.LogCaptureFixture
) -> None:
    manager = open_manager("memory", providers={"echo": BreaksOnCleanup})
    for name in ("one", "two"):
        await (await manager.create_session("user", "echo", "e", session_id=name)).send_message("hi")
    await manager.delete_session("one")
    await manager.close()
    lines = [record.getMessage() for record in caplog.records if "cleanup_provider_resources" in record.getMessage()]
    assert [name for name in ("one", "two") for line in lines if f"Session {name}:" in line] == ["one", "two"]


class Streams(Echo):
    async def send_message_stream(self, content: str) -> AsyncIterator[str]:
        for word in ("streamed ", content):
            yield word


async def test_its_optional_stream_is_used(open_manager: OpenManager, backend: str) -> None:
    session = await open_manager(backend, providers={"echo": Streams}).create_session("user", "echo", "e")
    stream = session.send_message_stream("hi")
    assert [chunk async for chunk in stream] == ["streamed ", "hi"]
    assert stream.message.content == "streamed hi" == (await session.get_messages())[-1].content


async def test_without_a_stream_the_answer_comes_in_one_piece(open_manager: OpenManager) -> None:
    session = await open_manager("memory", providers={"echo": Echo}).create_session("user", "echo", "e")
    assert [chunk async for chunk in session.send_message_stream("hi")] == ["echo hi"]


class Remembers:
    """No base class; takes the history, so its sessions survive a restart."""

    provider_session_id = None

    def __init__(self) -> None:
        self.given: list[list[str]] = []

    async def send_message(self, content: str, history: list[SessionMessage]) -> str:
        self.given.append([message.content for message in history])
        return f"{content}!"

    async def get_provider_metadata(self) -> dict[str, Any]:
        return {}

    async def update_provider_config(self, config: dict[str, Any]) -> None: ...

    async def cleanup_provider_resources(self) -> None: ...


async def test_with_history_it_is_given_the_conversation_and_can_be_rebuilt(open_manager: OpenManager) -> None:
    session = await open_manager(providers={"own": Remembers}).create_session("user", "own", "e", session_id="s")
    await session.send_message("one")
    reopened = await open_manager(providers={"own": Remembers}).get_session("s")
    assert (await reopened.send_message("two")).content == "two!"
    assert reopened.provider_session.given == [["one", "one!"]]


async def test_without_history_strategy_client_is_refused(open_manager: OpenManager) -> None:
    manager = open_manager("memory", providers={"echo": Echo})
    with pytest.raises(ConfigurationError, match="'history' parameter"):
        await manager.create_session("user", "echo", "e", strategy="client")
    assert await manager.get_user_sessions("user") == []


class Fails(Echo):
    async def send_message(self, content: str, role: str = "user", metadata: dict[str, Any] | None = None) -> Any:
        raise ValueError(f"canary {content}")


async def test_what_it_raises_is_named_without_its_text(open_manager: OpenManager, backend: str) -> None:
    session = await open_manager(backend, providers={"echo": Fails}).create_session("user", "echo", "e")
    with pytest.raises(ProviderError, match="Fails raised ValueError") as caught:
        await session.send_message("hi")
    assert "canary" not in str(caught.value)
    assert caught.value.provider == "echo"
    assert [message.status for message in await session.get_messages()] == ["failed"]


class Incomplete:
    async def send_message(self, content: str) -> str:
        return content


async def test_a_provider_that_lacks_a_method_is_refused_by_its_name(open_manager: OpenManager) -> None:
    manager = open_manager("memory", providers={"own": Incomplete})
    with pytest.raises(ConfigurationError, match="Incomplete has no method get_provider_metadata"):
        await manager.create_session("user", "own", "e")


# A storage of six methods


class Shelf(SessionStorage):
    """Gives back what it was given in forms other databases give: bytes, JSON text, numeric strings, naive times."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, list[str]] = {}
        self.closed = 0

    async def create_session(
        self,
        session_id: str,
        user_id: str,
        provider: str,
        model: str,
        config: dict[str, Any],
        context: dict[str, Any],
    ) -> None:
        self.sessions[session_id] = {
            "session_id": session_id.encode(),
            "user_id": user_id,
            "provider": provider,
            "model": model,
            "config": json.dumps(config),
            "context": json.dumps(context).encode(),
        }
        self.messages[session_id] = []

    async def get_session(self, session_id: str) -> dict[str, Any] | None:
        return self.sessions.get(session_id)

    async def add_message(self, session_id: str, message: dict[str, Any]) -> None:
        self.messages[session_id].append(json.dumps(message))

    async def get_messages(
        self, session_id: str, limit: int | None = None, role: str | None = None, since: Any = None
    ) -> list[str]:
        found = [line for line in self.messages[session_id] if role in (None, json.loads(line)["role"])]
        return found if limit is None else found[-limit:]

    async def health_check(self) -> bool:
        return True

    async def close(self) -> None:
        self.closed += 1


async def test_a_storage_of_six_methods_serves_turns(
    open_manager: OpenManager, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf()
    caplog.set_level(logging.WARNING)
    manager = open_manager(shelf)
    session = await manager.create_session("user", "mock", "m", session_id="s", session_config={"tags": ["t"]})
    await asyncio.gather(*(session.send_message(f"t{n}", metadata={"n": n}) for n in range(4)))
    stored = [json.loads(line) for line in shelf.messages["s"]]
    assert [line["content"] for line in stored] == [
        text for n in range(4) for text in (f"t{n}", f"Mock response to: t{n}")
    ]
    assert stored[0]["metadata"]["n"] == 0
    said = await session.get_messages()
    assert [message.content for message in said] == [line["content"] for line in stored]
    assert all(message.timestamp.utcoffset() is not None for message in said)
    stream = session.send_message_stream("streamed")
    assert "".join([chunk async for chunk in stream]) == stream.message.content
    assert (await manager.health_check())["status"] == "healthy"
    warnings = [r.getMessage() for r in caplog.records if r.name.startswith("langswarm") and r.levelno >= 30]
    assert len([line for line in warnings if "process" in line]) == 1, warnings
    await manager.close()
    assert shelf.closed == 0, "a manager closes only what it made"


async def test_a_storage_of_six_methods_is_read_again_after_a_restart(open_manager: OpenManager) -> None:
    shelf = Shelf()
    first = await open_manager(shelf).create_session("user", "mock", "m", session_id="s", session_config={"name": "n"})
    await first.send_message("one")
    session = await open_manager(shelf).get_session("s")
    assert (session.user_id, session.config.name) == ("user", "n")
    assert (await session.send_message("two")).content == "Mock response to: two"
    assert [message.content for message in await session.get_messages(role="user")] == ["one", "two"]
    assert [text for role, text in session.provider_session.seen if role == "user"] == ["one", "two"]


async def test_what_six_methods_cannot_do_is_a_typed_error(open_manager: OpenManager) -> None:
    manager = open_manager(Shelf())
    session = await manager.create_session("user", "mock", "m")
    for attempt in (manager.get_analytics(), manager.get_user_sessions("user"), session.archive()):
        with pytest.raises(StorageError):
            await attempt


class BreaksOnWrite(Shelf):
    async def add_message(self, session_id: str, message: dict[str, Any]) -> None:
        raise OSError("canary")


async def test_a_storage_that_fails_is_raised(open_manager: OpenManager) -> None:
    session = await open_manager(BreaksOnWrite()).create_session("user", "mock", "m")
    with pytest.raises(StorageError) as caught:
        await session.send_message("hi")
    assert "canary" not in str(caught.value)
    assert session.provider_session.requests == []


async def test_a_closed_manager_leaves_a_users_storage_open_and_no_thread_of_its_own(open_manager: OpenManager) -> None:
    shelf = Shelf()
    manager = open_manager(shelf)
    session = await manager.create_session("user", "mock", "m", session_id="s")
    await session.send_message("hi")
    assert threads_left()
    await manager.close()
    await until(lambda: not threads_left())  # though manager and session are still held
    assert shelf.closed == 0
    again = await open_manager(shelf).get_session("s")
    assert [message.content for message in await again.get_messages()] == ["hi", "Mock response to: hi"]
    assert session.session_id in repr(session)
    assert "mock" in repr(manager)


async def test_a_blocking_manager_takes_own_parts_too() -> None:
    from langswarm_sessions import create_session_manager

    with create_session_manager(Shelf(), providers={"echo": Echo}, blocking=True) as manager:
        session = manager.create_session("user", "echo", "e")
        assert session.send_message("hi").content == "echo hi"
        assert session.get_provider_metadata()["turns"] == 1
        assert session.provider_session.history == ["user:hi:{}"]


class Plain:
    """A provider without a base class: plain methods, no id of its own."""

    def send_message(self, content: str) -> str:
        return f"plain {content}"

    def get_provider_metadata(self) -> dict[str, Any]:
        return {"kind": "plain"}

    def update_provider_config(self, config: dict[str, Any]) -> None: ...

    def cleanup_provider_resources(self) -> None: ...


async def test_a_provider_of_plain_methods_is_enough(open_manager: OpenManager) -> None:
    session = await open_manager("memory", providers={"plain": Plain}).create_session("user", "plain", "m")
    assert (await session.send_message("hi")).content == "plain hi"
    assert session.provider_session_id is None
    assert await session.get_provider_metadata() == {"kind": "plain", "provider_session_id": None}
