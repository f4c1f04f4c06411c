"""The commands and their options."""

from __future__ import annotations

import os
import sys
import traceback
from errno import errorcode
from pathlib import Path
from typing import Annotated

import typer

from langswarm_sessions.cli.database import DATABASE_VARIABLE, DEFAULT_DATABASE, database_path
from langswarm_sessions.cli.output import open_closed_streams, tell_error, use_unicode
from langswarm_sessions.errors import SessionError
from langswarm_sessions_otel.semconv import DEFAULT_SPAN_FILE
from langswarm_sessions_otel.semconv import ENV_SPAN_FILE as SPAN_FILE_VARIABLE

__all__ = ["app", "run"]

app = typer.Typer(
    name="langswarm-sessions",
    help="Durable conversations with language models: talk, read, and look after their database.",
    epilog="Begin with: langswarm-sessions chat",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
database = typer.Typer(name="db", help="Upgrade, check and copy the database.", no_args_is_help=True)
app.add_typer(database)

Database = Annotated[
    str, typer.Option("--db", metavar="PATH", envvar=DATABASE_VARIABLE, help="The database file.", show_envvar=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
SessionId = Annotated[str, typer.Argument(metavar="SESSION_ID", help="The session's id; `list` shows them.")]


def run() -> int:
    """Run the command line and return its exit code; an error is one line on standard error."""
    open_closed_streams()
    use_unicode()
    debug = "--debug" in sys.argv[1:]
    try:
        app()
    except SessionError as error:
        if debug:
            traceback.print_exc()
        tell_error(str(error))
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last one who can tell the user
        if debug:
            traceback.print_exc()
        # Another library's text may quote what was said; with --debug it stands above, in the traceback.
        name = type(error).__name__
        if isinstance(error, OSError) and error.errno and error.errno in errorcode:
            name += f": {os.strerror(error.errno)}"
        tell_error(f"unexpected {name}", remark="(--debug before the command shows what and where)")
    return 1


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"langswarm-sessions {version('langswarm-sessions')}")
        except PackageNotFoundError:
            print("langswarm-sessions (not installed)")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Take the options that stand before the command; `run` looks at --debug itself."""


@app.command()
def chat(
    session_id: Annotated[
        str | None, typer.Argument(metavar="SESSION_ID", help="Go on with this session, or begin one with this id.")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Who answers.", show_default="mock, which needs no key")] = None,
    model: Annotated[str | None, typer.Option(help="The provider's name of the model.")] = None,
    user: Annotated[str | None, typer.Option(help="Whose conversation it is.", show_default="user")] = None,
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="System instructions from now on.")] = None,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Talk, with answers as they come. Ctrl-C stops an answer and keeps what came; Ctrl-D leaves."""
    from langswarm_sessions.cli.chat import ChatRequest
    from langswarm_sessions.cli.chat import chat as hold_chat

    request = ChatRequest(
        path=database_path(db), session_id=session_id, provider=provider, model=model, user=user, system=system
    )
    raise typer.Exit(hold_chat(request))


@app.command("list")
def list_command(
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    status: Annotated[str | None, typer.Option(help="Only active, archived or deleted ones.")] = None,
    provider: Annotated[str | None, typer.Option(help="Only those on this provider.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 20,
    as_json: AsJson = False,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """List sessions, newest activity first; deleted ones only with --status deleted."""
    from langswarm_sessions.cli.listing import list_sessions

    list_sessions(database_path(db), user=user, status=status, provider=provider, limit=limit, as_json=as_json)


@app.command()
def show(
    session_id: SessionId,
    limit: Annotated[int | None, typer.Option(min=1, help="Only this many of the newest messages.")] = None,
    as_json: AsJson = False,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Show a session with its figures and its transcript."""
    from langswarm_sessions.cli.listing import show_session

    show_session(database_path(db), session_id, limit=limit, as_json=as_json)


@app.command()
def trace(
    session_id: Annotated[
        str | None, typer.Argument(metavar="SESSION_ID", help="The session's id; without it they are listed.")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            "-f",
            metavar="PATH",
            help="A span file; may be given more than once.",
            show_default=f"{SPAN_FILE_VARIABLE}, else {DEFAULT_SPAN_FILE}",
        ),
    ] = None,
    turn: Annotated[int | None, typer.Option(min=1, help="Only the turn of this number.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only this many of the last turns.")] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only what has an error in it, or never ended.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Show turns as they end, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the spans of a session as a tree, over all processes that wrote them; no backend is needed."""
    from langswarm_sessions.cli.trace import TraceRequest, follow_trace, list_traced, show_trace

    request = TraceRequest(
        session_id=session_id, files=tuple(file or ()), turn=turn, last=last, errors=errors, as_json=as_json
    )
    if follow:
        follow_trace(request)
    elif session_id is None:
        list_traced(request)
    else:
        show_trace(request)


@app.command()
def export(
    session_id: SessionId,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to a file.", show_default="standard output"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Write session and transcript as JSON."""
    from langswarm_sessions.cli.listing import export_session

    export_session(database_path(db), session_id, output=output, force=force)


@app.command("import")
def import_command(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A SQLite file, a SQLAlchemy URL, a redis:// URL, or what export wrote."),
    ],
    db: Annotated[
        str,
        typer.Option(
            "--into", "--db", metavar="PATH", envvar=DATABASE_VARIABLE, help="The database file.", show_envvar=True
        ),
    ] = DEFAULT_DATABASE,
    user: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Whose the sessions will be.", show_default="user; of an export, whose it was"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, store nothing.")] = False,
    table: Annotated[
        str | None, typer.Option(help="The table to read, where there are several (Redis: how its keys begin).")
    ] = None,
    session_id_field: Annotated[
        str | None, typer.Option(help="The column that names the conversation.", show_default="session_id")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Put before each conversation's id to make the session's.")] = "",
    provider: Annotated[str | None, typer.Option(help="Who answers from now on.", show_default="whoever did")] = None,
    model: Annotated[str | None, typer.Option(help="The provider's name of the model.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Begin reading where the import before ended.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first message that is refused.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import conversations that LangChain, LangGraph or the OpenAI Agents SDK kept, or an export; nothing twice.

    The source is read and never written. Run it again to go on, or to bring what was said since. Exit code 1 when
    something could not be imported.
    """
    from langswarm_sessions.cli.importing import ImportRequest, import_conversations

    request = ImportRequest(
        source=source,
        path=database_path(db),
        user=user,
        table=table,
        session_id_field=session_id_field,
        prefix=prefix,
        provider=provider,
        model=model,
        dry_run=dry_run,
        resume=resume,
        strict=strict,
        as_json=as_json,
    )
    raise typer.Exit(import_conversations(request))


@app.command()
def doctor(
    offline: Annotated[
        bool, typer.Option("--offline", help="Contact no provider and no receiver of telemetry.")
    ] = False,
    as_json: AsJson = False,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Say what is installed, configured, reachable and writable, and what to do about what is not."""
    from langswarm_sessions.cli.doctor import examine

    raise typer.Exit(examine(database_path(db), offline=offline, as_json=as_json))


@database.command()
def upgrade(db: Database = DEFAULT_DATABASE) -> None:
    """Bring the database to this version's schema; a copy is made before."""
    from langswarm_sessions.cli.db import upgrade as upgrade_database

    upgrade_database(database_path(db))


@database.command()
def check(db: Database = DEFAULT_DATABASE) -> None:
    """Check every page, row and column; exit code 1 when something is wrong."""
    from langswarm_sessions.cli.db import check as check_database

    raise typer.Exit(check_database(database_path(db)))


@database.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="PATH", help="The file to make.")],
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Copy the database to a new file while others go on using it."""
    from langswarm_sessions.cli.db import back_up

    back_up(database_path(db), target)
