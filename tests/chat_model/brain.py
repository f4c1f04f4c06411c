"""A model behind the OpenAI counterparty that follows what it is asked: tools, their choice, the form of its answer."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.openai_server import OpenAIServer, Reply, ToolCall
from tests.support.openai_server.context import ModelView, kind_of
from tests.support.provider_server.exchange import Exchange
from tests.support.provider_server.listener import Request

__all__ = ["ThinkingServer"]

_ASKS_FOR_A_TOOL = re.compile(r"use the tool|using the tool|weather|create a customer", re.IGNORECASE)


class ThinkingServer(OpenAIServer):
    """The OpenAI counterparty with a model that reads the whole request, as far as LangChain's standard tests ask."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = threading.local()
        self.answer_with(self._think)

    def serve(self, request: Request, exchange: Exchange) -> None:
        """Answer a request, having read it."""
        self._asked.body = request.body or {}
        super().serve(request, exchange)

    def _think(self, view: ModelView) -> Reply:
        body: Mapping[str, Any] = self._asked.body
        asked = view.user_texts[-1] if view.user_texts else ""
        chosen = _chosen(body, asked, answered=kind_of(view.items[-1]) in ("function_call_output", "tool"))
        if chosen is not None:
            return Reply(tool_calls=(ToolCall(chosen["name"], _instance(chosen["parameters"], asked)),))
        form = _form(body)
        if form.get("type") == "json_schema":
            return Reply(text=json.dumps(_instance(form["schema"], asked)))
        if form.get("type") == "json_object":
            return Reply(text=json.dumps({"setup": "Why did the cat sit?", "punchline": "It was a sit-com."}))
        return Reply(text=f"Hello there, you said: {asked}")


def _form(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the form of answer a request asks for, in either API's words."""
    if "text" in body:
        return body["text"].get("format") or {}
    form: Mapping[str, Any] = body.get("response_format") or {}
    return {"type": "json_schema", **form["json_schema"]} if "json_schema" in form else form


def _chosen(body: Mapping[str, Any], asked: str, *, answered: bool) -> Mapping[str, Any] | None:
    """Return the tool the model calls, if it calls one."""
    tools: Sequence[Mapping[str, Any]] = [tool.get("function", tool) for tool in body.get("tools") or ()]
    choice: Any = body.get("tool_choice", "auto")
    if not isinstance(choice, str):
        named: str = choice.get("function", choice)["name"]
        return next(tool for tool in tools if tool["name"] == named)
    wants = choice == "required" or (choice == "auto" and not answered and _ASKS_FOR_A_TOOL.search(asked))
    return tools[0] if tools and wants else None


def _instance(schema: Mapping[str, Any], asked: str) -> Any:
    """Return what follows a schema: numbers and quoted words are taken from what was asked."""
    if "anyOf" in schema:
        return _instance(schema["anyOf"][0], asked)
    match schema.get("type"):
        case "object":
            entries: Mapping[str, Any] = schema.get("properties") or {}
            return {name: _instance(entry, asked) for name, entry in entries.items()}
        case "integer" | "number":
            number = re.search(r"\d+", asked)
            return int(number.group()) if number else 1
        case "boolean":
            return True
        case "array":
            return []
        case _:
            quoted = re.search(r"'(.+?)'", asked)
            return quoted.group(1) if quoted else "something about cats"
