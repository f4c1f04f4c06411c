"""Random transcripts of conversations that any of the providers had a part in."""

from __future__ import annotations

from .contents import MEDIA, entries_in, strings_in, written_marks
from .speakers import LANGCHAIN_SPEAKER, SPEAKERS, Said, Speaker
from .transcripts import for_model, options, said_marks, transcripts

__all__ = [
    "LANGCHAIN_SPEAKER",
    "MEDIA",
    "SPEAKERS",
    "Said",
    "Speaker",
    "entries_in",
    "for_model",
    "options",
    "said_marks",
    "strings_in",
    "transcripts",
    "written_marks",
]
