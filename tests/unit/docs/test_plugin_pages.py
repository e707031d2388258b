"""The pages about plugins say what the plugins declare."""

from __future__ import annotations

from pathlib import Path

from connectors.runtime.plugin_pages import pages

FOLDER = Path(__file__).parents[3] / "docs" / "plugins"


def test_pages_are_up_to_date() -> None:
    made = pages("faust-connect")
    assert sorted(made) == sorted(file.name for file in FOLDER.glob("*.md")), "run `make docs`"
    old = [name for name, text in made.items() if (FOLDER / name).read_text() != text]
    assert old == [], "run `make docs`"
