"""Our messages in the Messages API's form: what crosses, what stays behind, and that every history becomes legal."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from langswarm_sessions.errors import InvalidRequestError
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    MessageKind,
    OtherPart,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.providers.anthropic.mapping import OPENING, conversation_of, legal_call_id
from langswarm_sessions.providers.media import told_instead
from tests.support.anthropic_server.request_judge import find_type_errors
from tests.support.anthropic_server.rules import check_conversation

MODEL = "claude-haiku-5-5"
PNG = "iVBORw0KGgo="
PDF = base64.b64encode(b"%PDF-1.7").decode()
NOTES = base64.b64encode(b"milk, bread").decode()


def user(*parts: Part | str) -> SessionMessage:
    return SessionMessage(role=Role.USER, parts=[TextPart(part) if isinstance(part, str) else part for part in parts])


def assistant(*parts: Part | str, items: list[dict[str, Any]] | None = None, model: str = MODEL) -> SessionMessage:
    return SessionMessage(
        role=Role.ASSISTANT,
        parts=[TextPart(part) if isinstance(part, str) else part for part in parts],
        provider_payload=None if items is None else {"provider": "anthropic", "model": model, "items": items},
    )


def result(call_id: str, content: str = "12", *media: Part) -> SessionMessage:
    return SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id=call_id, content=content), *media])


def system(text: str) -> SessionMessage:
    return SessionMessage(role=Role.SYSTEM, content=text)


def wire(*messages: SessionMessage, **options: Any) -> list[dict[str, Any]]:
    return conversation_of(messages, model=MODEL, **options).messages


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (ImagePart(url="https://x/a.png"), {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}}),
        (
            ImagePart(data=PNG, media_type="image/webp"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": PNG}},
        ),
        (
            ImagePart(data=PNG),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ),
        (
            ImagePart(url=f"data:image/gif;base64,{PNG}"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": PNG}},
        ),
        (
            FilePart(data=PDF, media_type="application/pdf", name="a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            },
        ),
        (
            FilePart(url=f"data:application/pdf;base64,{PDF}"),
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
        ),
        (FilePart(url="https://x/a.pdf"), {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}}),
        (FilePart(file_id="file_011"), {"type": "document", "source": {"type": "file", "file_id": "file_011"}}),
        (
            FilePart(file_id="file_011", media_type="image/png"),
            {"type": "image", "source": {"type": "file", "file_id": "file_011"}},
        ),
        (
            FilePart(data=NOTES, media_type="text/markdown"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "milk, bread"}},
        ),
        (
            FilePart(data=PNG, media_type="image/png"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ),
        (
            FilePart(url="https://x/a.png", media_type="image/png"),
            {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}},
        ),
        (AudioPart(data="AAAA", transcript="a voice"), text("a voice")),
        (RefusalPart("No."), text("No.")),
    ],
)
def test_content_that_crosses(part: Part, block: dict[str, Any]) -> None:
    (message,) = wire(user(part))
    assert message == {"role": "user", "content": [block]}
    assert legal([message]) == []


@pytest.mark.parametrize(
    "part",
    [
        ImagePart(data=PNG, media_type="image/tiff"),
        ImagePart(data="AAAA"),
        ImagePart(),
        FilePart(data=PDF, media_type="application/zip"),
        FilePart(data="%%%", media_type="text/plain"),
        FilePart(url="https://x/a.txt", media_type="text/plain"),
        FilePart(file_id="file-abc"),
        AudioPart(data="AAAA"),
        OtherPart(data={"type": "x"}),
    ],
)
def test_content_that_does_not(part: Part) -> None:
    with pytest.raises(InvalidRequestError, match=repr(part.type)):
        wire(user("look", part))
    old = wire(user("look", part), assistant("ok"), user("and?"))[0]["content"]
    note = [text(told_instead(part))]
    assert old == [text("look"), *([] if isinstance(part, OtherPart) else note)]


def test_roles_alternate_and_the_user_begins() -> None:
    messages = wire(assistant("Welcome."), user("one"), user("two"), assistant("a"), assistant("b"), user("three"))
    assert messages == [
        {"role": "user", "content": [text(OPENING)]},
        {"role": "assistant", "content": [text("Welcome.")]},
        {"role": "user", "content": [text("one"), text("two")]},
        {"role": "assistant", "content": [text("a"), text("b")]},
        {"role": "user", "content": [text("three")]},
    ]


def test_all_results_stand_first_in_the_one_message_behind_their_calls() -> None:
    calls = ToolCall(id="a", name="clock"), ToolCall(id="b", name="clock", arguments={"zone": "UTC"})
    picture = ImagePart(data=PNG)
    messages = wire(user("time?"), assistant("Hm.", *calls), result("a", "12", picture), result("b", " "), user("go"))
    assert messages[1]["content"] == [
        text("Hm."),
        {"type": "tool_use", "id": "a", "name": "clock", "input": {}},
        {"type": "tool_use", "id": "b", "name": "clock", "input": {"zone": "UTC"}},
    ]
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    assert messages[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": [text("12"), image]},
        {"type": "tool_result", "tool_use_id": "b"},
        text("go"),
    ]
    assert legal(messages) == []
    late = wire(user("time?"), assistant(ToolCall(id="a", name="clock")), user("go"), result("a"))
    assert [block["type"] for block in late[2]["content"]] == ["tool_result", "text"]


def test_ids_of_other_providers_become_legal_and_unique() -> None:
    foreign = "call.1|fc/2"
    one, two = assistant(ToolCall(id=foreign, name="my.clock")), assistant(ToolCall(id=foreign, name="clock"))
    messages = wire(user("x"), one, result(foreign), user("y"), two, result(foreign), user("z"))
    first, second = messages[1]["content"][0], messages[3]["content"][0]
    assert first["id"] == legal_call_id(foreign) != foreign
    assert second["id"] == f"{first['id']}_2"
    assert first["name"] == "my_clock"
    assert [messages[at]["content"][0]["tool_use_id"] for at in (2, 4)] == [first["id"], second["id"]]
    assert legal(messages) == []
    assert wire(result(foreign), is_whole=False)[0]["content"][0]["tool_use_id"] == first["id"], "the thread has it so"


def test_system_messages_find_a_legal_place() -> None:
    told = conversation_of(
        [
            system("s1"),
            user("u1"),
            system("s2"),
            system("s3"),
            assistant("a1"),
            system("s4"),
            assistant("a2"),
            user("u2"),
        ],
        model=MODEL,
    )
    assert told.system == ["s1"]
    assert [(message["role"], [block["text"] for block in message["content"]]) for message in told.messages] == [
        ("user", ["u1"]),
        ("system", ["s2\n\ns3"]),
        ("assistant", ["a1", "a2"]),
        ("user", ["u2"]),
        ("system", ["s4"]),
    ]
    assert legal(told.messages) == []
    folded = conversation_of([system("s1"), user("u1"), system("s2")], model=MODEL, system_in_place=False)
    assert (folded.system, folded.messages) == (["s1", "s2"], [{"role": "user", "content": [text("u1")]}])
    assert wire(system("only")) == [{"role": "user", "content": [text("only")]}]
    assert wire(user("u"), assistant("a"), system("s"))[-1] == {"role": "user", "content": [text("s")]}
    hidden = SessionMessage(role=Role.SYSTEM, content="told elsewhere", kind=MessageKind.INSTRUCTIONS)
    assert wire(hidden, user("u")) == [{"role": "user", "content": [text("u")]}]


@pytest.mark.parametrize("messages", [[user(" ")], [user("a"), assistant("b"), user("\n")]])
def test_nothing_but_blanks_is_nothing(messages: list[SessionMessage]) -> None:
    with pytest.raises(InvalidRequestError, match="blanks"):
        wire(*messages)


def test_an_answer_of_its_own_goes_back_as_it_came() -> None:
    cited = {"type": "char_location", "cited_text": "x", "document_index": 0, "document_title": None,
             "start_char_index": 0, "end_char_index": 1}  # fmt: skip
    items: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "thinking", "thinking": "unsigned", "signature": ""},
        {"type": "text", "text": "hi", "citations": [{**cited, "file_id": "file_1"}]},
        {"type": "text", "text": " ", "citations": None},
        {"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {"a": 1}, "caller": {"type": "direct"}},
        {"type": "redacted_thinking", "data": "sealed"},
    ]
    call = ToolCall(id="toolu_1", name="clock", arguments={"a": 1})
    answer = assistant(ReasoningPart(text="hm"), "hi", " ", call, items=items)
    back = wire(user("x"), answer, result("toolu_1"))[1]["content"]
    assert back == [
        items[0],
        {"type": "text", "text": "hi", "citations": [cited]},
        {"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {"a": 1}, "caller": {"type": "direct"}},
    ]
    assert legal(wire(user("x"), answer, result("toolu_1"))) == []
    built = [text("hi "), {"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {"a": 1}}]
    foreign = {"provider": "openai", "model": MODEL, "items": items}
    for other in (
        assistant("hi", " ", call, items=items, model="claude-opus-5-5"),
        SessionMessage(role=Role.ASSISTANT, parts=[TextPart("hi "), call], provider_payload=foreign),
    ):
        assert wire(user("x"), other, result("toolu_1"))[1]["content"] == built
    edited = assistant("bye", call, items=items)
    assert wire(user("x"), edited, result("toolu_1"))[1]["content"] == [text("bye"), built[1]]


def legal(messages: list[dict[str, Any]]) -> list[str]:
    """Return what the SDK's types and the API's rules object to."""
    body: dict[str, Any] = {"model": MODEL, "max_tokens": 1, "messages": messages, "stream": True}
    check_conversation(messages)
    return find_type_errors(body, is_beta=False) + find_type_errors(body, is_beta=True)
