"""Redaction: streamed as whole, whatever the chunks; nothing of a match is shown; no field is a way around it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.middleware import MiddlewareChain, RedactionMiddleware
from langswarm_sessions.records import SessionContext

LONGEST = 8
PATTERNS = [
    r"a{1,4}b",
    r"\bab\b",
    r"(?<=b)a",
    r"(?<![ab])aa",
    r"^ab",
    r"(?m)^b.?$",
    r"ab$",
    r"b(?=aa)",
    r"b(?!a)b",
    r"aa",
    r"a.b.a",
    r"(ab|b)\s",
    r"(?i)AB",
    r"\b",
    r"(?=a)",
    r"a|aab",
    r"ba",
]
TEXTS = st.text("ab \n", max_size=60) | st.text("ab ", min_size=150, max_size=250)


def context() -> SessionContext:
    return SessionContext(session_id="s", user_id="u", provider="p", model="m")


@st.composite
def chunked(draw: st.DrawFn) -> list[str]:
    text = draw(TEXTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=25)))
    return [text[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(text)], strict=True)]


async def streamed(redaction: RedactionMiddleware, chunks: list[str]) -> list[str]:
    pipeline = MiddlewareChain([redaction], context()).chunks()
    assert pipeline is not None
    return [*[await pipeline.feed(chunk) for chunk in chunks], await pipeline.finish()]


@given(
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=4, unique=True),
    chunked(),
    st.sampled_from(["", "[#]", "ab"]),
)
@example([r"\bab\b"], ["b" * 70, "ab", "a" * 100], "[#]")
@example([r"^ab"], ["b" * 80, "ab" * 20], "[#]")
@example([r"aa"], ["a"] * 101, "#")
@example([r"aaa"], ["a"] * 202, "#")
def test_a_stream_shows_what_the_whole_would(patterns: list[str], chunks: list[str], replacement: str) -> None:
    redaction = RedactionMiddleware(patterns, replacement=replacement, max_match=LONGEST)
    assert "".join(asyncio.run(streamed(redaction, chunks))) == redaction.redact("".join(chunks))


@given(st.text("xyz", max_size=30), st.text("xyz", max_size=30), st.integers(1, 5), st.integers(0, 4))
def test_nothing_of_a_match_is_ever_shown(before: str, after: str, size: int, shift: int) -> None:
    text = f"{before}4111-1111{after}"
    chunks = [text[:shift], *[text[at : at + size] for at in range(shift, len(text), size)]]
    redaction = RedactionMiddleware([r"\d{4}-\d{4}"], replacement="", max_match=9)
    for shown in asyncio.run(streamed(redaction, chunks)):
        assert not re.search(r"[\d-]", shown)


@given(chunked())
def test_little_is_held_back(chunks: list[str]) -> None:
    redaction = RedactionMiddleware(["never"], max_match=LONGEST)
    shown = asyncio.run(streamed(redaction, chunks))
    fed = given_out = 0
    for chunk, out in zip(chunks, shown, strict=False):
        fed, given_out = fed + len(chunk), given_out + len(out)
        assert fed - given_out <= LONGEST


@given(TEXTS, st.sampled_from([pattern for pattern in PATTERNS if pattern not in (r"\b", r"(?=a)")]))
def test_one_pattern_replaces_as_re_does(text: str, pattern: str) -> None:
    redaction = RedactionMiddleware([pattern], replacement="#")
    assert redaction.redact(text) == re.sub(pattern, "#", text)


def test_overlapping_matches_are_one() -> None:
    assert RedactionMiddleware(["abc", "cde"], replacement="#").redact("xabcdey") == "x#y"
    assert RedactionMiddleware(["ab", "cd"], replacement="#").redact("xabcdy") == "x##y"
    assert RedactionMiddleware([r"\b", "(?=b)"], replacement="#").redact("a b") == "a b"


async def test_two_streams_of_one_turn_do_not_mix() -> None:
    chain = MiddlewareChain([RedactionMiddleware(["secret"], max_match=100)], context())
    first, second = chain.chunks(), chain.chunks()
    assert first is not None
    assert second is not None
    await first.feed("the secret is out")
    shown = await second.feed("the secret is out")
    assert shown + await second.finish() == "the [redacted] is out"


async def test_two_redactions_in_one_chain_keep_apart() -> None:
    chain = MiddlewareChain([RedactionMiddleware(["a"]), RedactionMiddleware(["b"], replacement="a")], context())
    pipeline = chain.chunks()
    assert pipeline is not None
    assert await pipeline.feed("abc") + await pipeline.finish() == "[redacted][redacted]c"


async def test_no_field_of_a_message_is_a_way_around() -> None:
    secret = "secret"
    message = SessionMessage(
        role=Role.ASSISTANT,
        parts=[
            TextPart(secret),
            ImagePart(url="u", data=secret),
            FilePart(name="n"),
            RefusalPart(secret),
            ReasoningPart(text=secret),
            AudioPart(url="u", transcript=secret),
            ToolCall(id="1", name="f", arguments={"a": [secret, {"b": secret}], "n": 1}, raw_arguments=secret),
            ToolResult(tool_call_id="1", content=secret),
        ],
        provider_payload={"raw": secret},
    )
    clean = await MiddlewareChain([RedactionMiddleware([secret], replacement="#")], context()).inward(message)
    assert clean.content == "##"
    assert clean.parts == [
        TextPart("#"),
        ImagePart(url="u", data=secret),
        FilePart(name="n"),
        RefusalPart("#"),
        ReasoningPart(text="#"),
        AudioPart(url="u", transcript="#"),
        ToolCall(id="1", name="f", arguments={"a": ["#", {"b": "#"}], "n": 1}, raw_arguments="#"),
        ToolResult(tool_call_id="1", content="#"),
    ]
    assert clean.tool_calls == [clean.parts[6]]
    assert clean.provider_payload is None


async def test_a_message_without_a_match_is_left_as_it_is() -> None:
    parts: list[Part] = [TextPart("a"), ToolCall(id="1", name="f", arguments={"x": None}), AudioPart(url="u")]
    message = SessionMessage(role=Role.ASSISTANT, parts=[*parts], provider_payload={"raw": 1})
    clean = await MiddlewareChain([RedactionMiddleware(["secret"])], context()).inward(message)
    assert clean is message
    assert (clean.parts, clean.provider_payload) == (parts, {"raw": 1})


async def test_a_match_across_two_texts_is_found() -> None:
    message = SessionMessage(role=Role.USER, parts=[TextPart("sec"), TextPart("ret")])
    clean = await MiddlewareChain([RedactionMiddleware(["secret"], replacement="#")], context()).outward(message)
    assert (clean.content, clean.parts) == ("#", [TextPart("#")])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"patterns": "secret"}, "patterns must be a list"),
    ({"patterns": re.compile("x")}, "patterns must be a list"),
    ({"patterns": ["("]}, "not a valid regular expression"),
    ({"patterns": [5]}, "not a valid regular expression"),
    ({"patterns": [b"x"]}, "a pattern is of bytes"),
    ({"patterns": ["x*"]}, "matches the empty string"),
    ({"patterns": ["x"], "replacement": None}, "replacement must"),
    ({"patterns": ["x"], "max_match": 0}, "max_match must"),
    ({"patterns": ["x"], "max_match": True}, "max_match must"),
    ({"patterns": ["x"], "max_match": 1.5}, "max_match must"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"RedactionMiddleware: .*{message}"):
        RedactionMiddleware(**settings)
