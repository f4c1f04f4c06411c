"""What a session can set on a chat model, which objects are taken for one, and that it asks once."""

from __future__ import annotations

import logging
import subprocess
import sys
from functools import cached_property
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from pydantic import Field

from langswarm_sessions import ConfigurationError, InvalidInputError, create_session_manager
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.providers import ProviderSessionFactory, connect
from langswarm_sessions.records import TurnOptions
from langswarm_sessions_langchain import LangChainProvider
from langswarm_sessions_langchain.provider.client import without_own_retries
from tests.support.chat_model import Asked, JudgedChat

CLOCK: dict[str, Any] = {
    "name": "clock",
    "description": "Tells the time.",
    "parameters": {"type": "object", "properties": {}},
}


async def asked(
    config: dict[str, Any], *, tools: tuple[Any, ...] = (), choice: Any = None, model: JudgedChat | None = None
) -> Asked:
    """Return how the model was called under a provider_config."""
    chat = model or JudgedChat()
    connection = LangChainProvider(chat, name="mychat")
    connection.check("judged-1", config)
    options = TurnOptions(tools=tools, tool_choice=choice)
    request = ProviderRequest(messages=(SessionMessage(role=Role.USER, content="hi"),), options=options)
    events = [event async for event in connection.open("s", "judged-1", config).stream_turn(request)]
    assert isinstance(events[-1], Completed)
    return chat.party.last


async def test_settings_are_fields_of_a_copy() -> None:
    chat = JudgedChat(temperature=1.5)
    call = await asked({"temperature": 0.2, "max_tokens": 7, "seed": 5}, model=chat)
    assert call.settings == {
        "model_name": "judged-1",
        "temperature": 0.2,
        "max_tokens": 7,
        "random_seed": 5,
        "max_retries": 0,
    }
    assert (chat.temperature, chat.max_tokens, chat.max_retries) == (1.5, None, 2)
    assert (await asked({}, model=chat)).settings["temperature"] == 1.5


async def test_settings_that_go_with_the_call() -> None:
    assert (await asked({"stop": "END"})).kwargs == {"stop": ["END"]}
    assert (await asked({"stop": ["A", "B"]})).kwargs == {"stop": ["A", "B"]}
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    nested = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    for given in (nested, {"type": "json_schema", "name": "n", "schema": schema}):
        assert (await asked({"response_format": given})).kwargs == {"response_format": nested}
    assert (await asked({"response_format": "json_object"})).kwargs == {"response_format": {"type": "json_object"}}
    assert (await asked({"response_format": "text"})).kwargs == {}
    assert (await asked({"response_format": {"type": "text"}})).kwargs == {}


async def test_tools_go_in_the_form_every_model_reads() -> None:
    search = {"type": "web_search"}
    strict = {"type": "function", "name": "ping", "strict": True}
    call = await asked({"parallel_tool_calls": False}, tools=(CLOCK, {"type": "function", "function": CLOCK}))
    assert call.kwargs["tools"] == [{"type": "function", "function": CLOCK}] * 2
    assert call.kwargs["parallel_tool_calls"] is False
    call = await asked({}, tools=(search, strict))
    assert call.kwargs["tools"][0] == search
    assert call.kwargs["tools"][1]["function"]["strict"] is True
    with pytest.raises(InvalidInputError, match="name"):
        await asked({}, tools=({"parameters": {}},))


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", None),
        ("required", "any"),
        ("any", "any"),
        ("none", "none"),
        ("clock", "clock"),
        ({"type": "function", "function": {"name": "clock"}}, "clock"),
        ({"type": "web_search"}, {"type": "web_search"}),
    ],
)
async def test_tool_choices(choice: Any, sent: Any) -> None:
    assert (await asked({}, tools=(CLOCK,), choice=choice)).kwargs.get("tool_choice") == sent
    assert (await asked({"tool_choice": choice}, tools=(CLOCK,))).kwargs.get("tool_choice") == sent
    assert (await asked({"tool_choice": "none"}, tools=(CLOCK,), choice=choice)).kwargs.get("tool_choice") == sent
    assert "tool_choice" not in (await asked({"tool_choice": choice})).kwargs


async def test_anthropics_class_is_told_none_in_its_own_words() -> None:
    class ChatAnthropic(JudgedChat):
        pass

    call = await asked({}, tools=(CLOCK,), choice="none", model=ChatAnthropic())
    assert call.kwargs["tool_choice"] == {"type": "none"}


async def test_a_model_that_takes_no_tools() -> None:
    session = LangChainProvider(FakeListChatModel(responses=["x"]), name="plain").open("s", "m", {})
    message = SessionMessage(role=Role.USER, content="hi")
    request = ProviderRequest(messages=(message,), options=TurnOptions(tools=(CLOCK,)))
    with pytest.raises(ConfigurationError, match="FakeListChatModel takes no tools"):
        async for _ in session.stream_turn(request):
            pass


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"top_k": 3}, "'top_k' is nothing a session can set on JudgedChat"),
        ({"base_url": "http://127.0.0.1"}, "Set it on the chat model"),
        ({"store": False}, "'store'"),
        ({"api": "chat"}, "'api'"),
        ({"temprature": 1}, "temperature"),
        ({"temperature": "hot"}, "temperature must be"),
        ({"api_key": "sk-1"}, "providers="),
        ({"native": "node"}, "native must be 'none'"),
        (["temperature"], "must be a dict"),
    ],
)
def test_settings_without_effect_are_refused_by_name(config: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        LangChainProvider(JudgedChat(), name="mychat").check("judged-1", config)
    assert "sk-1" not in str(caught.value)


def test_settings_of_conversations_a_provider_keeps_are_ignored(caplog: pytest.LogCaptureFixture) -> None:
    connection = LangChainProvider(JudgedChat(), name="mychat")
    with caplog.at_level(logging.WARNING):
        connection.check("judged-1", {"assistant_id": "a", "native": "none", "top_k": None})
    assert [record.getMessage() for record in caplog.records] == [
        "provider_config of mychat: assistant_id: kept, but without effect there."
    ]


def test_another_model_than_the_sessions_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    connection = LangChainProvider(JudgedChat(model="gpt-x"), name="mychat")
    with caplog.at_level(logging.WARNING):
        connection.check("gpt-x", {})
        assert caplog.records == []
        connection.check("gpt-y", {})
        connection.check("gpt-y", {})
        LangChainProvider(FakeListChatModel(responses=[]), name="plain").check("any label", {})
    [record] = caplog.records
    assert "the session's model is 'gpt-y', but the chat model given asks 'gpt-x'" in record.getMessage()
    with pytest.raises(ConfigurationError, match="model"):
        connection.check(" ", {})


def test_the_media_a_model_says_it_does_not_take() -> None:
    chat = JudgedChat(profile={"image_inputs": False, "pdf_inputs": True})
    assert LangChainProvider(chat).profile.takes == {"text", "file", "audio"}
    assert LangChainProvider(JudgedChat()).profile.takes == {"text", "image", "file", "audio"}


# Which objects


def test_a_chat_model_is_known_by_its_class_alone() -> None:
    class Mine(JudgedChat):
        def __call__(self) -> None:
            raise AssertionError("a chat model is no factory")

    for chat in (FakeListChatModel(responses=["x"]), JudgedChat(), Mine()):
        connection = connect("mychat", chat)
        assert isinstance(connection, LangChainProvider)
        assert connection.name == "mychat"
        ProviderSessionFactory.check("mychat", chat)
    assert isinstance(connect("openai", JudgedChat()), LangChainProvider)
    explicit = LangChainProvider(JudgedChat(), name="mychat")
    assert connect("mychat", explicit) is explicit


@pytest.mark.parametrize(
    "thing",
    [
        JudgedChat().bind(stop=["x"]),
        JudgedChat().with_retry(),
        JudgedChat() | StrOutputParser(),
        ChatPromptTemplate.from_messages([("human", "hi")]),
        RunnableLambda(len),
    ],
)
async def test_other_things_of_langchains_are_refused(thing: Any) -> None:
    async with create_session_manager(storage="memory", providers={"mychat": thing}) as manager:
        with pytest.raises(ConfigurationError, match=r"no chat model.*SessionRunnable"):
            await manager.create_session("ada", "mychat", "m")


def test_names_and_reprs_show_no_key() -> None:
    class Keyed(JudgedChat):
        api_key: str = "sk-secret"

    connection = LangChainProvider(Keyed(), name="mychat")
    assert repr(connection) == "<LangChainProvider 'mychat' of Keyed>"
    assert "sk-secret" not in repr(connection.open("s", "m", {}))
    with pytest.raises(InvalidInputError, match="name"):
        LangChainProvider(JudgedChat(), name=" ")
    with pytest.raises(ConfigurationError, match="str is no chat model") as caught:
        LangChainProvider("sk-secret")  # type: ignore[arg-type]
    assert "sk-secret" not in str(caught.value)


def test_the_core_meets_other_objects_without_langchain() -> None:
    program = (
        "import sys\n"
        "from langswarm_sessions.providers import connect\n"
        "connect('mock', None); connect('mine', lambda: None)\n"
        "sys.exit(any(name.startswith(('langchain', 'langswarm_sessions_langchain')) for name in sys.modules))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Retries of its own


class FakeClient:
    """What SDK clients have in common."""

    def __init__(self, max_retries: int = 4) -> None:
        self.max_retries = max_retries

    def with_options(self, *, max_retries: int) -> FakeClient:
        return FakeClient(max_retries)


class FakeResource:
    """A part of an SDK's client."""

    def __init__(self, client: FakeClient) -> None:
        self._client = client


class Retrying(JudgedChat):
    """Hands its retries on, in the ways the packages of LangChain do."""

    root: Any = Field(default_factory=FakeClient)
    part: Any = Field(default_factory=lambda: FakeResource(FakeClient()))

    @cached_property
    def parameters(self) -> dict[str, int]:
        return {"max_retries": self.max_retries}

    @cached_property
    def lazy(self) -> FakeClient:
        return FakeClient(**self.parameters)


@pytest.mark.parametrize("used", ["nothing", "parameters", "lazy"])
def test_a_models_own_retries_are_off_wherever_it_took_them(used: str) -> None:
    chat = Retrying(max_retries=4)
    getattr(chat, used, None)
    quiet: Any = without_own_retries(chat)
    assert (quiet.max_retries, quiet.root.max_retries, quiet.part._client.max_retries) == (0, 0, 0)
    assert quiet.lazy.max_retries == 0
    assert (chat.max_retries, chat.root.max_retries, chat.part._client.max_retries, chat.lazy.max_retries) == (4,) * 4
    plain: BaseChatModel = FakeListChatModel(responses=["x"])
    assert without_own_retries(plain) is plain
