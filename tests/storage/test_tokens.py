"""The size of a message: the figure that is stored is the one a window without it reckons with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from langswarm_sessions.messages import ImagePart, Role, SessionMessage, TextPart, ToolCall
from langswarm_sessions.testing.storage_kit import StorageKit, said
from langswarm_sessions.window import fit

MESSAGES = {
    "other script": said("сколько это стоит?"),
    "image": SessionMessage(role=Role.USER, parts=[TextPart("look"), ImagePart(url="https://example.invalid/a.png")]),
    "tool call": SessionMessage(
        role=Role.ASSISTANT, tool_calls=[ToolCall(id="1", name="f", arguments={"city": "Łódź"})]
    ),
}


@pytest.mark.parametrize("kind", MESSAGES)
async def test_the_stored_figure_is_the_window_s(kit: StorageKit, kind: str) -> None:
    message = MESSAGES[kind]
    assert message.tokens is None
    [stored] = (await kit.storage.append_messages(kit.session_id, [message])).answers
    assert stored.tokens == fit([message]).tokens == fit([replace(stored, tokens=None)]).tokens


async def test_a_figure_that_was_given_is_kept(kit: StorageKit) -> None:
    [stored] = (await kit.append("x" * 400, tokens=7)).answers
    assert stored.tokens == fit([stored]).tokens == 7
