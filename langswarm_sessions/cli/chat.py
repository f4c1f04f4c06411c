"""The command `chat`: a conversation in the terminal."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from langswarm_sessions.cli.database import command_for, look_up, open_manager, shown
from langswarm_sessions.cli.output import counted, notes, printable, tell, tell_error
from langswarm_sessions.cli.prompt import Prompt, is_text
from langswarm_sessions.cli.transcript import transcript
from langswarm_sessions.errors import ConfigurationError, InvalidInputError, SessionError
from langswarm_sessions.ids import new_id
from langswarm_sessions.messages import MessageKind, Role, TurnState
from langswarm_sessions.providers import canonical_name

if TYPE_CHECKING:
    from langswarm_sessions.blocking import BlockingSession, BlockingSessionManager, BlockingStream

__all__ = ["DEFAULT_PROVIDER", "DEFAULT_USER", "ChatRequest", "chat"]

DEFAULT_PROVIDER = "mock"
DEFAULT_USER = "user"

_MOCK_MODEL = "mock-model"
_RUNNABLE = "runnable"  # sessions of a wrapped Runnable, which the command line has not got
_EXAMPLE_MODEL = "gpt-6.1-terra"
_SHOWN_ON_RESUME = 4
_LEAVING = ("/exit", "/quit")
_HELP = "Ctrl-C stops an answer and keeps what came · Ctrl-D or /exit leaves · /help shows this"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What `chat` was asked for; None is "not said".

    Args:
        path: The database.
        session_id: The session to go on with, or the id of a new one.
        provider: Who answers.
        model: The provider's name of the model.
        user: Whose conversation it is.
        system: System instructions from the next turn on.

    Raises:
        InvalidInputError: An option is empty, or no text.
    """

    path: Path
    session_id: str | None = None
    provider: str | None = None
    model: str | None = None
    user: str | None = None
    system: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what no conversation can be begun with."""
        for option in ("provider", "model", "user", "system"):
            given: str | None = getattr(self, option)
            if given is not None and not is_text(given):
                raise InvalidInputError(f"--{option} is no text in {sys.getfilesystemencoding().upper()}.")
            if given is not None and not given.strip() and option != "system":
                raise InvalidInputError(f"--{option} must not be empty: give a name, or leave it out.")


def chat(request: ChatRequest) -> int:
    """Hold a conversation until the input ends.

    Args:
        request: What was asked for.

    Returns:
        The exit code: 1 when input was piped in and a turn failed.
    """
    with open_manager(request.path) as manager:
        return _Chat(request, manager).run()


class _Chat:
    """One conversation in the terminal. A new session is stored with its first message."""

    def __init__(self, request: ChatRequest, manager: BlockingSessionManager) -> None:
        self._request = request
        self._manager = manager
        self._prompt = Prompt()
        self._session = self._existing()
        self._provider, self._model = self._answering()
        self._check()

    def run(self) -> int:
        """Read, send and show until the input ends; return the exit code."""
        if self._prompt.interactive:
            self._greet()
        while True:
            try:
                line = self._prompt.read()
                if line is None or line in _LEAVING:
                    break
                if line == "/help":
                    tell(_HELP)
                elif line:
                    self._say(line)
            except SessionError as error:
                tell_error(str(error))
                if not self._prompt.interactive:
                    return 1
        self._part()
        return 0

    # Opening

    def _existing(self) -> BlockingSession | None:
        request = self._request
        if request.session_id is None:
            return None
        session = look_up(self._manager, request.path, request.session_id)
        if session is None:
            return None
        for option, given, stored in (
            ("--provider", request.provider and canonical_name(request.provider), session.provider),
            ("--model", request.model, session.model),
            ("--user", request.user, session.user_id),
        ):
            if given is not None and given != stored:
                raise InvalidInputError(
                    f"{option}: session {session.session_id!r} was begun with {stored!r}. Leave {option} out to go on "
                    "with it, or begin another session."
                )
        return session

    def _answering(self) -> tuple[str, str]:
        """Return who answers: provider and model."""
        if self._session is not None:
            return self._session.provider, self._session.model
        provider, model = self._request.provider or DEFAULT_PROVIDER, self._request.model
        if model is None and provider != DEFAULT_PROVIDER:
            raise ConfigurationError(
                f"--model: say which model of {provider} is to answer, for example --model {_EXAMPLE_MODEL}."
            )
        return provider, model or _MOCK_MODEL

    def _check(self) -> None:
        """Refuse what cannot work before anything is asked."""
        from langswarm_sessions.providers import ProviderSessionFactory

        if self._provider == _RUNNABLE:
            raise ConfigurationError(
                "Sessions of provider 'runnable' are answered by the program that wraps the Runnable, not from here. "
                "`langswarm-sessions show` reads them."
            )
        ProviderSessionFactory.connect(self._provider).check(self._model, {})

    def _opened(self) -> BlockingSession:
        if self._session is None:
            self._session = self._manager.create_session(
                self._request.user or DEFAULT_USER,
                self._provider,
                self._model,
                session_id=self._request.session_id or new_id(),
            )
        return self._session

    # One turn

    def _say(self, line: str) -> None:
        session = self._opened()
        stream = session.send_message_stream(line, instructions=self._request.system)
        try:
            self._show(stream)
        except KeyboardInterrupt:
            stream.close()
            self._tell_interrupted(session)
        finally:
            stream.close()

    def _show(self, stream: BlockingStream) -> None:
        interactive = self._prompt.interactive
        if interactive:
            notes().print(Text(f"{self._provider} › ", style="bold green"), end="")
            notes().file.flush()
        try:
            for chunk in stream:
                sys.stdout.write(printable(chunk) if interactive else chunk)
                sys.stdout.flush()
        finally:
            sys.stdout.write("\n")
            sys.stdout.flush()
        for call in stream.message.tool_calls:
            tell(f"asks for the tool {call.name}; answer it with session.send_tool_results()", style="yellow")
        if interactive:
            notes().print()

    def _tell_interrupted(self, session: BlockingSession) -> None:
        last = session.get_messages(limit=1)
        if not last or last[0].status is not TurnState.INTERRUPTED:
            told = "Interrupted before anything was sent."
        elif last[0].role is Role.ASSISTANT:
            words = counted(len(last[0].content.split()), "word")
            told = f"Interrupted: what is above is kept ({words})."
        else:
            told = "Interrupted before an answer came; your message is kept."
        tell(f"{told}\n", style="yellow")

    # Beginning and end

    def _greet(self) -> None:
        session, request = self._session, self._request
        who = f" · {printable(self._provider)} / {printable(self._model)} · {shown(request.path)}"
        notes().print(Text.assemble(("langswarm-sessions", "bold"), (who, "dim")), soft_wrap=True)
        if session is None:
            if request.session_id is not None:
                tell(f"There is no session {request.session_id!r} yet: your first message begins it.", style="yellow")
            if self._provider == DEFAULT_PROVIDER:
                tell(_other_provider_hint())
        tell(_HELP + "\n")
        if session is not None:
            self._recall(session)

    def _recall(self, session: BlockingSession) -> None:
        said = [message for message in session.get_messages(limit=20) if message.kind is MessageKind.SAID]
        recent = said[-_SHOWN_ON_RESUME:]
        earlier = session.message_count - len(recent)
        if earlier > 0:
            command = command_for(self._request.path, "show", session.session_id)
            tell(f"… {counted(earlier, 'earlier message')}: {command}\n")
        notes().print(transcript(recent))

    def _part(self) -> None:
        if self._session is None:
            if self._prompt.interactive:
                tell("Nothing was said, nothing is stored.")
            return
        command = command_for(self._request.path, "chat", self._session.session_id)
        notes().print(Text.assemble(("Go on with: ", "dim"), (command, "bold")), soft_wrap=True)


def _other_provider_hint() -> str:
    command = f"--provider openai --model {_EXAMPLE_MODEL}"
    if os.environ.get("OPENAI_API_KEY"):
        return f"The mock provider echoes. OPENAI_API_KEY is set: for a real model add {command}"
    return f"The mock provider echoes. For a real model set OPENAI_API_KEY and add {command}"
