"""What a turn and its neighbours look like as spans."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from langswarm_sessions_otel import Telemetry, TurnScope, semconv

if TYPE_CHECKING:
    from tests.support.recorded import Recorded

PREVIOUS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_turn_is_one_trace_with_its_steps_as_children(
    recorded: Recorded, telemetry: Telemetry, whole_turn: Callable[..., str | None]
) -> None:
    whole_turn(telemetry)

    root = recorded.span("invoke_agent session")
    assert root.parent is None
    assert root.context is not None
    steps = [span for span in recorded.spans if span is not root]
    assert [span.name for span in steps] == [
        "langswarm.storage.load",
        "langswarm.session.rebuild",
        "chat gpt-5",
        "langswarm.storage.append",
        "langswarm.hook Audit.on_message_sent",
    ]
    assert all(span.parent is not None and span.parent.span_id == root.context.span_id for span in steps)
    assert {span.name for span in recorded.spans if span.kind is SpanKind.CLIENT} == {"chat gpt-5"}
    assert {span.kind for span in recorded.spans} == {SpanKind.CLIENT, SpanKind.INTERNAL}
    assert {span.status.status_code for span in recorded.spans} == {StatusCode.UNSET}


def test_every_span_inside_a_turn_carries_the_ids_that_backends_group_by(
    recorded: Recorded, telemetry: Telemetry, whole_turn: Callable[..., str | None]
) -> None:
    whole_turn(telemetry, session_id="s-9")

    for span in recorded.spans:
        assert span.attributes is not None
        ids = {
            key: span.attributes.get(key) for key in ("gen_ai.conversation.id", "session.id", "langswarm.session.id")
        }
        assert set(ids.values()) == {"s-9"}, span.name


def test_the_attributes_of_a_turn(
    recorded: Recorded, telemetry: Telemetry, whole_turn: Callable[..., str | None]
) -> None:
    whole_turn(telemetry)

    assert dict(recorded.span("invoke_agent session").attributes or {}) == {
        "gen_ai.conversation.id": "session-1",
        "session.id": "session-1",
        "langswarm.session.id": "session-1",
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "session",
        "gen_ai.request.model": "gpt-5",
        "langswarm.session.mode": "native",
        "langswarm.session.operation": "stream",
        "langswarm.session.turn.index": 2,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.response.finish_reasons": ("stop",),
        "langswarm.history.messages_sent": 1,
        "langswarm.history.messages_total": 4,
        "langswarm.turn.retries": 1,
    }


def test_the_attributes_of_a_chat(
    recorded: Recorded, telemetry: Telemetry, whole_turn: Callable[..., str | None]
) -> None:
    whole_turn(telemetry)

    attributes = dict(recorded.span("chat gpt-5").attributes or {})
    first_chunk = attributes.pop("gen_ai.response.time_to_first_chunk")
    assert isinstance(first_chunk, float)
    assert attributes == {
        "gen_ai.conversation.id": "session-1",
        "session.id": "session-1",
        "langswarm.session.id": "session-1",
        "gen_ai.agent.name": "session",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.previous_response.id": "resp_1",
        "gen_ai.response.id": "resp_2",
        "gen_ai.response.model": "gpt-5-2026",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_creation.input_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "server.address": "127.0.0.1",
        "server.port": 8080,
    }


def test_a_chat_that_is_not_streamed_says_nothing_of_streaming(
    recorded: Recorded, telemetry: Telemetry, start_turn: Callable[..., TurnScope]
) -> None:
    with start_turn(telemetry) as turn, turn.chat(provider="gemini", model="flash", stream=False) as chat:
        chat.chunk()

    attributes = recorded.span("chat flash").attributes or {}
    assert attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert not {"gen_ai.request.stream", "gen_ai.response.time_to_first_chunk", "server.address"} & set(attributes)


def test_storage_rebuild_and_hook_tell_their_facts(
    recorded: Recorded, telemetry: Telemetry, whole_turn: Callable[..., str | None]
) -> None:
    whole_turn(telemetry)

    def facts(name: str) -> dict[str, object]:
        ids = {"gen_ai.conversation.id", "session.id", "langswarm.session.id"}
        return {key: value for key, value in (recorded.span(name).attributes or {}).items() if key not in ids}

    assert facts("langswarm.storage.load") == {
        "langswarm.storage.backend": "sqlite",
        "db.system.name": "sqlite",
        "langswarm.storage.count": 3,
        "langswarm.storage.bytes": 300,
    }
    assert facts("langswarm.session.rebuild") == {
        "langswarm.rebuild.reason": "not_found",
        "gen_ai.provider.name": "openai",
        "langswarm.rebuild.attempt": 1,
        "langswarm.rebuild.messages": 3,
        "langswarm.rebuild.tokens": 40,
    }
    assert facts("langswarm.hook Audit.on_message_sent") == {
        "langswarm.hook.name": "Audit.on_message_sent",
        "langswarm.hook.point": "on_message_sent",
    }


def test_what_happened_to_its_requests_are_events_of_the_turn(
    recorded: Recorded, telemetry: Telemetry, whole_turn: Callable[..., str | None]
) -> None:
    whole_turn(telemetry)

    happened = [event for event in recorded.span("invoke_agent session").events if ".lease" not in event.name]
    retry, waited, refused = happened
    assert (retry.name, dict(retry.attributes or {})) == (
        "langswarm.turn.retry",
        {
            "langswarm.retry.attempt": 1,
            "error.type": "openai.RateLimitError",
            "langswarm.retry.delay_seconds": 0.5,
        },
    )
    assert (waited.name, dict(waited.attributes or {})) == (
        "langswarm.session.rate_limited",
        {"gen_ai.provider.name": "openai", "langswarm.rate_limit.wait_seconds": 1.5},
    )
    assert (refused.name, dict(refused.attributes or {})) == (
        "langswarm.session.circuit_refused",
        {"gen_ai.provider.name": "openai", "langswarm.circuit.retry_after_seconds": 30},
    )


def test_a_turn_links_to_the_one_before_it_also_of_another_process(
    recorded: Recorded, telemetry: Telemetry, whole_turn: Callable[..., str | None]
) -> None:
    first = whole_turn(telemetry, previous=PREVIOUS)
    recorded.exporter.clear()
    whole_turn(telemetry, previous=first)

    [link] = recorded.span("invoke_agent session").links
    assert link.context.is_remote
    assert f"00-{link.context.trace_id:032x}-{link.context.span_id:016x}-03"[:-1] == (first or "")[:-1]
    assert dict(link.attributes or {}) == {"langswarm.link.kind": "previous_turn"}


@pytest.mark.parametrize("broken", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", PREVIOUS + "-x"])
def test_a_broken_traceparent_is_no_link(
    recorded: Recorded, telemetry: Telemetry, start_turn: Callable[..., TurnScope], broken: str
) -> None:
    with start_turn(telemetry) as turn:
        turn.began(turn_index=1, previous=broken, mode="client")

    assert recorded.span("invoke_agent session").links == ()
    assert recorded.points("langswarm.telemetry.errors") == []


def test_the_traceparent_is_that_of_the_turn(
    recorded: Recorded, telemetry: Telemetry, start_turn: Callable[..., TurnScope]
) -> None:
    with start_turn(telemetry) as turn:
        inside = turn.traceparent
    context = recorded.span("invoke_agent session").context
    assert context is not None
    assert inside == turn.traceparent
    assert (inside or "").startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")


@pytest.mark.parametrize("transition", ["create", "restore", "archive", "delete", "clear"])
def test_a_transition_outside_a_turn_is_no_turn_of_the_conversation(
    recorded: Recorded, telemetry: Telemetry, transition: str
) -> None:
    with telemetry.lifecycle(transition, session_id="s-1", mode="hybrid", provider="mistral"):
        pass

    span = recorded.span(f"langswarm.session.{transition}")
    assert span.kind is SpanKind.INTERNAL
    assert dict(span.attributes or {}) == {
        "langswarm.session.id": "s-1",
        "langswarm.session.transition": transition,
        "langswarm.session.mode": "hybrid",
        "gen_ai.provider.name": "mistral_ai",
    }


def test_a_hook_outside_a_turn_is_no_turn_of_the_conversation(recorded: Recorded, telemetry: Telemetry) -> None:
    with telemetry.hook(name="Audit.on_session_created", point="on_session_created", session_id="s-1"):
        pass

    assert set(recorded.span("langswarm.hook Audit.on_session_created").attributes or {}) == {
        "langswarm.session.id",
        "langswarm.hook.name",
        "langswarm.hook.point",
    }


def test_a_transition_inside_its_turn_belongs_to_the_conversation_and_inside_anothers_does_not(
    recorded: Recorded, telemetry: Telemetry, start_turn: Callable[..., TurnScope]
) -> None:
    with start_turn(telemetry, session_id="s-1"):
        with telemetry.lifecycle("archive", session_id="s-1"):
            pass
        with telemetry.lifecycle("create", session_id="s-2"):
            pass

    assert (recorded.span("langswarm.session.archive").attributes or {})[semconv.CONVERSATION_ID] == "s-1"
    assert semconv.CONVERSATION_ID not in (recorded.span("langswarm.session.create").attributes or {})


def test_transitions_can_be_grouped_always(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSWARM_SESSIONS_LIFECYCLE_GROUPING", "always")
    with recorded.telemetry().lifecycle("create", session_id="s-1"):
        pass

    attributes = recorded.span("langswarm.session.create").attributes or {}
    assert attributes[semconv.CONVERSATION_ID] == attributes[semconv.SESSION_ID] == "s-1"
