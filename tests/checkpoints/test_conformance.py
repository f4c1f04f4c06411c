"""LangGraph's own conformance suite: every capability, on every storage."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate  # pyright: ignore[reportMissingTypeStubs]
from langgraph.checkpoint.conformance.capabilities import (  # pyright: ignore[reportMissingTypeStubs]
    ALL_CAPABILITIES,
)

from langswarm_sessions import SessionManager
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
async def test_every_capability_is_there_and_conforms(storage: str, tmp_path: Path) -> None:
    @checkpointer_test(name=f"SessionCheckpointSaver on {storage}")
    async def savers() -> AsyncGenerator[SessionCheckpointSaver]:
        config = {"db_path": tmp_path / "sessions.db"} if storage == "sqlite" else {}
        async with SessionManager(storage, storage_config=config) as manager:
            yield SessionCheckpointSaver(manager)

    report = await validate(savers)
    print(report.to_dict())
    failures = {name: result.failures for name, result in report.results.items() if result.failures}
    assert not failures
    assert {name for name, result in report.results.items() if result.passed} == {
        capability.value for capability in ALL_CAPABILITIES
    }
    assert sum(result.tests_passed for result in report.results.values()) >= 81
