"""The providers' servers with a meter at the socket: what usage they really told their client, byte for byte."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler

from tests.support.anthropic_server import AnthropicServer
from tests.support.openai_server import OpenAIServer
from tests.support.provider_server.faults import HttpFault
from tests.support.provider_server.json_types import JsonObject, parse_object
from tests.support.provider_server.wire import Event, Wire

__all__ = ["Meter", "MeteredAnthropic", "MeteredOpenAI"]


class Meter:
    """Adds up the tokens that were told since it was last read. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._input = self._output = 0

    def hear(self, data: bytes) -> None:
        """Take note of what one body, or one event of a stream, says of usage."""
        told = parse_object(data) or {}
        usage = _usage(told)
        begins = told.get("type") == "message_start"  # its output is an estimate that message_delta replaces
        counted = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        with self._lock:
            if told.get("type") != "message_delta":
                self._input += sum(usage.get(name, 0) for name in counted)
            self._output += 0 if begins else usage.get("output_tokens", 0)

    def read(self) -> tuple[int, int]:
        """Return input and output tokens, and begin anew."""
        with self._lock:
            told = self._input, self._output
            self._input = self._output = 0
            return told


def _usage(told: JsonObject) -> dict[str, int]:
    """Return the counts of an answer, or of the event that holds one."""
    for holder in (told.get("response"), told.get("message"), told):
        if isinstance(holder, dict) and isinstance(usage := holder.get("usage"), dict):
            return {name: count for name, count in usage.items() if isinstance(count, int)}
    return {}


class _MeteredWire(Wire):
    def __init__(self, wire: Wire, meter: Meter) -> None:
        self.__dict__.update(wire.__dict__)
        self._meter = meter

    def send_fault(self, fault: HttpFault) -> None:
        super().send_fault(fault)
        self._meter.hear(fault.body)

    def send_event(self, event: Event) -> None:
        super().send_event(event)
        self._meter.hear(event.data)


class MeteredOpenAI(OpenAIServer):
    """OpenAI's server with a meter."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def wire(self, handler: BaseHTTPRequestHandler) -> Wire:
        """Return the connection of one exchange."""
        return _MeteredWire(super().wire(handler), self._meter)


class MeteredAnthropic(AnthropicServer):
    """Anthropic's server with a meter."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def wire(self, handler: BaseHTTPRequestHandler) -> Wire:
        """Return the connection of one exchange."""
        return _MeteredWire(super().wire(handler), self._meter)
