"""The command `import` given a file that `export` wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.errors import ConfigurationError, ImportFormatError, SessionExistsError
from langswarm_sessions.importing.exports import Overrides, read_export
from langswarm_sessions.importing.face import rehearse_import
from langswarm_sessions.importing.report import ImportReport

if TYPE_CHECKING:
    from langswarm_sessions.blocking import BlockingSessionManager
    from langswarm_sessions.cli.importing import ImportRequest

__all__ = ["file_of_export", "take_export"]

_MOST_BLANKS = 4096
_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}  # as shells write them


def file_of_export(source: str) -> Path | None:
    """Return the file a source names, if it holds a JSON object and so may be an export; None for anything else."""
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
    return path if begins.lstrip().startswith(b"{") else None


def take_export(manager: BlockingSessionManager, request: ImportRequest, path: Path) -> ImportReport:
    """Make a session of an export; return what was done.

    Raises:
        ConfigurationError: An option makes no sense here, or the provider cannot work.
        ImportFormatError: The file is no export, or something in it is wrong.
        SessionExistsError: Another session has the id.
    """
    if request.table is not None or request.session_id_field is not None:
        raise ConfigurationError("--table and --session-id-field are for databases; an export needs neither.")
    data = cast("dict[str, Any]", _read(path))
    was = read_export(data, Overrides(provider=request.provider, model=request.model)).record.session_id
    options: dict[str, Any] = {
        "session_id": request.prefix + was,
        "user_id": request.user,
        "provider": request.provider,
        "model": request.model,
    }
    try:
        messages, is_new = manager.bridge.call(rehearse_import, manager.wrapped, data, **options)
        if not request.dry_run:
            manager.import_conversation(data, **options)
    except SessionExistsError as error:
        error.args = (f"{error} Here, --prefix gives it another id.",)
        raise
    new = int(is_new)
    return ImportReport(
        source=f"export of session {was!r} in {path}",
        dry_run=request.dry_run,
        sessions_found=1,
        sessions_imported=new,
        sessions_extended=0,
        sessions_already_there=1 - new,
        sessions_skipped=0,
        messages_read=messages,
        messages_stored=messages * new,
        messages_already_there=messages * (1 - new),
        messages_refused=0,
    )


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ImportFormatError(f"{path} is not whole JSON. Export the session again.") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}).") from None
