"""What must hold after a kill, whoever answers and wherever the talker died."""

from __future__ import annotations

from tests.kills.campaign import Case, Killed

__all__ = ["check", "outcome"]

WORDS = ("one", "two", "three")


def outcome(case: Case, killed: Killed) -> str:
    """Return in a word what became of the killed turn."""
    if _state(case) == "nothing":
        return "never said"
    if _state(case) == "completed":
        return "told again"
    return "rebuilt" if any(turn["rebuilds"] for turn in killed.turns) else "run again"


def check(case: Case, killed: Killed) -> None:
    """Demand that the session went on at once, and that everybody holds everything exactly once."""
    _check_opened(case, killed)
    _check_answers(case, killed)
    _check_transcript(killed)
    _check_provider(case, killed)


def _state(case: Case) -> str:
    """Return what was stored of the turn when its process died."""
    return {"begin commit": "nothing", "finished": "completed"}.get(case.step.place, "pending")


def _check_opened(case: Case, killed: Killed) -> None:
    """The input is stored, or not, as a whole; the next process took the session over without waiting in line."""
    state = _state(case)
    found = [status for text, status in killed.opened if text == "two"]
    assert found == ([] if state == "nothing" else [state])
    first, second = ("two", "three") if case.same_key_first else ("three", "two")
    begun = {"nothing": ("begun", "begun"), "pending": ("took over", "begun"), "completed": ("begun", "begun")}[state]
    expected = {first: begun[0], second: begun[1]}
    if state == "completed":
        expected["two"] = "recorded"
        assert killed.asked <= 1, "an answer that is stored is asked for again"
    assert {text: said["begun"] for text, said in killed.says.items()} == {
        text: [how] for text, how in expected.items()
    }
    if state == "pending" and not case.same_key_first:
        assert ["two", "interrupted"] in killed.says["three"]["stored"]


def _check_answers(case: Case, killed: Killed) -> None:
    for text, said in killed.says.items():
        assert said["answer"].endswith(text)
    if case.same_key_first and killed.views:
        earlier = 0 if case.is_first else 1
        assert killed.says["two"]["answer"] == f"[{earlier + 1}] You said: two"
        assert killed.says["three"]["answer"] == f"[{earlier + 2}] You said: three"


def _check_transcript(killed: Killed) -> None:
    """Every input once, each with the answer its caller was told, all of them completed."""
    stored = _last(killed)["stored"]
    assert {status for _, status in stored} == {"completed"}
    assert {turn["state"] for turn in killed.turns} == {"completed"}
    texts = [text for text, _ in stored]
    inputs, answers = texts[::2], texts[1::2]
    assert len(set(inputs)) == len(inputs) == len(answers) == len(killed.turns)
    assert all(answer.endswith(text) for text, answer in zip(inputs, answers, strict=True))
    told = {text: said["answer"] for text, said in killed.says.items()}
    assert told.items() <= dict(zip(inputs, answers, strict=True)).items()


def _check_provider(case: Case, killed: Killed) -> None:
    """No model was given a message twice, by whoever held it, and the last one was given them all in order."""
    if case.kind.server is None:
        return
    texts = [text for text, _ in _last(killed)["stored"]][::2]
    for view in (*killed.views, *killed.held):
        assert all("".join(view).count(word) <= 1 for word in WORDS), f"given twice: {view}"
    assert killed.views[-1] == texts
    if case.kind.held is not None:
        assert killed.held[-1] == texts


def _last(killed: Killed) -> dict[str, list[list[str]]]:
    *_, last = killed.says.values()
    return last
