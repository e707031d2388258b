"""Links between the pages lead somewhere, and the index knows every page."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")])


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^()\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(page)))
    return sorted({link for link in found if not re.match(r"[a-z]+:", link)})


def anchors(page: Path) -> set[str]:
    """Return the names by which headings can be linked to, as GitHub makes them."""
    seen: Counter[str] = Counter()
    made = set()
    for heading in re.findall(r"^#+ +(.+?)\s*$", prose(page), re.MULTILINE):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        made.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return made


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_relative_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    dead = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_the_index_has_one_line_for_each_page() -> None:
    # A decision may land without its line, as its number is given when it lands.
    pages = {path for path in DOCS.rglob("*.md") if path.parent.name != "decisions"} - {DOCS / "README.md"}
    listed = Counter(re.findall(r"^\| \[[^]]+\]\(([^)]+)\) \| \S", prose(DOCS / "README.md"), re.MULTILINE))
    missing = {str(page.relative_to(DOCS)) for page in pages} - listed.keys()
    assert not missing, "add a line to docs/README.md for each of them"
    assert [link for link, count in listed.items() if count > 1] == []


def test_the_readme_leads_to_the_index() -> None:
    assert "docs/README.md" in links(ROOT / "README.md")
