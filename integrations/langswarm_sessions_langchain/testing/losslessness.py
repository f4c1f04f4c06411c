"""Checks: what is read is what was added."""

from __future__ import annotations

from datetime import UTC, datetime

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langswarm_sessions_langchain.testing.contents import (
    chunk,
    content_blocks,
    every_type,
    lost_of,
    odd_texts,
    rich_answer,
    tool_exchange,
)
from langswarm_sessions_langchain.testing.kit import Broken, Rig, check, error_of, expect

GROUP = "losslessness"


async def _round_trip(rig: Rig, messages: list[BaseMessage]) -> list[BaseMessage]:
    """Add copies of messages and read them with another opener."""
    session_id = rig.new_session_id()
    await rig.add(await rig.open(session_id), [message.model_copy(deep=True) for message in messages])
    found = await rig.read(await rig.open(session_id))
    expect(len(found) == len(messages), f"{len(messages)} were added, {len(found)} came back")
    return found


async def _expect_whole(rig: Rig, messages: list[BaseMessage], *, fields: frozenset[str] | None = None) -> None:
    found = await _round_trip(rig, messages)
    lost = {
        f"{type(before).__name__}.{name}"
        for before, after in zip(messages, found, strict=True)
        for name in lost_of(before, after, fields=fields)
    }
    expect(not lost, f"not as it was: {', '.join(sorted(lost))}")


@check(GROUP, "Any type may stand in a conversation: one that cannot be stored loses its whole turn.")
async def message_types(rig: Rig) -> str | None:
    """All of LangChain's types, with name and role."""
    problems: list[str] = []
    for message in every_type():
        error = await error_of(_expect_whole(rig, [message]))
        if error is not None:
            problems.append(str(error) if isinstance(error, Broken) else f"{type(message).__name__} is refused")
    expect(not problems, "; ".join(problems))
    return None


@check(GROUP, "A provider refuses a conversation with a tool result whose call is not there, or has another id.")
async def tool_calls(rig: Rig) -> str | None:
    """Parallel calls, broken calls, results with status and artifact."""
    await _expect_whole(rig, tool_exchange())
    return None


@check(GROUP, "What is to be edited, removed or de-duplicated is found by its id.")
async def message_ids(rig: Rig) -> str | None:
    """Ids that messages have stay theirs."""
    await _expect_whole(rig, [HumanMessage("q", id="mine-1"), AIMessage("a", id="run-2")], fields=frozenset({"id"}))
    return None


@check(GROUP, "Tokens are what is billed.")
async def usage(rig: Rig) -> str | None:
    """Token counts with their details."""
    await _expect_whole(rig, [rich_answer()], fields=frozenset({"usage_metadata"}))
    return None


@check(GROUP, "Providers continue from ids told there; routers and tracing read the model from there.")
async def response_metadata(rig: Rig) -> str | None:
    """Model, finish reason, response id."""
    await _expect_whole(rig, [rich_answer()], fields=frozenset({"response_metadata"}))
    return None


@check(GROUP, "Providers put what has no field of its own there, and want it back.")
async def additional_kwargs(rig: Rig) -> str | None:
    """Nested values beside the content, and fields that LangChain does not know."""
    extra = HumanMessage("hi", additional_kwargs={"cache_control": {"type": "ephemeral"}, "n": [1, None, 0.5, True]})
    system = SystemMessage("rules", additional_kwargs={"__openai_role__": "developer"})
    own = HumanMessage("hi", tenant={"id": 7})  # pyright: ignore[reportCallIssue]
    await _expect_whole(rig, [extra, system, rich_answer(), own], fields=frozenset({"additional_kwargs", "tenant"}))
    return None


@check(GROUP, "Tools return more than the model is told: rows, files, sources.")
async def artifacts(rig: Rig) -> str | None:
    """Artifacts of plain data."""
    rows = {"rows": [{"id": 1, "name": "Ada"}, {"id": 2, "name": None}], "total": 2.0}
    await _expect_whole(rig, [ToolMessage("2 rows", tool_call_id="call-1", artifact=rows)])
    return None


@check(GROUP, "A tool's artifact is anything; it must not cost the turn its messages.")
async def odd_artifacts(rig: Rig) -> str | None:
    """Artifacts that JSON does not know: the messages are kept all the same."""
    odd = {"when": datetime(2026, 1, 2, tzinfo=UTC), "raw": b"\x00\xff", "set": {1}, "object": object()}
    result = ToolMessage("done", tool_call_id="call-1", artifact=odd)
    session_id = rig.new_session_id()
    await rig.add(await rig.open(session_id), [HumanMessage("do it"), result])
    said = await rig.said(await rig.open(session_id))
    expect(said == ["do it", "done"], f"2 were added, {len(said)} came back")
    return None


@check(GROUP, "Images, files, reasoning and citations are blocks; reasoning without its signature is refused.")
async def blocks(rig: Rig) -> str | None:
    """Content that is a list of blocks."""
    await _expect_whole(rig, content_blocks())
    return None


@check(GROUP, "LangChain's own wrapper adds the chunk of a streamed answer, not its message.")
async def chunks(rig: Rig) -> str | None:
    """A streamed answer: its content, calls, usage and id."""
    streamed = chunk()
    [found] = await _round_trip(rig, [streamed])
    fields = frozenset({"content", "tool_calls", "usage_metadata", "response_metadata", "id"})
    lost = lost_of(streamed, found, fields=fields)
    expect(not lost, f"not as it was: {', '.join(lost)}")
    expect(isinstance(found, AIMessage), f"an AIMessageChunk came back as a {type(found).__name__}")
    return "comes back as a chunk" if isinstance(found, AIMessageChunk) else None


@check(GROUP, "People write in every script, and paste everything.")
async def unicode_and_size(rig: Rig) -> str | None:
    """Emoji, scripts, markup, blank and empty texts, a megabyte."""
    problems: list[str] = []
    for name, text in odd_texts().items():
        error = await error_of(_expect_whole(rig, [HumanMessage(text)], fields=frozenset({"content"})))
        if error is not None:
            problems.append(f"{name}: {'not as it was' if isinstance(error, Broken) else type(error).__name__}")
    expect(not problems, "; ".join(problems))
    return None


@check(GROUP, "Tools read files; one NUL in a result must not lose the turn.")
async def nul(rig: Rig) -> str | None:
    """A text with a NUL in it."""
    text = "before\x00after"
    found = await _round_trip(rig, [ToolMessage(text, tool_call_id="call-1"), HumanMessage(text)])
    expect([message.content for message in found] == [text, text], "the text was changed")
    return None
