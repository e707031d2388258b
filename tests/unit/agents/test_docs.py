"""What the pages on async I/O show works as it stands there.

A block whose first line is a file's name (`# lookups.py`) is that file: the other blocks of its page may import it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from agents.config_file import load_config
from agents.steps import build_steps

DOCS = Path(__file__).parents[3] / "docs"
PAGES = [DOCS / name for name in ("async-io.md", "enrich.md", "coming-from-flink.md", "lookups.md")]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def file_name(block: str) -> str | None:
    found = re.match(r"# ([a-z_]+\.(?:py|yaml))\n", block)
    return found[1] if found else None


def of_all_pages(language: str) -> list[object]:
    return [
        pytest.param(page, block, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, block in enumerate(blocks(page, language), 1)
    ]


def write_modules(page: Path, folder: Path) -> None:
    for block in blocks(page, "python"):
        if name := file_name(block):
            (folder / name).write_text(block)


@pytest.mark.parametrize(("page", "block"), of_all_pages("python"))
def test_python_runs(page: Path, block: str, tmp_path: Path) -> None:
    write_modules(page, tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout or file_name(block)


@pytest.mark.parametrize(("page", "block"), of_all_pages("yaml"))
def test_configuration_is_accepted(page: Path, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_modules(page, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if (tmp_path / f"{name}.py").exists()]:
        monkeypatch.delitem(sys.modules, name)
    path = tmp_path / "enrich.yaml"
    path.write_text(block)
    file = load_config(path, {})
    stages = file.config.stages
    assert stages
    assert all(build_steps(file, number) is not None for number in range(len(stages)))
