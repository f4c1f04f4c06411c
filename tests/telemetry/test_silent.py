"""What nobody hears costs nothing and leaves nothing: every method of every scope has a silent twin."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from langswarm_sessions_otel import Telemetry, silent
from langswarm_sessions_otel.scopes.lease import LeaseWait
from langswarm_sessions_otel.scopes.scope import SpanScope

# What the spans of a turn ask of it. Nobody asks a silent one: its steps are silent as well.
_FOR_ITS_STEPS = {"child_context"}


def silent_classes() -> list[type]:
    members = [member for member in vars(silent).values() if inspect.isclass(member)]
    return [kind for kind in members if kind.__module__ == silent.__name__ and kind.__name__ != "_Silent"]


def loud_twin(kind: type) -> type:
    [twin] = [base for base in kind.__bases__ if base.__module__ != silent.__name__]
    return twin


def subclasses(kind: type[SpanScope]) -> Iterator[type[SpanScope]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


@pytest.mark.parametrize("kind", silent_classes(), ids=lambda kind: kind.__name__)
def test_every_method_is_silent(kind: type) -> None:
    methods = {
        name
        for name in dir(loud_twin(kind))
        if inspect.isfunction(inspect.getattr_static(loud_twin(kind), name))
        and (not name.startswith("_") or name in ("__enter__", "__exit__"))
    }
    silenced = {name for base in kind.__mro__ if base.__module__ == silent.__name__ for name in vars(base)}
    assert methods - silenced - _FOR_ITS_STEPS == set()


@pytest.mark.parametrize("kind", silent_classes(), ids=lambda kind: kind.__name__)
def test_a_silent_method_takes_what_the_other_takes(kind: type) -> None:
    for name, method in vars(kind).items():
        if not inspect.isfunction(method) or name.startswith("_"):
            continue
        heard = inspect.signature(getattr(loud_twin(kind), name)).parameters.values()
        taken = inspect.signature(method).parameters.values()
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
            assert {parameter.name for parameter in heard} == {parameter.name for parameter in taken}
        positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
        assert [each.name for each in heard if each.kind is positional] == [
            each.name for each in taken if each.kind is positional
        ]


def test_every_scope_has_a_silent_twin() -> None:
    twins = {loud_twin(kind) for kind in silent_classes()}
    scopes = {kind for kind in subclasses(SpanScope) if kind.__module__.startswith("langswarm_sessions_otel")}
    made = {kind for kind in scopes if not kind.__subclasses__() and kind.__module__ != silent.__name__}
    # A call that others make is silent in itself.
    assert {kind.__name__ for kind in made if kind not in twins} <= {"ForeignChatScope"}
    assert LeaseWait in twins


def test_nothing_is_left_on_what_every_turn_shares() -> None:
    telemetry = Telemetry(enabled=False)

    def state() -> dict[str, object]:
        return {
            f"{kind.__name__}.{name}": repr(getattr(scope, name, None))
            for scope in vars(silent).values()
            if isinstance(scope, SpanScope)
            for kind in type(scope).__mro__
            for name in getattr(kind, "__slots__", ())
        }

    before = state()
    with telemetry.turn(
        session_id="s", agent_name="a", operation="run", mode="native", provider="mock", model="m", stream=True
    ) as turn:
        turn.began(turn_index=1, previous="nonsense", mode="client")
        with turn.chat(provider="mock", model="m", stream=True) as chat:
            chat.chunk()
            chat.finished(input_tokens=1)
        with turn.tool(name="clock", call_id="call_1") as tool, turn.summary() as summary:
            tool.finished(error_type="UnknownTool")
            summary.written(messages=1, tokens=1)
        with turn.rebuild(reason="not_found", provider="mock") as rebuild:
            rebuild.last_good_turn("nonsense")
            rebuild.replayed(messages=1, tokens=1)
        with pytest.raises(ValueError, match="goes on"), turn.storage("load", backend="memory"):
            raise ValueError("goes on")
        turn.first_chunk()
        turn.finished(input_tokens=1, messages_avoided=3)
        turn.interrupted("idle")
        turn.failed(ValueError())
    with telemetry.lifecycle("handoff", session_id="s") as handoff:
        handoff.known(mode="native", provider="mock")
        handoff.handing_over(agent_name="a", source=("a", "b"), target=("c", "d"))
        handoff.handed_over(source_mode="native", target_mode="client", messages=1, last_turn=None)
        handoff.unchanged()
        assert handoff.kept_with("00-what-it-was") == "00-what-it-was"
    with telemetry.job("purge") as job, telemetry.storage("append", backend="memory", session_id="s") as op:
        job.done(sessions=1)
        job.purged(1)
        op.done(count=1)
    assert state() == before
