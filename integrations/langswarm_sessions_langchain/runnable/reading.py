"""Reading a turn as LangChain has it: one message, or chunks that sum up to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from langchain_core.messages import AIMessage, AIMessageChunk

from langswarm_sessions.interfaces import TextDelta
from langswarm_sessions.turns import TurnStream
from langswarm_sessions_langchain.runnable.outputs import answer_message, last_chunk

__all__ = ["answer_chunks", "whole_answer"]


async def whole_answer(turn: TurnStream) -> AIMessage:
    """Run a turn to its end and return the answer."""
    message = await turn.result()
    return answer_message(message, turn.completed)


async def answer_chunks(turn: TurnStream, *, run_id: str | None) -> AsyncGenerator[AIMessageChunk]:
    """Yield a turn's answer in chunks that sum up to it; closing the generator interrupts the turn.

    Args:
        turn: The turn.
        run_id: The run's id, by which the chunks are known before the answer has an id (None: they have none).
    """
    streamed: list[AIMessageChunk] = []
    try:
        async for delta in turn:
            chunk = _chunk_of(delta, run_id=run_id)
            if chunk is not None:
                streamed.append(chunk)
                yield chunk
        yield last_chunk(answer_message(turn.message, turn.completed), streamed)
    finally:
        await turn.aclose()


def _chunk_of(delta: TextDelta, *, run_id: str | None) -> AIMessageChunk | None:
    """Return a delta as a chunk: the wrapped model's own, unless middleware changed or held back its text."""
    raw = delta.raw
    if isinstance(raw, AIMessageChunk) and raw.text == delta.text:
        # The last chunk is ours: it brings the ids of session and turn.
        return raw.model_copy(update={"chunk_position": None}) if raw.chunk_position else raw
    return AIMessageChunk(content=delta.text, id=run_id and f"lc_run--{run_id}") if delta.text else None
