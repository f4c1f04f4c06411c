"""One set of rows: what others wrote, read by ADK, and what ADK wrote, read by others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.adk.events import Event, EventActions
from google.genai import types
from hypothesis import given, settings

from langswarm_sessions import Role, SessionManager
from langswarm_sessions.messages import (
    FilePart,
    ImagePart,
    MessageKind,
    OtherPart,
    Part,
    ReasoningPart,
    RefusalPart,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
    part_to_json,
    parts_from_json,
)
from langswarm_sessions_frameworks.formats import read_as
from langswarm_sessions_frameworks.google_adk import AdkSessionService, EventFormat
from langswarm_sessions_frameworks.google_adk.format import GOOGLE_ADK, rows_of
from langswarm_sessions_frameworks.openai_agents.items import ItemsFormat
from tests.frameworks.google_adk.scripted import call, model_of, run, runner_of
from tests.frameworks.losses import check_report, conversations

HERE = Path(__file__).parent

PIXEL = "iVBORw0KGgo="


def spoken(role: Role, *parts: Part, **fields: Any) -> SessionMessage:
    return SessionMessage(role=role, parts=list(parts), message_id="m1", **fields)


async def told_by_others(manager: SessionManager) -> None:
    """Hold a conversation without ADK."""
    session = await manager.create_session("ada", "mock", "mock-model", session_id="s1")
    await session.send_system_message("Ada is in a hurry.")
    await session.add_message(Role.USER, [TextPart("What is this?"), ImagePart(data=PIXEL, media_type="image/png")])
    await session.add_message(
        Role.ASSISTANT, [TextPart("Let me look."), ToolCall(id="c1", name="look", arguments={"at": "it"})]
    )
    await session.add_message(Role.TOOL, [ToolResult(tool_call_id="c1", content="a cat")])
    await session.add_message(Role.ASSISTANT, [ReasoningPart(text="easy"), TextPart("A cat.")])


async def test_an_agent_goes_on_with_what_others_began(service: AdkSessionService, manager: SessionManager) -> None:
    await told_by_others(manager)
    runner = runner_of(AdkSessionService(manager, agent_name="guide"), "You are welcome.")
    await run(runner, "Thanks")
    assert model_of(runner).told == [
        [
            ("user", "Ada is in a hurry."),
            ("user", "What is this? ?"),
            ("model", "Let me look. look({'at': 'it'})"),
            ("user", "={'result': 'a cat'}"),
            ("model", "A cat."),
            ("user", "Thanks"),
        ]
    ]
    contents = model_of(runner).asked[0].contents
    blob = (contents[1].parts or [])[1].inline_data
    assert blob is not None
    assert (blob.mime_type, blob.data) == ("image/png", b"\x89PNG\r\n\x1a\n")
    answer = (contents[3].parts or [])[0].function_response
    assert answer is not None
    assert (answer.name, answer.id) == ("look", "c1")

    report = await service.loss_report(app_name="trips", user_id="ada", session_id="s1")
    assert (report.messages, report.restored) == (7, 2)
    assert [note.part for note in report.crossing.dropped] == ["reasoning"]
    assert [note.why for note in report.crossing.converted] == [
        "contents of ADK have no system messages: told as the user's"
    ]


async def test_whose_answers_they_are(service: AdkSessionService, manager: SessionManager) -> None:
    await told_by_others(manager)
    session = await service.get_session(app_name="trips", user_id="ada", session_id="s1")
    assert session is not None
    assert {event.author for event in session.events} == {"user", "trips"}
    await run(runner_of(service, "You are welcome.", name="helper"), "Thanks")
    session = await service.get_session(app_name="trips", user_id="ada", session_id="s1")
    assert session is not None
    assert {event.author for event in session.events} == {"user", "helper"}


async def test_another_user_s_conversation_is_not_there(service: AdkSessionService, manager: SessionManager) -> None:
    await told_by_others(manager)
    assert await service.get_session(app_name="trips", user_id="eve", session_id="s1") is None


async def test_it_belongs_to_the_first_app_that_goes_on_with_it(
    service: AdkSessionService, manager: SessionManager
) -> None:
    await told_by_others(manager)
    await run(runner_of(service, "You are welcome."), "Thanks")
    assert await service.get_session(app_name="other", user_id="ada", session_id="s1") is None
    listed = await service.list_sessions(app_name="trips", user_id="ada")
    assert [session.id for session in listed.sessions] == ["s1"]


async def test_a_provider_goes_on_with_what_an_agent_began(service: AdkSessionService, manager: SessionManager) -> None:
    runner = runner_of(service, call("Oslo"), "Sunny.", auto_create_session=True)
    await run(runner, "How is Oslo?")
    session = await manager.get_session("s1")
    report = await session.handoff("mock", "mock-model")
    assert report.crossing.crossed == {"text": 2, "tool_call": 1, "tool_result": 1}
    assert (await session.send_message("And Rome?")).content == "Mock response to: And Rome?"
    read = await service.get_session(app_name="trips", user_id="ada", session_id="s1")
    assert read is not None
    assert [event.author for event in read.events] == ["user", "guide", "guide", "guide", "user", "guide"]


async def test_the_openai_agents_sdk_reads_what_an_agent_said(
    service: AdkSessionService, manager: SessionManager
) -> None:
    await run(runner_of(service, call("Oslo"), "Sunny.", auto_create_session=True), "How is Oslo?")
    rows = await (await manager.get_session("s1")).get_messages()
    reading = read_as(ItemsFormat(), rows, session_id="s1")
    assert reading.report.is_lossless
    assert [item.get("type") or item["role"] for item in reading.items] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
    ]


@settings(derandomize=True, deadline=None, max_examples=40)
@given(told=conversations())
def test_a_report_is_true_of_what_is_read(told: list[SessionMessage]) -> None:
    check_report(GOOGLE_ADK, told, GOOGLE_ADK.dump)


def test_messages_of_others_become_events() -> None:
    rows = [
        spoken(Role.ASSISTANT, RefusalPart("No."), metadata={"name": "bob"}),
        spoken(Role.ASSISTANT, ToolCall(id="c1", name="f", raw_arguments="{broken")),
        spoken(Role.TOOL, ToolResult(tool_call_id="c1", content="gone", is_error=True), FilePart(file_id="file-abc")),
        spoken(Role.SYSTEM, TextPart("Be brief."), kind=MessageKind.INSTRUCTIONS),
        spoken(Role.ASSISTANT, OtherPart(data={"type": "search"})),
        spoken(Role.USER, ImagePart(url="data:image/gif;base64,R0lGOD=="), FilePart(url="https://x.test/a.pdf")),
    ]
    reading = read_as(EventFormat("guide"), rows, session_id="s1")
    parts = [part for event in reading.items for part in (event.content.parts or [] if event.content else [])]
    dumped = [part.model_dump(mode="json", exclude_none=True) for part in parts]
    assert dumped == [
        {"text": "No."},
        {"function_call": {"id": "c1", "name": "f", "args": {"arguments": "{broken"}}},
        {"function_response": {"id": "c1", "name": "f", "response": {"error": "gone"}}},
        {"text": "[A file was here that this model cannot be given.]"},
        {"inline_data": {"data": "R0lGOA==", "mime_type": "image/gif"}},
        {"file_data": {"file_uri": "https://x.test/a.pdf", "mime_type": "application/octet-stream"}},
    ]
    crossing = reading.report.crossing
    assert [note.part for note in crossing.converted] == ["refusal", "tool_call", "file"]
    assert [note.part for note in crossing.dropped] == ["text", "other"]


def events() -> list[Event]:
    """Return events of a short conversation, always the same."""
    said = [
        ("user", "user", [types.Part(text="How is Oslo?")]),
        (
            "guide",
            "model",
            [types.Part(function_call=types.FunctionCall(id="c1", name="weather", args={"city": "Oslo"}))],
        ),
        (
            "guide",
            "user",
            [
                types.Part(
                    function_response=types.FunctionResponse(id="c1", name="weather", response={"result": "sunny"})
                )
            ],
        ),
        ("guide", "model", [types.Part(text="easy", thought=True), types.Part(text="Sunny.")]),
    ]
    told = [
        Event(
            id=f"e{at}",
            invocation_id="i1",
            author=author,
            timestamp=1795282413.25 + at,
            content=types.Content(role=role, parts=parts),
        )
        for at, (author, role, parts) in enumerate(said)
    ]
    changed = EventActions(state_delta={"last_city": "Oslo"})
    return [*told, Event(id="e9", invocation_id="i1", author="guide", timestamp=1795282420.0, actions=changed)]


def as_json(row: SessionMessage) -> dict[str, Any]:
    return {
        "role": row.role,
        "parts": [part_to_json(part) for part in row.parts],
        "metadata": row.metadata,
        "provider_payload": row.provider_payload,
    }


def test_rows_are_written_as_ever() -> None:
    """The other frameworks' tests read the same file: they cannot run in one environment with ADK."""
    assert [as_json(row) for event in events() for row in rows_of(event)] == json.loads(
        (HERE / "rows.json").read_text()
    )


def rows_in(folder: str) -> list[SessionMessage]:
    written: list[dict[str, Any]] = json.loads((HERE.parent / folder / "rows.json").read_text())
    return [SessionMessage(parts=parts_from_json(row.pop("parts")), **row) for row in written]


def test_rows_that_were_written_are_read() -> None:
    reading = read_as(EventFormat("guide"), rows_in("google_adk"), session_id="s1")
    assert reading.items == events()


def test_rows_of_agent_framework_are_read() -> None:
    reading = read_as(EventFormat("guide"), rows_in("agent_framework"), session_id="s")
    told = [(event.author, event.content.parts) for event in reading.items if event.content]
    assert [(author, [part.model_dump(exclude_none=True) for part in parts or []]) for author, parts in told] == [
        ("user", [{"text": "How is Oslo?"}]),
        ("guide", [{"function_call": {"id": "c1", "name": "weather", "args": {"city": "Oslo"}}}]),
        ("guide", [{"function_response": {"id": "c1", "name": "weather", "response": {"result": "sunny"}}}]),
        ("guide", [{"text": "Sunny."}]),
    ]
