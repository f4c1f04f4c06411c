"""Plain JSON from whatever a message may carry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from langchain_core.documents import Document
from langchain_core.messages import (
    ToolMessage,
)
from pydantic import SecretStr

from langswarm_sessions_langchain import from_langchain, to_langchain
from langswarm_sessions_langchain.messages.plain_json import plain_json


@dataclass
class Point:
    x: int


class Colour(Enum):
    RED = "red"


class Client:
    def __repr__(self) -> str:
        return "Client(api_key='canary')"


def test_what_json_cannot_hold_becomes_the_nearest_that_it_can() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    given_value = {
        1: {"when": datetime(2026, 1, 2, tzinfo=UTC), "day": date(2026, 1, 2), "took": timedelta(seconds=2)},
        "b": (b"x", {3}, frozenset([4]), Point(1), Colour.RED, Decimal("1.5"), PurePosixPath("/a")),
        "id": UUID(int=1),
        "nan": [float("nan"), float("inf")],
        "model": Document(page_content="text", metadata={"a": 1}),
        "secret": SecretStr("canary"),
        "object": Client(),
        "type": Client,
    }
    plain = plain_json(given_value)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["1"] == {"when": "2026-01-02T00:00:00+00:00", "day": "2026-01-02", "took": 2.0}
    assert plain["b"] == ["eA==", [3], [4], {"x": 1}, "red", "1.5", "/a"]
    assert plain["nan"] == [None, None]
    assert plain["model"]["page_content"] == "text"
    assert "canary" not in json.dumps(plain)
    json.dumps(plain_json(cycle))


def test_an_artifact_of_any_kind_can_be_stored() -> None:
    message = ToolMessage("ok", tool_call_id="1", artifact=[Document(page_content="text"), Client()])
    back = to_langchain(from_langchain(message))
    assert isinstance(back, ToolMessage)
    assert back.artifact[0]["page_content"] == "text"
    assert "canary" not in json.dumps(back.artifact)
