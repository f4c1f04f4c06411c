"""What adapters make of answers, without their SDKs: the events of a wire are read as these would give them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from langswarm_sessions.ids import now
from langswarm_sessions.interfaces.provider import Completed, EngineProvider
from langswarm_sessions.prices import Pricing
from langswarm_sessions.providers.anthropic import answers as anthropic
from langswarm_sessions.providers.cohere import answers as cohere
from langswarm_sessions.providers.gemini import answers as gemini
from langswarm_sessions.providers.mistral import answers as mistral
from langswarm_sessions.providers.mistral.streams import ChatReader
from langswarm_sessions.providers.openai import answers as openai
from langswarm_sessions.providers.openai.chat_answers import ChatAnswer
from tests.cost.wire import PROVIDERS, Wire

__all__ = ["HOSTS", "Told", "cost_of", "read"]

HOSTS = {
    "openai": "api.openai.com",
    "openai-chat": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "gemini": "generativelanguage.googleapis.com",
    "mistral": "api.mistral.ai",
    "cohere": "api.cohere.com",
}


class Told:
    """JSON as the SDKs' models give it: by attributes, and as it came."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return _told(self._data.get(name))

    def to_dict(self, **_: object) -> Mapping[str, Any]:
        return self._data


def _told(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_told, value))  # pyright: ignore[reportUnknownArgumentType]
    return Told(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else value


def read(wire: Wire) -> Completed:
    """Return what the adapter of a provider makes of its answer."""
    events = PROVIDERS[wire.provider].events(wire)
    match wire.provider:
        case "openai":
            response: Any = Told(events[-1]["response"])
            return openai.completed_answer(response, model=wire.model, items=(), kept=False, request_id=None)
        case "openai-chat":
            chat = ChatAnswer(model=wire.model)
            for event in events:
                chat.add(cast("Any", Told(event)))
            return chat.completed()
        case "anthropic":
            answer = anthropic.Answer()
            for event in events:
                answer.feed(event)
            return anthropic.completed_answer([answer], model=wire.model, request_id=None)
        case "gemini":
            candidates = gemini.CandidateCollector(model=wire.model, seed="s")
            for event in events:
                candidates.add(dict(event))
            return candidates.complete()
        case "mistral":
            reader = ChatReader()
            for event in events:
                reader.take(cast("Any", Told(event)))
            return mistral.completed_answer(
                reader.entries, model=reader.model or wire.model, usage=reader.usage, answer_id="a"
            )
        case _:
            streamed = cohere.StreamedAnswer(model=wire.model, request_id=None)
            for event in events:
                streamed.read(event)
            assert streamed.completed is not None
            return streamed.completed


async def cost_of(
    wire: Wire, config: Mapping[str, Any] | None = None, pricing: Pricing | None = None
) -> Decimal | None:
    """Return what an answer costs; None when that is not known."""
    host = wire.host or HOSTS[wire.provider]
    provider = SimpleNamespace(name=wire.provider, model=wire.model, endpoint=lambda: (host, 443))
    charge = await (pricing or Pricing()).charge(
        read(wire), provider=cast("EngineProvider", provider), settings=config or {}, at=now()
    )
    assert charge.is_whole is bool(charge.by_source)
    return sum(charge.by_source.values(), Decimal(0)) if charge.by_source else None
