"""One table of names: nobody writes one that is not in it, and the documentation has exactly these."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import ModuleType

import langswarm_sessions
import langswarm_sessions_frameworks
import langswarm_sessions_langchain
import langswarm_sessions_otel
from langswarm_sessions_otel import semconv

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs" / "telemetry.md", *sorted((ROOT / "docs" / "telemetry").glob("*.md")))
NAME = re.compile(r"(gen_ai|langswarm)(\.[a-z_]+)+ ?")
TOLD = re.compile(r"`((?:gen_ai|langswarm)\.[a-z_.{}, ]*[a-z_}])(?: \{[A-Za-z.]+\})?`")
# The names of spans that end in what they are about.
OPEN_ENDED = {semconv.LIFECYCLE_SPAN, semconv.STORAGE_SPAN, semconv.HOOK_SPAN}
SPANS = {
    "langswarm.hook",
    *(semconv.STORAGE_SPAN + operation for operation in ("create", "load", "append", "replace", "delete", "optimize")),
    *(
        semconv.LIFECYCLE_SPAN + step
        for step in ("create", "restore", "archive", "delete", "clear", "handoff", "import", "cleanup", "purge")
    ),
}


def names_of_the_table() -> set[str]:
    found = {value for value in vars(semconv).values() if isinstance(value, str)}
    for generation in (semconv.RELEASED, semconv.NEWEST):
        found |= {generation.duration, generation.time_to_first_chunk, generation.time_per_chunk}
        found.add(generation.cache_write_tokens)
        found |= {metric.name for metric in generation.tokens}
    return {name for name in found if NAME.fullmatch(name) and not name.endswith(".")} - OPEN_ENDED


def names_of_the_pages(*pages: Path) -> set[str]:
    found: set[str] = set()
    for page in pages:
        for told in TOLD.findall(page.read_text(encoding="utf-8")):
            found |= set(spelled_out(told))
    return found


def spelled_out(name: str) -> Iterator[str]:
    """Yield what ``a.{b, c}.d`` stands for: ``a.b.d`` and ``a.c.d``."""
    parts = re.split(r"\{([^}]*)\}", name)
    for chosen in product(*([part] if not at % 2 else part.split(", ") for at, part in enumerate(parts))):
        yield "".join(chosen)


def sources() -> Iterator[Path]:
    packages: tuple[ModuleType, ...] = (
        langswarm_sessions,
        langswarm_sessions_otel,
        langswarm_sessions_langchain,
        langswarm_sessions_frameworks,
    )
    for package in packages:
        assert package.__file__ is not None
        yield from Path(package.__file__).parent.rglob("*.py")


def literals(path: Path) -> Iterator[str]:
    """Yield the texts of a module that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


def test_names_are_written_in_the_table_alone() -> None:
    elsewhere = {
        f"{path.name}: {text}"
        for path in sources()
        if path != Path(semconv.__file__)
        for text in literals(path)
        if re.match(r"(gen_ai|langswarm)\.[a-z]", text)
    }
    assert elsewhere == set()


def test_every_name_is_documented() -> None:
    told = names_of_the_pages(*PAGES)
    assert names_of_the_table() - told == set()
    assert told >= SPANS


def test_every_documented_name_is_one_of_ours() -> None:
    ours = names_of_the_table() | SPANS
    for page in PAGES:
        unknown = names_of_the_pages(page) - ours
        assert {name for name in unknown if not any(each.startswith(f"{name}.") for each in ours)} == set(), page.name


def test_the_page_says_which_revision_the_names_follow() -> None:
    assert semconv.CONVENTION_REVISION in PAGES[0].read_text(encoding="utf-8")


def test_no_two_names_of_the_table_are_one() -> None:
    written = [value for value in vars(semconv).values() if isinstance(value, str) and NAME.fullmatch(value)]
    assert len(written) == len(set(written))
