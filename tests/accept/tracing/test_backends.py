"""What real tracing backends show of a mixed load, as their own APIs tell it, beside what the load really did.

The load meets OpenAI's and Anthropic's own SDKs, loopback servers with their wire formats, two processes, and a user's
hook that fails. Message content is captured; a meter at the servers' sockets says which token counts were really told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.accept.tracing.account import Account, TurnAccount
from tests.accept.tracing.loads import Backends, Load
from tests.accept.tracing.shown import Shown, ShownTurn

pytestmark = pytest.mark.accept

TRANSITIONS = {"create", "archive", "restore", "delete", "clear", "handoff"}


def turns(shown: Shown, account: Account) -> Iterator[tuple[str, ShownTurn, TurnAccount]]:
    """Yield each turn as it is shown and as it was; there must be as many of both."""
    for session_id, session in account.spoken.items():
        for number, (one, other) in enumerate(zip(shown.sessions[session_id].turns, session.turns, strict=True), 1):
            yield f"{session_id} {number}", one, other


def test_there_are_the_sessions_in_which_something_was_said_and_no_others(shown: Shown, account: Account) -> None:
    assert sorted(shown.sessions) == sorted(account.spoken)
    assert set(account.sessions) > set(account.spoken), "one session was made and never spoken in"


def test_as_many_sends_as_turns(shown: Shown, account: Account) -> None:
    sends = {name: len(session.turns) for name, session in account.spoken.items()}
    assert {name: session.counted for name, session in shown.sessions.items()} == sends
    assert {name: len(session.turns) for name, session in shown.sessions.items()} == sends
    assert sum(sends.values()) > 30


def test_a_turn_has_its_input_and_its_answer(shown: Shown, account: Account) -> None:
    said = {
        name: (_results(one.said) if other.answers_tools else one.said, one.answered)
        for name, one, other in turns(shown, account)
    }
    assert said == {name: (other.said, other.answered) for name, _, other in turns(shown, account)}


def _results(said: str | None) -> str:
    (message,) = json.loads(said or "")
    return "\n".join(part["response"] for part in message["parts"])


def test_tokens_are_those_that_the_providers_told(shown: Shown, account: Account) -> None:
    counted = {name: (one.input_tokens, one.output_tokens) for name, one, _ in turns(shown, account)}
    assert counted == {name: (other.input_tokens, other.output_tokens) for name, _, other in turns(shown, account)}


def test_tokens_are_those_of_the_sessions_own_metrics(shown: Shown, account: Account) -> None:
    metered = {
        name: session.metered_tokens for name, session in account.spoken.items() if session.metered_tokens is not None
    }
    assert len(metered) > 8
    told = {
        name: sum(turn.input_tokens + turn.output_tokens for turn in shown.sessions[name].turns) for name in metered
    }
    assert told == metered


def test_exactly_the_turns_that_failed_are_marked(shown: Shown, account: Account) -> None:
    marked = {name for name, one, _ in turns(shown, account) if one.root.failed}
    assert marked == {name for name, _, other in turns(shown, account) if other.failure is not None}
    assert len(marked) == 3


def test_what_failed_within_a_good_turn_is_marked_there(shown: Shown, account: Account) -> None:
    good = [(name, one, other) for name, one, other in turns(shown, account) if other.failure is None]
    marked = {name: sorted(_short(span.name) for span in one.spans if span.failed) for name, one, _ in good}
    assert marked == {name: sorted(other.mended) for name, _, other in good}


def _short(name: str) -> str:
    return "langswarm.hook" if name.startswith("langswarm.hook") else name


def test_kinds_are_known(shown: Shown, account: Account) -> None:
    assert {one.root.kind for _, one, _ in turns(shown, account)} == {"agent"}
    calls = {name: (len(one.names("llm")), sorted(one.names("tool"))) for name, one, _ in turns(shown, account)}
    assert calls == {
        name: (other.chats, sorted(f"execute_tool {tool}" for tool in other.tools))
        for name, _, other in turns(shown, account)
    }
    assert {span.name.partition(" ")[0] for _, one, _ in turns(shown, account) for span in one.spans if span.kind} == {
        "chat",
        "execute_tool",
    }


def test_transitions_stand_apart(shown: Shown, account: Account) -> None:
    seen = {
        name.removeprefix("langswarm.session.")
        for name in shown.apart.values()
        if name.startswith("langswarm.session.")
    }
    assert seen >= TRANSITIONS
    assert "invoke_agent support desk" not in shown.apart.values()


def test_phoenix_shows_first_input_last_output_and_tokens_of_a_session(
    all_shown: dict[str, Shown], loads: dict[str, Load]
) -> None:
    for way in ("phoenix over http", "phoenix over grpc"):
        for name, session in loads[way].account.spoken.items():
            found = all_shown[way].sessions[name]
            assert (found.first_input, found.last_output) == (session.turns[0].said, session.turns[-1].answered)
            assert found.tokens == session.tokens


def test_phoenix_says_the_same_over_rest(backends: Backends, loads: dict[str, Load]) -> None:
    load = loads["phoenix over http"]
    told = backends.phoenix.told_over_rest(load.name)
    assert told == {name: len(session.turns) for name, session in load.account.spoken.items()}


def test_each_turn_links_to_the_one_before_in_another_process_too(
    all_shown: dict[str, Shown], loads: dict[str, Load]
) -> None:
    shown, account = all_shown["mlflow"], loads["mlflow"].account
    assert len(account.spoken["native"].turns) == 4, "the fourth is another process's"
    for session_id, session in account.spoken.items():
        of_session = shown.sessions[session_id].turns
        assert [turn.links[:1] for turn in of_session] == [(), *((turn.trace_id,) for turn in of_session[:-1])]
        to_handoffs = [shown.apart[link] for turn in of_session for link in turn.links[1:]]
        assert to_handoffs == ["langswarm.session.handoff"] * session.transitions.count("handoff")


@pytest.mark.parametrize("backend", ["phoenix", "mlflow"])
def test_transitions_that_are_grouped_would_be_seen_as_turns(backend: str, backends: Backends, tmp_path: Path) -> None:
    load = Load(
        backend=getattr(backends, backend), protocol="http/protobuf", name="grouped", folder=tmp_path, suffix="-grouped"
    )
    load.play("--only", "kept", LANGSWARM_SESSIONS_LIFECYCLE_GROUPING="always")
    (session,) = load.shown().sessions.values()
    assert session.counted > len(load.account.session("kept-grouped").turns)
