"""`chat` in a terminal: somebody types, interrupts, and comes back."""

from __future__ import annotations

from langswarm_sessions import BlockingSessionManager
from tests.cli.terminal import CTRL_C, CTRL_D, Terminal

LONG = "one two three four five six seven eight nine ten eleven twelve"


def test_ctrl_c_keeps_the_partial_answer_and_goes_on(library: BlockingSessionManager) -> None:
    slow = {"pace": 0.25, "response_pattern": LONG}
    session = library.create_session("user", "mock", "mock-model", session_id="slow", provider_config=slow)
    with Terminal(["chat", "slow"]) as terminal:
        terminal.see("you › ")
        terminal.enter("count, please")
        terminal.see("two ")
        terminal.press(CTRL_C)
        told = terminal.see("is kept (") + terminal.see(").")
        terminal.see("you › ")
        terminal.enter("once more")
        terminal.see("twelve")
        terminal.see("you › ")
        terminal.press(CTRL_D)
        code, rest = terminal.end()
    assert code == 0
    assert "Go on with: langswarm-sessions chat slow" in rest
    asked, partial, again, whole = session.get_messages()
    assert (asked.content, again.content) == ("count, please", "once more")
    assert partial.status == "interrupted"
    assert partial.content.startswith("one two")
    assert LONG.startswith(partial.content.strip())
    assert len(partial.content.split()) < 12
    assert f"({len(partial.content.split())} words)." in told
    assert (whole.status, whole.content) == ("completed", LONG)


def test_ctrl_c_before_the_first_word_keeps_the_question(library: BlockingSessionManager) -> None:
    session = library.create_session("user", "mock", "mock-model", session_id="mute", provider_config={"pace": 600})
    with Terminal(["chat", "mute"]) as terminal:
        terminal.see("you › ")
        terminal.enter("anybody there?")
        terminal.see("mock › ")
        while not session.get_messages():
            pass  # until the turn has begun
        terminal.press(CTRL_C)
        terminal.see("Interrupted before an answer came; your message is kept.")
        terminal.see("you › ")
        terminal.enter("/exit")
        assert terminal.end()[0] == 0
    assert [(message.content, message.status.value) for message in session.get_messages(role="user")] == [
        ("anybody there?", "interrupted")
    ]


def test_ctrl_c_at_the_prompt_does_not_leave() -> None:
    with Terminal(["chat"]) as terminal:
        terminal.see("you › ")
        terminal.interrupt_prompt("Ctrl-D or /exit leaves.")
        terminal.see("you › ")
        terminal.enter("/help")
        terminal.see("/help shows this")
        terminal.see("you › ")
        terminal.press(CTRL_D)
        code, rest = terminal.end()
    assert code == 0
    assert "nothing is stored" in rest


def test_a_session_is_resumed_with_what_was_said_last(library: BlockingSessionManager) -> None:
    session = library.create_session("user", "mock", "mock-model", session_id="talk")
    for number in range(4):
        session.send_message(f"line {number}")
    with Terminal(["chat", "talk"]) as terminal:
        shown = terminal.see("you › ")
        assert "4 earlier messages: langswarm-sessions show talk" in shown
        assert "line 1" not in shown
        assert "Mock response to: line 3" in shown
        terminal.enter("line 4")
        terminal.see("Mock response to: line 4")
        terminal.see("you › ")
        terminal.enter("/quit")
        assert terminal.end()[0] == 0
    assert session.get_messages()[-1].content == "Mock response to: line 4"


def test_an_error_does_not_end_the_conversation(library: BlockingSessionManager) -> None:
    session = library.create_session("user", "mock", "mock-model", session_id="talk")
    session.archive()
    with Terminal(["chat", "talk"]) as terminal:
        terminal.see("you › ")
        terminal.enter("hello")
        terminal.see("error: ")
        terminal.see("you › ")
        session.restore()
        terminal.enter("hello again")
        terminal.see("Mock response to: hello again")
        terminal.see("you › ")
        terminal.press(CTRL_D)
        assert terminal.end()[0] == 0
    assert [message.content for message in session.get_messages(role="user")] == ["hello again"]


def test_a_deleted_session_is_refused_before_the_first_prompt(library: BlockingSessionManager) -> None:
    library.create_session("user", "mock", "mock-model", session_id="gone").delete()
    with Terminal(["chat", "gone"]) as terminal:
        code, shown = terminal.end()
    assert code == 1
    assert "Session 'gone' was deleted" in shown
    assert "you ›" not in shown


def test_a_message_cannot_steer_the_terminal(library: BlockingSessionManager) -> None:
    pattern = "\x1b]0;taken over\x07\x1b[2Jgone"
    library.create_session(
        "user", "mock", "mock-model", session_id="evil", provider_config={"response_pattern": pattern}
    )
    with Terminal(["chat", "evil"]) as terminal:
        terminal.see("you › ")
        terminal.enter("hello")
        answer = terminal.see("gone")
        terminal.see("you › ")
        terminal.press(CTRL_D)
        assert terminal.end()[0] == 0
    assert "\x1b]0" not in answer
    assert "\x1b[2J" not in answer
