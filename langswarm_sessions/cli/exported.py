"""The command `import` given a file that `export` wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from langswarm_sessions.errors import ConfigurationError, ImportFormatError
from langswarm_sessions.importing.exports import Remedies
from langswarm_sessions.importing.face import import_export
from langswarm_sessions.importing.report import ImportReport

if TYPE_CHECKING:
    from langswarm_sessions.blocking import BlockingSessionManager
    from langswarm_sessions.cli.importing import ImportRequest

__all__ = ["file_of_export", "take_export"]

_MOST_BLANKS = 4096
_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}  # as shells write them
_REMEDIES = Remedies(
    taken="Give --prefix to import into a session of another id.",
    answerer="Or say who answers from now on: --provider and --model.",
    address="--provider and --model leave the exported settings out; from Python, import_conversation() takes others.",
)


def file_of_export(source: str) -> Path | None:
    """Return the file a source names, if it holds JSON and so may be an export; None for anything else."""
    if "://" in source:
        return None
    try:
        path = Path(source).expanduser()
        if not path.is_file():
            return None
        with path.open("rb") as file:
            begins = file.read(_MOST_BLANKS)
    except (OSError, ValueError, RuntimeError):
        return None  # whoever opens it next says why
    for mark, encoding in _MARKS.items():
        if begins.startswith(mark):
            begins = begins.removeprefix(mark).decode(encoding, "replace").encode()
    return path if begins.lstrip().startswith((b"{", b"[")) else None


def take_export(manager: BlockingSessionManager, request: ImportRequest, path: Path) -> ImportReport:
    """Make a session of an export; return what was done.

    Raises:
        ConfigurationError: An option makes no sense here, or the provider cannot work.
        ImportFormatError: The file is no export, or something in it is wrong.
        SessionExistsError: Another session has the id.
    """
    if request.table is not None or request.session_id_field is not None:
        raise ConfigurationError("--table and --session-id-field are for databases; an export needs neither.")
    done = manager.bridge.call(
        import_export,
        manager.wrapped,
        _read(path),
        session_prefix=request.prefix,
        user_id=request.user,
        provider=request.provider,
        model=request.model,
        remedies=_REMEDIES,
        dry_run=request.dry_run,
    )
    new = int(done.is_new)
    return ImportReport(
        source=f"export of session {done.session_id.removeprefix(request.prefix)!r} in {path}",
        dry_run=request.dry_run,
        sessions_found=1,
        sessions_imported=new,
        sessions_extended=0,
        sessions_already_there=1 - new,
        sessions_skipped=0,
        messages_read=done.messages,
        messages_stored=done.messages * new,
        messages_already_there=done.messages * (1 - new),
        messages_refused=0,
    )


def _read(path: Path) -> object:
    try:
        data: object = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            problem = "holds more than one JSON value. Import one export at a time."
        else:
            problem = "is not whole JSON. Export the session again."
        raise ImportFormatError(f"{path} {problem}") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}).") from None
    if not isinstance(data, dict):
        raise ImportFormatError(
            f"{path} holds a JSON list, and an export is one JSON object, as `langswarm-sessions export` writes it."
        )
    return cast("object", data)
