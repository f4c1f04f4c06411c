"""What `doctor` looks at: packages, providers, the database."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
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
_PROVIDERS = {  # the package, and the variables that may hold the key
    "openai": ("openai", ("OPENAI_API_KEY",)),
    "anthropic": ("anthropic", ("ANTHROPIC_API_KEY",)),
    "gemini": ("google-genai", ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    "mistral": ("mistralai", ("MISTRAL_API_KEY",)),
    "cohere": ("cohere", ("CO_API_KEY", "COHERE_API_KEY")),
}
_EXTRAS = {
    **{name: (package,) for name, (package, _) in _PROVIDERS.items()},
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
    yield Check(section="providers", name="mock", state=State.OK, found="always there, needs no key")
    for name, (package, variables) in _PROVIDERS.items():
        yield _provider_check(name, package=package, variables=variables, offline=offline)


def _provider_check(name: str, *, package: str, variables: tuple[str, ...], offline: bool) -> Check:
    told = partial(Check, section="providers", name=name)
    there = installed(package) is not None
    key = next((value for variable in variables if (value := os.environ.get(variable, "").strip())), None)
    found = f"package {'installed' if there else 'missing'} · key {'present' if key else 'not set'}"
    if not there:
        return told(state=State.ABSENT, found=found, remedy=f"pip install '{_DISTRIBUTION}[{name}]'")
    if key is None:
        return told(state=State.ABSENT, found=found, remedy=f"Set {variables[0]} to use it.")
    if name != "openai":  # `reach` knows how to ask OpenAI's API alone
        return told(state=State.NOTICE, found=f"{found} · not contacted")
    address = os.environ.get("OPENAI_BASE_URL", "").strip() or DEFAULT_BASE_URL
    if (host := host_of(address)) is None:
        what_to_do = f"Set it to one such as {DEFAULT_BASE_URL}, or leave it out."
        return told(state=State.BROKEN, found=f"{found} · OPENAI_BASE_URL is no address", remedy=what_to_do)
    if offline:
        return told(state=State.NOTICE, found=f"{found} · not contacted")
    state, answer, remedy = _REACHED[reach(address, key=key)]
    return told(state=state, found=f"{found} · {host} {answer}", remedy=remedy)


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
