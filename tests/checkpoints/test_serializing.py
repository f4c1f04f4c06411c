"""What may be kept in a checkpoint, and what is never rebuilt from one."""

from __future__ import annotations

import re
import sqlite3
from collections import deque
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import ip_address
from pathlib import Path, PosixPath
from typing import Any, TypedDict
from uuid import UUID

import numpy
import pytest
from langchain_core.documents import Document
from langchain_core.messages import ToolMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Send
from pydantic import BaseModel

from langswarm_sessions import ConfigurationError, InvalidInputError, SessionManager, StorageError
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver
from tests.checkpoints.graphs import chat, in_a_row, say, texts, thread


class Weather(BaseModel):
    city: str


@dataclass
class Place:
    name: str


class Sky(Enum):
    BLUE = "blue"


class Any_(TypedDict):
    value: Any


def holding(saver: SessionCheckpointSaver, value: Any) -> Any:
    def put(_: Any_) -> dict[str, Any]:
        return {"value": value}

    return in_a_row(Any_, saver, put=put)


@pytest.mark.parametrize(
    "value", [Weather(city="Rome"), Place("Rome"), Sky.BLUE], ids=["pydantic", "dataclass", "enum"]
)
@pytest.mark.parametrize("shape", ["alone", "in a list"])
async def test_a_class_of_the_users_is_refused_by_name_until_it_is_allowed(
    manager: SessionManager, value: Any, shape: str
) -> None:
    held = value if shape == "alone" else ["text", value]
    strict = SessionCheckpointSaver(manager)
    with pytest.raises(InvalidInputError, match=rf"test_serializing\.{type(value).__name__}.*allowed_classes"):
        await holding(strict, held).ainvoke({"value": None}, thread("t"))
    state = await holding(strict, held).aget_state(thread("t"))
    assert state.values == {"value": None}, "up to the step that was refused, and nothing half-written"
    allowing = SessionCheckpointSaver(manager, allowed_classes=[value.__class__])
    await holding(allowing, held).ainvoke({"value": None}, thread("other"))
    assert (await holding(allowing, held).aget_state(thread("other"))).values == {"value": held}
    with pytest.raises(StorageError, match=rf"{type(value).__name__}.*may not be rebuilt"):
        await strict.aget_tuple(thread("other"))


@dataclass
class Computed:
    name: str
    length: int = field(init=False, default=0)


def _local() -> Any:
    class Local(BaseModel):
        name: str = "x"

    return Local()


class Stamp(datetime):
    """A subclass of a plain class, which no list of classes lets in."""


async def test_what_would_come_back_as_something_else_is_refused(manager: SessionManager) -> None:
    """LangGraph's serializer gives back a dict, a text or None instead, and says nothing."""
    values: tuple[Any, ...] = (Computed("x"), _local(), numpy.array([object()]))
    for value in values:
        saver = SessionCheckpointSaver(manager, allowed_classes=[value.__class__])
        for held in (value, [value], {"nested": (value,)}):
            with pytest.raises(InvalidInputError, match=r"'value' holds .*would come back as something else"):
                await holding(saver, held).ainvoke({"value": None}, thread("t"))
    with pytest.raises(InvalidInputError, match=r"Stamp.*Keep plain data") as refusal:
        await holding(SessionCheckpointSaver(manager), Stamp(2026, 1, 1)).ainvoke({"value": None}, thread("t"))
    assert "allowed_classes" not in str(refusal.value), "no list of classes would help"


PLAIN: tuple[Any, ...] = (
    {"a": [1, 2.5, None, True, "x", b"y"], (1, 2): "key"},
    {1, 2},
    frozenset({"a"}),
    deque([1]),
    Decimal("1.10"),
    UUID(int=7),
    PosixPath("/tmp/x"),
    datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    timedelta(days=1, seconds=2),
    re.compile("a+", re.IGNORECASE),
    ip_address("::1"),
    Document("text", metadata={"source": "x"}),
    ToolMessage("text", tool_call_id="c", artifact={"rows": [1]}),
    Send("node", {"arg": 1}),
)


@pytest.mark.parametrize("encrypts", [False, True])
async def test_what_stock_savers_keep_is_kept(encrypts: bool) -> None:
    serde = EncryptedSerializer(Reversing(), JsonPlusSerializer(allowed_msgpack_modules=None)) if encrypts else None
    async with SessionManager("memory") as manager:
        saver = SessionCheckpointSaver(manager, serde=serde)
        for number, value in enumerate(PLAIN):
            await holding(saver, value).ainvoke({"value": None}, thread(str(number)))
            found = await holding(saver, value).aget_state(thread(str(number)))
            assert found.values == {"value": value}
            assert type(found.values["value"]) is type(value)
        await holding(saver, numpy.arange(6).reshape(2, 3)).ainvoke({"value": None}, thread("array"))
        read = (await holding(saver, None).aget_state(thread("array"))).values["value"]
        assert (read.tolist(), read.dtype) == ([[0, 1, 2], [3, 4, 5]], numpy.arange(1).dtype)


async def test_what_cannot_be_encoded_is_refused_by_type(saver: SessionCheckpointSaver) -> None:
    with pytest.raises(InvalidInputError, match=r"'value': object"):
        await holding(saver, object()).ainvoke({"value": None}, thread("t"))


async def test_nothing_is_pickled(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    async with SessionManager("sqlite", storage_config={"db_path": path}) as manager:
        saver = SessionCheckpointSaver(manager)
        await chat(saver).ainvoke(say("hi"), thread("t"))
        with pytest.raises(InvalidInputError):
            await holding(saver, lambda: None).ainvoke({"value": None}, thread("x"))
    with closing(sqlite3.connect(path)) as connection:
        kinds = {
            kind
            for table, column in (
                ("checkpoints", "body_type"),
                ("checkpoints", "metadata_type"),
                ("checkpoint_values", "type"),
                ("checkpoint_writes", "type"),
            )
            for (kind,) in connection.execute(f"SELECT DISTINCT {column} FROM {table}")
        }
    assert kinds <= {"msgpack", "items", "null"}


class Reversing:
    """A cipher that anybody can see through, and nobody reads by accident."""

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return "reversing", bytes(byte ^ 0x5A for byte in plaintext)

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        assert ciphername == "reversing"
        return bytes(byte ^ 0x5A for byte in ciphertext)


async def test_an_encrypting_serializer_leaves_nothing_to_read(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    serde = EncryptedSerializer(Reversing(), JsonPlusSerializer(allowed_msgpack_modules=None))
    async with SessionManager("sqlite", storage_config={"db_path": path}) as manager:
        graph = chat(SessionCheckpointSaver(manager, serde=serde), size=300)
        for number in range(4):
            await graph.ainvoke(say(f"canary {number}"), {**thread("t"), "metadata": {"whose": "canary"}})
        assert len(texts((await graph.aget_state(thread("t"))).values)) == 8
        with pytest.raises(StorageError, match="serde"):
            await SessionCheckpointSaver(manager).aget_tuple(thread("t"))
    with closing(sqlite3.connect(path)) as connection:
        segments = connection.execute("SELECT count(*) FROM checkpoint_values WHERE base IS NOT NULL").fetchone()
    assert segments[0] > 2, "encrypted values share what they have in common as well"
    assert b"canary" not in path.read_bytes()


def test_a_serializer_of_ones_own_has_its_own_rules(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="allowed_classes"):
        SessionCheckpointSaver(serde=JsonPlusSerializer(), allowed_classes=[Weather])
