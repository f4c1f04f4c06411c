"""The commands that read: list, show, export."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text
from typer import BadParameter

from langswarm_sessions.cli.database import existing, file_path, find_session, open_manager, shown
from langswarm_sessions.cli.output import ago, clock_time, counted, printable, results, tell, write_json
from langswarm_sessions.cli.transcript import transcript
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.records import plain_amount

if TYPE_CHECKING:
    from langswarm_sessions.blocking import BlockingSession
    from langswarm_sessions.records import SessionMetrics

__all__ = ["export_session", "list_sessions", "show_session"]

_STATUS_STYLES = {"active": "green", "archived": "yellow", "deleted": "red"}


def list_sessions(
    path: Path, *, user: str | None, status: str | None, provider: str | None, limit: int, as_json: bool
) -> None:
    """List sessions, newest activity first.

    Args:
        path: The database.
        user: Only this user's.
        status: Only in this status.
        provider: Only on this provider.
        limit: At most this many.
        as_json: Write JSON.

    Raises:
        BadParameter: There is no such status.
    """
    if status is not None and status not in _STATUS_STYLES:
        raise BadParameter(f"It is one of {', '.join(_STATUS_STYLES)}.", param_hint="'--status'")
    with open_manager(existing(path)) as manager:
        page = manager.search_sessions(user_id=user, status=status, provider=provider, limit=limit)
        if as_json:
            write_json([_facts(session) for session in page])
            return
        if not page:
            tell(f"No sessions in {shown(path)} that fit. `langswarm-sessions chat` begins one.")
            return
        results().print(_table(page))
        if page.next_cursor is not None:
            tell(f"The newest {limit} are shown; --limit shows more.")


def show_session(path: Path, session_id: str, *, limit: int | None, as_json: bool) -> None:
    """Show a session: what it is, its figures, its transcript.

    Args:
        path: The database.
        session_id: Which one.
        limit: Only this many of the newest messages.
        as_json: Write JSON.
    """
    with open_manager(existing(path)) as manager:
        session = find_session(manager, path, session_id)
        metrics = session.get_metrics()
        if as_json:
            exported = session.export_conversation()
            if limit is not None:
                exported["messages"] = exported["messages"][-limit:]
            write_json({"session": _facts(session), "metrics": _figures(metrics), "messages": exported["messages"]})
            return
        messages = session.get_messages(limit=limit)
        results().print(_card(session, metrics))
        results().print()
        if len(messages) < session.message_count:
            hidden = counted(session.message_count - len(messages), "earlier message")
            results().print(Text(f"… {hidden}\n", style="dim"))
        results().print(transcript(messages) if messages else Text("Nothing was said yet.", style="dim"))


def export_session(path: Path, session_id: str, *, output: Path | None, force: bool) -> None:
    """Write session and transcript as JSON: what `session.export_conversation()` returns.

    Args:
        path: The database.
        session_id: Which one.
        output: A file; None is standard output.
        force: Replace the file if there is one.

    Raises:
        ConfigurationError: The file is there already, or cannot be written.
    """
    target = None if output is None else file_path(output, field="--output")
    if target is not None and target.exists() and not force:
        raise ConfigurationError(f"--output: {output} exists already. Name another file, or add --force to replace it.")
    with open_manager(existing(path)) as manager:
        data = find_session(manager, path, session_id).export_conversation()
    if target is None:
        write_json(data)
        return
    _write_whole(target, json.dumps(data, ensure_ascii=False, indent=2) + "\n")
    tell(f"{counted(len(data['messages']), 'message')} written to {shown(target)}")


def _write_whole(target: Path, text: str) -> None:
    """Write a file so that it is either the whole text or not there."""
    unfinished = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(target)
    except OSError as error:
        raise ConfigurationError(
            f"--output: {shown(target)} cannot be written ({error.strerror}). Name another file."
        ) from None
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _facts(session: BlockingSession) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "user_id": session.user_id,
        "provider": session.provider,
        "model": session.model,
        "status": session.status.value,
        "name": session.config.name,
        "tags": list(session.config.tags),
        "message_count": session.message_count,
        "created_at": session.created_at.isoformat(),
        "last_activity": session.last_activity.isoformat(),
    }


def _figures(metrics: SessionMetrics) -> dict[str, Any]:
    return {
        "total_messages": metrics.total_messages,
        "user_messages": metrics.user_messages,
        "assistant_messages": metrics.assistant_messages,
        "avg_response_time_ms": metrics.avg_response_time_ms,
        "total_tokens": metrics.total_tokens,
        "session_duration_seconds": metrics.session_duration.total_seconds(),
        "retries": metrics.retries,
        "rebuilds": metrics.rebuilds,
        "total_cost": None if metrics.total_cost is None else plain_amount(metrics.total_cost),
        "unpriced_turns": metrics.unpriced_turns,
    }


def _table(sessions: list[BlockingSession]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("session", overflow="fold", min_width=8)
    named = any(session.config.name for session in sessions)
    if named:
        table.add_column("name", max_width=30, overflow="ellipsis", no_wrap=True)
    table.add_column("user", max_width=20, overflow="ellipsis", no_wrap=True)
    table.add_column("provider / model", max_width=30, overflow="ellipsis", no_wrap=True)
    table.add_column("messages", justify="right")
    table.add_column("last activity", no_wrap=True)
    table.add_column("status")
    for session in sessions:
        cells = [Text(printable(session.session_id), style="cyan")]
        if named:
            cells.append(Text(printable(session.config.name or "")))
        cells += [
            Text(printable(session.user_id)),
            Text(printable(f"{session.provider} / {session.model}")),
            Text(f"{session.message_count:,}"),
            Text(ago(session.last_activity)),
            Text(session.status.value, style=_STATUS_STYLES[session.status.value]),
        ]
        table.add_row(*cells)
    return table


def _card(session: BlockingSession, metrics: SessionMetrics) -> Table:
    card = Table.grid(padding=(0, 2))
    card.add_column(style="dim")
    card.add_column(overflow="fold")
    title = f"  ({session.config.name})" if session.config.name else ""
    rows = {
        "session": Text.assemble((printable(session.session_id), "bold cyan"), printable(title)),
        "user": Text(printable(session.user_id)),
        "provider": Text(printable(f"{session.provider} / {session.model}")),
        "status": Text(session.status.value, style=_STATUS_STYLES[session.status.value]),
        "created": Text(clock_time(session.created_at)),
        "last said": Text(f"{clock_time(session.last_activity)} ({ago(session.last_activity)})"),
        "messages": Text(
            f"{metrics.total_messages:,} ({metrics.user_messages:,} from the user, "
            f"{metrics.assistant_messages:,} answers)"
        ),
        "figures": Text(
            f"{metrics.total_tokens:,} tokens · {metrics.avg_response_time_ms:,.0f} ms per answer · "
            f"{counted(metrics.retries, 'retry').replace('retrys', 'retries')} · {counted(metrics.rebuilds, 'rebuild')}"
        ),
    }
    if metrics.total_cost is not None:
        rows["cost"] = Text(_cost(metrics.total_cost, unpriced=metrics.unpriced_turns))
    if session.config.tags:
        rows["tags"] = Text(printable(", ".join(session.config.tags)))
    for name, value in rows.items():
        card.add_row(name, value)
    return card


def _cost(total: Decimal, *, unpriced: int) -> str:
    """Return a sum in dollars, to a hundredth of a cent, and how many turns are not in it."""
    shown = f"${total:,.4f}" if total >= Decimal("0.0001") or not total else f"${plain_amount(total)}"
    return f"{shown} · {counted(unpriced, 'turn')} without a price" if unpriced else shown
