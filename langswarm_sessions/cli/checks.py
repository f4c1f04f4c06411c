"""What `doctor` looks at: packages, providers, the database."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from langswarm_sessions.cli.database import shown
from langswarm_sessions.cli.inspection import inspect_database
from langswarm_sessions.cli.output import counted, size
from langswarm_sessions.cli.reach import Reached, host_of, reach
from langswarm_sessions.providers.openai.profile import DEFAULT_BASE_URL

__all__ = ["Check", "State", "database_checks", "installed", "package_checks", "provider_checks"]

_DISTRIBUTION = "langswarm-sessions"
_CORE = (
    "alembic",
    "anyio",
    "docstring-parser",
    "genai-prices",
    "langchain-core",
    "limits",
    "opentelemetry-api",
    "psutil",
    "pybreaker",
    "pydantic",
    "sqlalchemy",
    "tenacity",
    "uuid-utils",
)
_EXTRAS = {
    "openai": ("openai",),
    "otel": ("opentelemetry-sdk", "opentelemetry-exporter-otlp"),
    "cli": ("typer", "rich"),
}
_REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?(?P<range>[^;]*)(?P<marker>;.*)?$")


class State(StrEnum):
    """How a check ended; only `BROKEN` makes the exit code 1."""

    OK = "ok"
    ABSENT = "absent"
    NOTICE = "notice"
    BROKEN = "broken"


_REACHED = {
    Reached.YES: (State.OK, "answers", None),
    Reached.REFUSED: (State.BROKEN, "refuses the key", "Check OPENAI_API_KEY (and OPENAI_BASE_URL)."),
    Reached.ODD: (State.NOTICE, "answers, but lists no models", "Check OPENAI_BASE_URL; it mostly ends in /v1."),
    Reached.NO: (State.BROKEN, "cannot be reached", "Check the network, proxies and OPENAI_BASE_URL."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Args:
        section: Which part of the report it belongs to.
        name: What was looked at.
        state: How it is.
        found: What was found; never a secret.
        remedy: What to do about it, where something is to be done.
    """

    section: str
    name: str
    state: State
    found: str
    remedy: str | None = None


def package_checks() -> Iterator[Check]:
    """Look at Python, this package, what it needs, and its extras."""
    section = "packages"
    yield Check(section=section, name="python", state=State.OK, found=f"{platform.python_version()} ({sys.executable})")
    own = installed(_DISTRIBUTION)
    state = State.OK if own else State.NOTICE
    yield Check(section=section, name=_DISTRIBUTION, state=state, found=own or "used without being installed")
    for name in _needed():
        yield _core_check(section, name)
    for extra, names in _EXTRAS.items():
        versions = {name: installed(name) for name in names}
        missing = [name for name, found in versions.items() if found is None]
        yield Check(
            section=section,
            name=f"extra {extra}",
            state=State.ABSENT if missing else State.OK,
            found="not installed" if missing else ", ".join(f"{name} {found}" for name, found in versions.items()),
            remedy=f"pip install '{_DISTRIBUTION}[{extra}]'" if missing else None,
        )


def provider_checks(*, offline: bool) -> Iterator[Check]:
    """Look at who could answer.

    Args:
        offline: Contact nobody.
    """
    section = "providers"
    yield Check(section=section, name="mock", state=State.OK, found="always there, needs no key")
    package, key = installed("openai") is not None, bool(os.environ.get("OPENAI_API_KEY", "").strip())
    address = os.environ.get("OPENAI_BASE_URL", "").strip() or DEFAULT_BASE_URL
    found = f"package {'installed' if package else 'missing'} · key {'present' if key else 'not set'}"
    if not package:
        remedy = f"pip install '{_DISTRIBUTION}[openai]'"
        yield Check(section=section, name="openai", state=State.ABSENT, found=found, remedy=remedy)
    elif not key:
        remedy = "Set OPENAI_API_KEY to use it."
        yield Check(section=section, name="openai", state=State.ABSENT, found=found, remedy=remedy)
    elif (host := host_of(address)) is None:
        remedy = f"Set it to one such as {DEFAULT_BASE_URL}, or leave it out."
        found = f"{found} · OPENAI_BASE_URL is no address"
        yield Check(section=section, name="openai", state=State.BROKEN, found=found, remedy=remedy)
    elif offline:
        yield Check(section=section, name="openai", state=State.NOTICE, found=f"{found} · not contacted")
    else:
        state, answer, what_to_do = _REACHED[reach(address, key=os.environ["OPENAI_API_KEY"].strip())]
        yield Check(section=section, name="openai", state=state, found=f"{found} · {host} {answer}", remedy=what_to_do)


def database_checks(path: Path) -> Iterator[Check]:
    """Look at the database: path, schema, integrity, writing.

    Args:
        path: The database.
    """
    section = "database"
    report = inspect_database(path, thorough=False)
    if not report.exists:
        state = State.OK if report.writable else State.BROKEN
        found = f"{shown(path)} · not there yet, made on first use" if report.writable else shown(path)
        yield Check(section=section, name="file", state=state, found=found)
    else:
        found = f"{shown(path)} · {size(report.bytes)}"
        if not report.problems:
            found += f" · {counted(report.sessions, 'session')}, {counted(report.messages, 'message')}"
        yield Check(section=section, name="file", state=State.OK, found=found)
    for problem in report.problems:
        yield Check(section=section, name="problem", state=State.BROKEN, found=problem.what, remedy=problem.remedy)
    if not report.exists:
        return
    if report.intact:
        yield Check(section=section, name="integrity", state=State.OK, found="no damage found")
    if report.outdated:
        found = f"revision {report.revision or 'none'}, this version works on {report.head}"
        remedy = "langswarm-sessions db upgrade (the next use does it too)"
        yield Check(section=section, name="schema", state=State.NOTICE, found=found, remedy=remedy)
    elif report.revision == report.head:
        yield Check(section=section, name="schema", state=State.OK, found=f"revision {report.revision}, the newest")
    if report.writable:
        busy = "another process is writing just now" if report.busy else "yes"
        state = State.NOTICE if report.busy else State.OK
        yield Check(section=section, name="writable", state=state, found=busy)


def _core_check(section: str, name: str) -> Check:
    found = installed(name)
    if found is None:
        remedy = f"pip install --upgrade {_DISTRIBUTION}"
        return Check(section=section, name=name, state=State.BROKEN, found="not installed", remedy=remedy)
    return Check(section=section, name=name, state=State.OK, found=found)


def _needed() -> list[str]:
    """Return what this package declares to need, extras left out."""
    try:
        declared = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:
        return list(_CORE)
    matches = (_REQUIREMENT.match(line) for line in declared)
    return sorted(match["name"] for match in matches if match and "extra" not in (match["marker"] or ""))


def installed(name: str) -> str | None:
    """Return the version of a distribution, None if it is not installed.

    Args:
        name: Its name.
    """
    try:
        return version(name)
    except PackageNotFoundError:
        return None
