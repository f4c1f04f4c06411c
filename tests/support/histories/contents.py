"""What is said in random transcripts: texts that can be found again, media, tool calls and results."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any, cast

from hypothesis import strategies as st

from langswarm_sessions.messages import AudioPart, FilePart, ImagePart, OtherPart, Part, ToolCall
from langswarm_sessions.providers.media import Medium

__all__ = [
    "MEDIA",
    "Words",
    "arguments",
    "entries_in",
    "new_media",
    "old_media",
    "strings_in",
    "tails",
    "written_marks",
]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = base64.b64encode(b"%PDF-1.7 %%EOF").decode()
NOTES = base64.b64encode("milk, bread, ä".encode()).decode()
WAV = base64.b64encode(b"RIFF$\x00\x00\x00WAVEfmt ").decode()

_MARK = re.compile(r"<([a-z]+\d+)>")

tails = st.sampled_from(
    [
        *["hello", "two words"] * 4,
        "",
        " ",
        "a\nb\r\n\tc",
        "quote \" backslash \\ brace {}",
        "</s><|im_end|>",
        "😀 é e\u0301 漢字",
        "\u202eright to left\u200b\ufeff",
        "\x01\x7f\u2028",
        "x" * 300,
    ]
)  # fmt: skip
arguments: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"zone": "UTC"}, {"é": [1, None, {"b": False}]}, {"n": 0.5, "s": 'a"b\\c😀'}]
)
new_media: st.SearchStrategy[Part] = st.sampled_from(
    [
        ImagePart(data=PNG, media_type="image/png"),
        ImagePart(url="https://example.org/a.png", media_type="image/png", detail="low"),
        ImagePart(url=f"data:image/png;base64,{PNG}"),
        AudioPart(transcript="words of a recording"),
    ]
)
"""What every provider takes."""

MEDIA: tuple[Medium, ...] = (
    ImagePart(data=PNG, media_type="image/png"),
    ImagePart(data="AAAA", media_type="image/heic"),
    ImagePart(data="PHN2Zz4=", media_type="image/svg+xml"),
    ImagePart(data="SUkqAA==", media_type="image/tiff"),
    ImagePart(url="data:image/heic;base64,AAAA"),
    ImagePart(url="https://example.org/a.png"),
    ImagePart(url="gs://bucket/a.png"),
    FilePart(data=PDF, media_type="application/pdf", name="a.pdf"),
    FilePart(data=NOTES, media_type="text/plain", name="n.txt"),
    FilePart(data="UEsDBA==", media_type="application/zip", name="a.zip"),
    FilePart(url="https://example.org/a.pdf"),
    FilePart(url="https://generativelanguage.googleapis.com/v1beta/files/abc", media_type="application/pdf"),
    FilePart(file_id="file-abc"),
    FilePart(file_id="file_011CNha8iCJcU1wXNR6q4V8w"),
    FilePart(file_id="files/abc", media_type="application/pdf"),
    FilePart(file_id="3b6d45eb-e30b-416f-8019-f47e2e93d930"),
    AudioPart(data=WAV, media_type="audio/wav"),
    AudioPart(data=WAV, media_type="audio/flac", transcript="words of a recording"),
    AudioPart(url="https://example.org/a.wav"),
)
"""Media some provider takes and another does not."""

old_media: st.SearchStrategy[Part] = new_media | st.sampled_from(
    [
        *MEDIA,
        ImagePart(data=PNG, detail="odd"),
        ImagePart(data="AAAA", media_type="image/tiff"),
        ImagePart(),
        FilePart(data=PDF, media_type="application/pdf", name="a.pdf"),
        FilePart(data=NOTES, media_type="text/plain", name="n.txt"),
        FilePart(data=PDF),
        FilePart(url="https://example.org/a.pdf"),
        FilePart(file_id="file-abc"),
        FilePart(file_id="file_011CNha8iCJcU1wXNR6q4V8w"),
        FilePart(file_id="files/abc"),
        FilePart(),
        AudioPart(data=WAV, media_type="audio/wav"),
        AudioPart(data=WAV, media_type="audio/flac", transcript="words of a recording"),
        AudioPart(url="https://example.org/a.wav"),
        AudioPart(),
        OtherPart(data={"type": "strange", "of": [1]}),
    ]
)
"""What a transcript may hold, from whichever provider took it."""


class Words:
    """Writes texts no two of which are alike: each begins with a mark that can be found in a request."""

    def __init__(self, draw: Any, *, start: int = 0) -> None:
        self._draw = draw
        self._count = start

    def number(self) -> int:
        """Return a number that was not given before."""
        self._count += 1
        return self._count

    def some(self, kind: str) -> str:
        """Return a text with a mark of a kind: letters that tell what it is."""
        return f"<{kind}{self.number()}>{self._draw(tails)}"

    def call(self, styles: tuple[str, ...], names: tuple[str, ...]) -> ToolCall:
        """Return a tool call; about one in eight has arguments that are no JSON."""
        style, name = self._draw(st.sampled_from(styles)), self._draw(st.sampled_from(names))
        call_id = style.format(self._draw(st.integers(0, 1)) if self._draw(st.booleans()) else self.number())
        if self._draw(st.integers(0, 7)) == 7:
            return ToolCall(id=call_id, name=name, raw_arguments='{"zone": "U')
        return ToolCall(id=call_id, name=name, arguments=self._draw(arguments))


def written_marks(value: object) -> Iterator[str]:
    """Yield the marks in JSON, in the order they stand there."""
    for text in strings_in(value):
        yield from _MARK.findall(text)


def strings_in(value: object) -> Iterator[str]:
    """Yield the strings in JSON, in the order they stand there."""
    if isinstance(value, str):
        yield value
    for entry in entries_in(value):
        yield from strings_in(entry)


def entries_in(value: object) -> list[Any]:
    """Return what an object or a list of JSON holds."""
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []
