"""Links between the pages lead somewhere: to a file there is, and to a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *(`{3,}).*?^ *\1", re.DOTALL | re.MULTILINE)


def links(text: str) -> list[str]:
    """Return where the links of a page lead within the repository."""
    return [link for link in LINK.findall(FENCE.sub("", text)) if "://" not in link]


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    said = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in said}


def dead_among(found: list[str], *, page: Path) -> list[str]:
    dead: list[str] = []
    for link in found:
        file, _, anchor = link.partition("#")
        there = page.parent / file if file else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in headings(there)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_link_is_dead(page: Path) -> None:
    assert dead_among(links(page.read_text(encoding="utf-8")), page=page) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b` title\n\n[x](gone.md) [y](#a-b-title) [z](#nothing)\n\n```\n[w](lost.md)\n```\n")
    assert dead_among(links(page.read_text()), page=page) == ["gone.md", "#nothing"]
