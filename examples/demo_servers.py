"""Who answers in the second act of `demo.py`: three servers of ours on loopback, asked with the providers' own SDKs.

They are the servers of this project's tests (tests/support): each keeps what its provider would keep, refuses what its
provider would refuse, and writes down what it was sent. No provider is called. Alone: python examples/demo_servers.py
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.anthropic_server import AnthropicServer
    from tests.support.mistral_server import MistralServer
    from tests.support.openai_server import OpenAIServer

ROOT = Path(__file__).parents[1]
INTRODUCTION = "Hello, I am Ada and I keep bees on a roof in Lisbon."
WEIGH = "How heavy is hive two?"
THOUGHT = "A roof is windy, so warmth matters most."
SCALE: dict[str, Any] = {
    "name": "read_scale",
    "description": "Reads the scale under a hive.",
    "parameters": {"type": "object", "properties": {"hive": {"type": "integer"}}, "required": ["hive"]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request as a server got it.

    Args:
        provider: Whose server.
        request: Method and path.
        body: The JSON body.
        size: Its length in bytes.
        status: How it was answered.
    """

    provider: str
    request: str
    body: Mapping[str, Any] = field(repr=False)
    size: int
    status: int

    @property
    def items(self) -> int:
        """How many messages, calls, results and thoughts are in it."""
        [content] = [self.body[name] for name in ("input", "inputs", "messages") if name in self.body]
        return 1 if isinstance(content, str) else len(content)

    @property
    def builds_on(self) -> str:
        """What kept at the provider it continues, if anything."""
        if isinstance(of := self.body.get("previous_response_id"), str):
            return of
        thread = re.match(r"POST /v1/conversations/([^/?#]+)", self.request)
        return thread[1] if thread else ""

    @property
    def text(self) -> str:
        """The body as readable text."""
        return json.dumps(self.body, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The three servers."""

    openai: OpenAIServer
    anthropic: AnthropicServer
    mistral: MistralServer

    @property
    def credentials(self) -> dict[str, Any]:
        """What `create_session_manager(providers=...)` is given."""
        return {name: {"api_key": server.api_key, "base_url": server.base_url} for name, server in self._by_provider()}

    def sent(self, provider: str) -> list[Sent]:
        """Return what a server was asked to answer so far, oldest first."""
        server = dict(self._by_provider())[provider]
        return [
            Sent(
                provider=provider,
                request=f"{record.method} {record.path}",
                body=record.body,
                size=int(record.headers["content-length"]),
                status=record.status or 0,
            )
            for record in server.requests
            if record.body is not None
        ]

    def refused_bodies(self) -> int:
        """How many requests the providers' own SDK types or rules would not have let pass."""
        return sum(len(server.violations) for _, server in self._by_provider())

    def delete_thread(self) -> list[str]:
        """Delete all that OpenAI's server keeps of the conversation, with the real SDK; return what was deleted."""
        deleted = self.openai.stored_ids
        with self.openai.client() as client:
            for response_id in deleted:
                client.responses.delete(response_id)
        return deleted

    def _by_provider(self) -> list[tuple[str, OpenAIServer | AnthropicServer | MistralServer]]:
        return [("openai", self.openai), ("anthropic", self.anthropic), ("mistral", self.mistral)]


def load_early() -> None:
    """Begin to load in the background, while something else is shown; whatever is wrong is told when it is needed."""

    def work() -> None:
        with suppress(ImportError):
            load()

    threading.Thread(target=work, name="load-servers", daemon=True).start()


def load() -> None:
    """Load the servers and the SDKs they speak with, which takes seconds."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    for provider in ("openai", "anthropic", "mistral"):
        import_module(f"tests.support.{provider}_server")


@contextmanager
def serving() -> Generator[Servers]:
    """Start the three servers; each answers only from what its requests put before the model."""
    _let_loopback_be_direct()
    try:
        load()
    except ModuleNotFoundError as error:
        sys.exit(f"The second act is played by the servers in tests/support of a checkout: {error}")
    from tests.support import anthropic_server, mistral_server, openai_server

    with (
        openai_server.OpenAIServer() as openai,
        anthropic_server.AnthropicServer() as anthropic,
        mistral_server.MistralServer() as mistral,
    ):
        openai.answer_with(
            lambda view: openai_server.Reply(text=answer(view.user_texts[-1], str(view)), reasoning=THOUGHT)
        )
        anthropic.answer_with(lambda view: anthropic_server.Reply(text=answer(view.user_texts[-1], str(view))))
        mistral.answer_with(lambda view: mistral_server.Reply(text=answer(view.user_texts[-1], str(view))))
        yield Servers(openai=openai, anthropic=anthropic, mistral=mistral)


def ask_for_scale(servers: Servers) -> None:
    """Let the model that answers next read the scale first."""
    from tests.support.openai_server import Reply, ToolCall

    servers.openai.script(Reply(tool_calls=(ToolCall(SCALE["name"], {"hive": 2}),)))


def read_scale(hive: int) -> str:
    """Read the scale; here it always shows the same."""
    return f"scale {hive}: 14.2 kg"


def answer(question: str, seen: str) -> str:
    """Answer as a beekeeper who knows no more than what one request put before the model.

    Args:
        question: The newest one.
        seen: All that the model was given, as text.
    """
    person = re.search(r"I am (\w+) and I keep bees on a roof in (\w+)", seen)
    weight = re.search(r"scale 2: ([\d.]+ kg)", seen)
    if question == INTRODUCTION:
        return "Good morning, Ada. Strap the hives down before the autumn storms."
    if question == WEIGH:
        return f"Hive two weighs {weight[1]}." if weight else "I cannot see a scale."
    who = f"You are {person[1]}, and your bees live on a roof in {person[2]}" if person else "I do not know who you are"
    return f"{who}; hive two weighs {weight[1]}." if weight else f"{who}; of your hives I know nothing."


def _let_loopback_be_direct() -> None:
    """Keep a proxy that the environment names out of what stays on this machine."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1")))


if __name__ == "__main__":
    with serving() as started:
        for provider, credential in started.credentials.items():
            print(f"{provider:<10} {credential['base_url']}")
    print(answer("Who am I?", f"{INTRODUCTION} … {read_scale(2)}"))
