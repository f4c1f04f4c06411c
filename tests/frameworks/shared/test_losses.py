"""The reports of what is lost on the way to another framework are true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from langswarm_sessions import SessionMessage
from langswarm_sessions_frameworks.agent_framework import AGENT_FRAMEWORK
from langswarm_sessions_frameworks.formats import ItemFormat, message_of, read_as
from langswarm_sessions_frameworks.openai_agents.items import ItemsFormat
from langswarm_sessions_frameworks.pydantic_ai.format import MessagesFormat
from tests.frameworks.losses import check_report, conversations

FORMATS: list[ItemFormat[Any]] = [ItemsFormat(), MessagesFormat(), AGENT_FRAMEWORK]
each_format: Callable[..., Any] = pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)


@each_format
@given(told=conversations())
def test_a_report_is_true_of_what_is_read_and_what_is_read_is_kept_whole(
    format: ItemFormat[Any], told: list[SessionMessage]
) -> None:
    check_report(format, told, format.dump)
    items = read_as(format, told, session_id="s").items
    again = read_as(format, [message_of(format, [item]) for item in items], session_id="s")
    assert [format.dump(item) for item in again.items] == [format.dump(item) for item in items]
    assert again.report.is_lossless
