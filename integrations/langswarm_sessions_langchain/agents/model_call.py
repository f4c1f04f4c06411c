"""One model call of an agent, as a turn of its session."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from langchain.agents.middleware import ModelRequest, ModelResponse
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, ToolMessage, convert_to_messages
from langchain_core.runnables import ensure_config

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.session import Session
from langswarm_sessions.turns import TurnInput
from langswarm_sessions_langchain.agents.answering import (
    AgentModelProvider,
    CallModel,
    GraphModelProvider,
    split_answer,
)
from langswarm_sessions_langchain.agents.native import NativeModelProvider, keeps_threads
from langswarm_sessions_langchain.agents.order import order_of
from langswarm_sessions_langchain.agents.runs import RUN_KEY, AgentRun, HistoryOwner
from langswarm_sessions_langchain.agents.session_model import (
    SESSION_MODEL_TYPE,
    RecordedAnswer,
    SessionCall,
    SessionSlot,
)
from langswarm_sessions_langchain.agents.stored import add, inputs_of, recorded_result
from langswarm_sessions_langchain.agents.transcript import id_of, mark, turn_key
from langswarm_sessions_langchain.messages import from_langchain
from langswarm_sessions_langchain.provider.profile import model_names
from langswarm_sessions_langchain.runnable.bound import RUNNABLE_PROVIDER
from langswarm_sessions_langchain.runnable.config import grouped
from langswarm_sessions_langchain.runnable.outputs import answer_message
from langswarm_sessions_langchain.tracing import NOTES_RUN, in_current_run

__all__ = ["AgentModelCall"]


class AgentModelCall:
    """One model call of an agent.

    Args:
        manager: Where sessions live.
        run: The run.
        session: Its session.
        request: The agent's request.
        owner: Who owns what the model is given.
    """

    def __init__(
        self,
        manager: SessionManager,
        run: AgentRun,
        session: Session,
        request: ModelRequest[Any],
        *,
        owner: HistoryOwner,
    ) -> None:
        self._manager = manager
        self._run = run
        self._session = session
        self._request = request
        self._owner = owner
        self._state = cast("Sequence[BaseMessage]", request.state["messages"])

    async def answered(self, call: CallModel) -> ModelResponse[Any]:
        """Return the agent's response, once the answer in it is stored."""
        run, order = self._run, order_of(self._manager)
        inputs = await inputs_of(self._session, self._state)
        key = place = turn_key(self._state, inputs, session_id=run.session_id, agent=run.place)
        name = str(cast("Any", self._request.state).get(RUN_KEY))
        if order.is_asked_anew(run.session_id, name, place, step=run.step):
            key, inputs = f"agent-{hashlib.sha256(f'{place}/{run.step}'.encode()).hexdigest()}", []
        by_agent = self._session.provider == RUNNABLE_PROVIDER
        response = await (self._by_agents_model if by_agent else self._by_session)(call, inputs, key)
        order.note_answer(run.session_id, name, place, step=run.step)
        return await self._with_rest_stored(response)

    async def _by_agents_model(self, call: CallModel, inputs: list[BaseMessage], key: str) -> ModelResponse[Any]:
        request, session = self._request, self._session
        _refuse_session_model(request.model, session_id=session.session_id)
        name = next(iter(model_names(request.model)), RUNNABLE_PROVIDER)
        provider = self._provider_kind()(request, call, model=name, session_id=session.session_id)
        told = request.system_message.text if request.system_message is not None else ""
        given = TurnInput(
            messages=tuple(map(from_langchain, inputs)),
            instructions=told if told or session.record.instructions else None,
            idempotency_key=key,
            provider=provider,
            resume_failed=bool(inputs),
        )
        with in_current_run(session.session_id):
            turn = session.run_turn(given)
        message = await turn.result()
        answer = answer_message(message, turn.completed)
        response = provider.response
        if turn.completed is None or response is None:
            response = await call(request.override(model=RecordedAnswer.in_place_of(request.model, answer)))
        earlier, _, rest = split_answer(response.result)
        return replace(response, result=[*earlier, answer, *rest])

    def _provider_kind(self) -> type[AgentModelProvider]:
        if self._owner is HistoryOwner.GRAPH:
            return GraphModelProvider
        return NativeModelProvider if keeps_threads(self._request.model) else AgentModelProvider

    async def _by_session(self, call: CallModel, inputs: list[BaseMessage], key: str) -> ModelResponse[Any]:
        session, request = self._session, self._request
        graph = {id_of(message) for message in self._state}
        beside = convert_to_messages([message for message in request.messages if id_of(message) not in graph])
        slot = SessionSlot(
            call=SessionCall(
                session=session,
                inputs=tuple(map(from_langchain, [*inputs, *beside])),
                key=key,
                bridge=self._manager.bridge,
            ),
            profile={"structured_output": "response_format" in session.engine_provider.profile.config_keys},
            callbacks=[NOTES_RUN],
            metadata=grouped(ensure_config(), session.session_id),
        )
        return await call(request.override(model=slot))

    async def _with_rest_stored(self, response: ModelResponse[Any]) -> ModelResponse[Any]:
        """Store what comes with an answer, such as the result of a structured one, unless it is stored already."""
        earlier, answer, rest = split_answer(response.result)
        for message in (*earlier, answer):
            mark(message, session_id=self._run.session_id)
        new: list[BaseMessage] = []
        for message in rest:
            found = None
            if isinstance(message, ToolMessage):
                found = await recorded_result(self._session, message.tool_call_id, [answer])
            if found is None:
                new.append(message)
                continue
            message.id = found.id
            mark(message, session_id=self._run.session_id)
        await add(self._manager, self._session, new)
        return response


def _refuse_session_model(model: BaseChatModel, *, session_id: str) -> None:
    """Refuse a session as the model of an agent whose conversation this session keeps: its turn would wait for itself.

    Raises:
        ConfigurationError: It is one.
    """
    if getattr(model, "_llm_type", None) == SESSION_MODEL_TYPE:
        raise ConfigurationError(
            "The agent's model is a SessionChatModel, and SessionAgentMiddleware keeps the same conversation. Pass its "
            "provider and model to the middleware, SessionAgentMiddleware(provider=..., model=...), or leave one out.",
            session_id=session_id,
        )
