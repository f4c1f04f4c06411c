"""How a SessionRunnable is made, which sessions it takes, and that it shows nothing secret."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.load import dumpd, dumps
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import (
    RunnableLambda,
)

from langswarm_sessions import (
    ConfigurationError,
    InvalidInputError,
    SessionManager,
    SessionNotFoundError,
    create_session_manager,
    set_session_manager,
)
from langswarm_sessions_langchain import SessionRunnable
from tests.langchain.chains import Scripted, on, stored

CANARY = "sk-canary-1234567890"

# ---------------------------------------------------------------- secrets


def test_nothing_secret_is_dumped() -> None:
    def greet(message: AIMessage) -> str:
        return str(message.text)

    with_key = SessionRunnable(
        FakeListChatModel(responses=["x"], custom_get_token_ids=None).bind(api_key=CANARY) | RunnableLambda(greet),
        manager=create_session_manager(
            storage=f"sqlite:///never-{CANARY}.db", providers={"openai": CANARY, "mock": None}
        ),
        user_id="alice",
    )
    for chain in (with_key, with_key | StrOutputParser(), with_key.bind(timeout=3), with_key.with_retry()):
        for shown in (repr(chain), str(chain), dumps(chain), json.dumps(dumpd(chain), default=str)):
            assert CANARY not in shown
    assert "RunnableSequence" in repr(with_key)
    assert "alice" in repr(with_key)
    assert CANARY not in with_key.model_dump_json(exclude={"bound"})


# ---------------------------------------------------------------- construction, managers, providers


def test_construction_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr("langswarm_sessions_langchain.runnable.copying.get_session_manager", lambda: made.append(1))
    SessionRunnable(provider="mock", model="mock-model")
    assert made == []


async def test_without_a_manager_it_takes_the_processes_own(manager: SessionManager) -> None:
    set_session_manager(manager)
    try:
        await SessionRunnable(provider="mock", model="mock-model").ainvoke("hi", on("s"))
    finally:
        set_session_manager(None)
    assert len(await stored(manager, "s")) == 2


def test_a_blocking_manager_will_do() -> None:
    manager = create_session_manager(storage="memory", blocking=True)
    runnable = SessionRunnable(manager=manager, provider="mock", model="mock-model")
    assert runnable.invoke("hi", on("s")).text == "Mock response to: hi"
    assert [message.content for message in manager.get_session("s").get_messages()] == ["hi", "Mock response to: hi"]
    manager.close()


WRONG_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"manager": 3}, "manager must be a SessionManager"),
    ({"bound": "model"}, "bound must be a Runnable"),
    ({"bound": Scripted(), "provider": "mock"}, "provider= has no meaning beside bound="),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG_ARGUMENTS)
def test_wrong_arguments_are_named(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        SessionRunnable(**arguments)
    with pytest.raises(InvalidInputError, match="input_messages_key must be a non-empty string"):
        SessionRunnable(input_messages_key="")


async def test_an_existing_session_keeps_its_provider(manager: SessionManager) -> None:
    await manager.create_session("alice", "mock", "mock-model", session_id="s")
    assert (await SessionRunnable(manager=manager).ainvoke("hi", on("s"))).text == "Mock response to: hi"
    with pytest.raises(ConfigurationError, match="model='other': the session was created with 'mock-model'"):
        await SessionRunnable(manager=manager, provider="mock", model="other").ainvoke("hi", on("s"))
    with pytest.raises(ConfigurationError, match="no provider and model to create it with"):
        await SessionRunnable(manager=manager).ainvoke("hi", on("unknown"))
    with pytest.raises(ConfigurationError, match="unknown provider"):
        await SessionRunnable(manager=manager, provider="nobody", model="m").ainvoke("hi", on("unknown"))


async def test_another_users_session_is_not_there(manager: SessionManager) -> None:
    runnable = SessionRunnable(manager=manager, provider="mock", model="mock-model")
    await runnable.ainvoke("hi", on("s", user_id="alice"))
    with pytest.raises(SessionNotFoundError):
        await runnable.ainvoke("hi", on("s", user_id="bob"))
    bobs = SessionRunnable(manager=manager, provider="mock", model="mock-model", user_id="bob")
    with pytest.raises(SessionNotFoundError):
        await bobs.ainvoke("hi", on("s"))
    with pytest.raises(InvalidInputError, match="user_id"):
        await runnable.ainvoke("hi", on("s", user_id=""))
    assert len(await stored(manager, "s")) == 2


async def test_a_session_of_a_runnable_needs_its_runnable(manager: SessionManager) -> None:
    await SessionRunnable(Scripted(), manager=manager).ainvoke("hi", on("s"))
    session = await manager.get_session("s")
    assert (session.provider, session.model) == ("runnable", "runnable")
    with pytest.raises(ConfigurationError, match=r"send through SessionRunnable\(bound=\.\.\.\)"):
        await session.send_message("alone")
    with pytest.raises(ConfigurationError, match=r"send through SessionRunnable\(bound=\.\.\.\)"):
        await SessionRunnable(manager=manager).ainvoke("alone", on("s"))
    assert (await session.get_provider_metadata())["provider"] == "runnable"


def test_a_prompt_with_history_before_a_bound_model(manager: SessionManager) -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "be nice"), MessagesPlaceholder("past"), ("human", "{q}")])
    model = Scripted()
    chain = SessionRunnable(prompt | model, manager=manager, input_messages_key="q", history_messages_key="past")
    chain.invoke({"q": "one"}, on("s"))
    chain.invoke({"q": "two"}, on("s"))
    assert [message.text for message in model.asked[1]] == ["be nice", "one", "answer 1", "two"]


def test_the_names_of_the_package() -> None:
    import langswarm_sessions_langchain as package

    assert sorted(package.__all__) == [
        "LangChainProvider",
        "SessionAgentMiddleware",
        "SessionChatMessageHistory",
        "SessionChatModel",
        "SessionCheckpointSaver",
        "SessionRunnable",
        "from_langchain",
        "messages_to_langchain",
        "to_langchain",
    ]
    assert all(getattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018
    assert pickle.loads(pickle.dumps(package.to_langchain)) is package.to_langchain


async def test_the_live_provider_session_of_a_runnables_session(manager: SessionManager) -> None:
    await SessionRunnable(Scripted(), manager=manager).ainvoke("hi", on("s"))
    session = await manager.get_session("s")
    with pytest.raises(ConfigurationError, match="sessions of provider 'runnable' have no settings"):
        await session.provider_session.update_provider_config({"temperature": 1})
    await session.provider_session.update_provider_config({})
    with pytest.raises(ConfigurationError, match=r"send through SessionRunnable\(bound=\.\.\.\)"):
        await session.provider_session.send_message("hi")
    await session.delete()
