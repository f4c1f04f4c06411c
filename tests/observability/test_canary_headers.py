"""What an instrumented HTTP client tells a provider: the trace, on demand the conversation, nothing that was said."""

from __future__ import annotations

import httpx2
import pytest
from opentelemetry import propagate

from langswarm_sessions import SessionManager
from tests.support.openai_server import OpenAIServer
from tests.support.recorded import Recorded

CANARY = "CANARY-5f1c"


@pytest.fixture
def instrumented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inject, as the instrumentations of HTTP clients do, the current context into every request."""
    send = httpx2.AsyncHTTPTransport.handle_async_request

    async def injecting(transport: httpx2.AsyncHTTPTransport, request: httpx2.Request) -> httpx2.Response:
        propagate.inject(request.headers)
        return await send(transport, request)

    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", injecting)


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize(("switch", "sent"), [("off", None), ("on", "gen_ai.conversation.id=s-1")])
async def test_what_a_provider_gets_in_headers(switch: str, sent: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSWARM_SESSIONS_BAGGAGE", switch)
    recorded = Recorded()
    with OpenAIServer() as server:
        keys = {"openai": server.credential}
        telemetry = recorded.telemetry(capture_content="SPAN_AND_EVENT")
        async with SessionManager("memory", providers=keys, telemetry=telemetry) as manager:
            session = await manager.create_session(
                f"{CANARY} user", "openai", "gpt-5", session_id="s-1", session_config={"name": f"{CANARY} name"}
            )
            await session.send_message(f"{CANARY} prompt", metadata={CANARY: CANARY})
        [asked] = [request for request in server.requests if request.path == "/v1/responses"]
    context = recorded.span("chat gpt-5").get_span_context()
    assert context is not None
    assert asked.headers["traceparent"].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")
    assert asked.headers.get("baggage") == sent
    assert "tracestate" not in asked.headers
    assert CANARY not in str(dict(asked.headers))
