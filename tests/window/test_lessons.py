"""What requests that were too long teach, and how it wears off. Seen in what the next requests carry."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from langswarm_sessions import (
    ContextOverflowError,
    FilePart,
    ProviderSession,
    Session,
    SessionManager,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import Role
from langswarm_sessions.providers.failures import named_tokens
from langswarm_sessions.window import RoomSource, estimate_tokens
from tests.session.kit import OpenManager

Answer = Callable[[ProviderRequest], str]


@pytest.fixture
def manager(open_manager: OpenManager) -> SessionManager:
    return open_manager("memory")


def size(messages: list[SessionMessage] | tuple[SessionMessage, ...]) -> int:
    return sum(map(estimate_tokens, messages))


def taking(limit: int, *, named: bool = False) -> Answer:
    """Answer what is within a number of tokens."""

    def answer(request: ProviderRequest) -> str:
        if (tokens := size(request.messages)) <= limit:
            return "ok"
        error = ContextOverflowError("Too long. Send less.", provider="mock", status_code=400)
        if named:
            error.limit, error.counted = limit, tokens
        raise error

    return answer


def sizes(session: Session) -> list[int]:
    return [size(request.messages) for request in session.provider_session.requests]


async def long_session(manager: SessionManager, turns: int = 40) -> Session:
    session = await manager.create_session("user", "mock", "m", strategy="client")
    for _ in range(turns):
        await session.add_message("user", "w " * 2_000)
        await session.add_message("assistant", "ok")
    return session


async def send(session: Session, answer: Answer, text: str = "hi") -> str | None:
    session.provider_session.set_responses([answer, answer])
    try:
        return (await session.send_message(text)).content
    except ContextOverflowError:
        return None


async def test_a_window_that_is_far_too_large_is_halved_again_by_the_next_turn(manager: SessionManager) -> None:
    session = await long_session(manager)
    answers = [await send(session, taking(4_000)) for _ in range(5)]
    assert answers[0] is None
    assert answers[-2:] == ["ok", "ok"]
    assert len(sizes(session)) <= 8, "two requests a turn at most, and one once it fits"


async def test_a_limit_the_provider_names_is_gone_to_at_once(manager: SessionManager) -> None:
    session = await long_session(manager)
    assert [await send(session, taking(8_000, named=True)) for _ in range(3)] == ["ok"] * 3
    assert len(sizes(session)) == 4
    assert sizes(session)[1] > 3_000, "and not far below it"
    assert (await session.explain("more")).budget_source == RoomSource.PROVIDER


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("This model's maximum context length is 8192 tokens. However, your messages resulted in 9000.", (8192, 9000)),
        ("Input tokens exceed the configured limit of 272,000 tokens. They resulted in 300,000.", (272_000, 300_000)),
        ("request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it", (4096, 5000)),
        ("prompt is too long: 200001 tokens > 200000 maximum", (200_000, 200_001)),
        ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000", (200_000, None)),
        ("The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).", (1048576, 1048577)),
        ("Prompt contains 131073 tokens, too large for model with 131072 maximum context length", (131_072, 131_073)),
        (
            "too many tokens: total number of tokens in the prompt cannot exceed 128000 - received 128001.",
            (128_000, 128_001),
        ),
        ("Your input exceeds the context window of this model.", (None, None)),
        ("maximum context length is 12 tokens", (None, None)),
    ],
)
def test_what_providers_name_is_read(text: str, told: tuple[int | None, int | None]) -> None:
    assert named_tokens(text) == told


async def test_what_was_learned_wears_off(manager: SessionManager) -> None:
    session = await long_session(manager, turns=10)
    assert await send(session, taking(8_000)) == "ok"
    learned = (await session.explain("x")).budget or 0
    assert learned < 8_000
    budgets: list[int] = []
    for _ in range(60):
        await session.send_message("w " * 600)
        budgets.append((await session.explain("x")).budget or 0)
    assert budgets == sorted(budgets), "each time a window that was nearly full is taken, a little more is tried"
    assert budgets[-1] > 2 * learned


async def test_little_is_never_learned_from_a_short_request(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "m", strategy="client")
    for number in range(3):
        await session.send_message(f"fact {number}")
    session.provider_session.fail_next("overflow")
    await session.send_message("short")
    assert (await session.explain("x")).budget == 2_048
    await session.send_message("short")
    assert len(session.provider_session.requests[-1].messages) == 9


async def test_an_attachment_that_was_too_long_is_left_behind_and_teaches_nothing_of_the_rest(
    manager: SessionManager,
) -> None:
    session = await manager.create_session("user", "mock", "m", strategy="client")

    def answer(request: ProviderRequest) -> str:
        files = sum(part.type == "file" for message in request.messages for part in message.parts)
        return taking(200_000 - 190_000 * files)(request)

    session.provider_session.set_responses([answer] * 60)
    await session.send_message([TextPart("read"), FilePart(data="JVBERg==", media_type="application/pdf")])
    for _ in range(30):
        await session.send_message("w " * 1_000)
    sent = [request.messages for request in session.provider_session.requests]
    assert len(sent) == 32, "it was too long once"
    assert all(part.type == "text" for message in sent[-1] for part in message.parts)
    plan = await session.explain("x")
    assert (plan.budget, plan.budget_source) == (100_000, RoomSource.DEFAULT)


async def test_a_trimmed_window_leaves_a_summary_behind(open_manager: OpenManager) -> None:
    def summarise(messages: list[SessionMessage]) -> str:
        return f"{len(messages)} messages"

    session = await open_manager("memory", summarizer=summarise).create_session("user", "mock", "m")
    for number in range(10):
        await session.send_message(f"question {number} " + "y" * 400)
    session.provider_session.fail_next("overflow")
    await session.send_message("after")
    sent = session.provider_session.requests[-1].messages
    summary = await session.get_summary()
    assert summary is not None
    assert sent[0].content.endswith(f"\n\n{summary.text}")
    assert (sent[1].seq or 0) == summary.up_to_seq + 1, "nothing is lost between the two"


async def test_changing_instructions_take_no_room(manager: SessionManager) -> None:
    config = {"max_tokens_window": 4_000}
    session = await manager.create_session("user", "mock", "m", strategy="client", session_config=config)
    for number in range(12):
        await session.send_message(f"question {number}", instructions=f"Today is {number}. " + "x" * 8_000)
    assert len(session.provider_session.requests[-1].messages) == 23
    assert (await session.explain("next")).dropped == 0


@pytest.mark.parametrize("config", [{"max_messages": 4}, {"max_tokens_window": 300}])
async def test_results_sent_by_hand_keep_their_question(manager: SessionManager, config: dict[str, int]) -> None:
    session = await manager.create_session("user", "mock", "m", strategy="client", session_config=config)
    session.provider_session.set_responses([[ToolCall(id=f"c{number}", name="f")] for number in range(4)])
    await session.send_message("the question")
    for number in range(4):
        result = ToolResult(tool_call_id=f"c{number}", content="r" * 800)
        plan = await session.explain(SessionMessage(role=Role.TOOL, parts=[result]))
        await session.send_tool_results([result])
        sent = session.provider_session.requests[-1].messages
        assert sent[0].content == "the question"
        assert len(sent) == len(plan.messages) == 3 + 2 * number


async def test_explain_knows_the_table_the_tools_and_the_instructions(open_manager: OpenManager) -> None:
    manager = open_manager("memory", providers={"openai": "sk-x"})
    session = await manager.create_session("user", "openai", "gpt-3.5-turbo", strategy="client")
    for number in range(60):
        await session.add_message("user", f"{number} " + "word " * 400)
        await session.add_message("assistant", "word " * 400)
    plain = await session.explain("next")
    assert (plain.budget_source, plain.dropped > 0) == (RoomSource.TABLE, True)
    told = await session.explain("next", instructions="Be brief. " * 1_000)
    tool = {"type": "function", "function": {"name": "f", "description": "d" * 8_000, "parameters": {"type": "object"}}}
    armed = await session.explain("next", tools=[tool])
    assert (plain.budget or 0) - (told.budget or 0) >= 2_048
    assert (plain.budget or 0) - (armed.budget or 0) >= 2_048


async def test_a_handoff_reports_what_the_next_request_carries(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "m", strategy="client", session_config={"max_messages": 10})
    for number in range(20):
        await session.send_message(f"question {number}")
    report = await session.handoff("mock", "other")
    await session.send_message("go")
    provider: ProviderSession = session.provider_session
    assert report.messages == len(provider.requests[-1].messages) - 1  # type: ignore[attr-defined]
    assert sum(report.crossing.crossed.values()) == report.messages
