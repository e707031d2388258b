"""What docs/async-io.md shows works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from agents.config_file import load_config
from agents.steps import build_steps

PAGE = Path(__file__).parents[3] / "docs" / "async-io.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_runs(block: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block], cwd=PAGE.parents[1], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("block", blocks("yaml"))
def test_configuration_is_accepted(block: str, tmp_path: Path) -> None:
    path = tmp_path / "enrich.yaml"
    path.write_text(block)
    build_steps(load_config(path, {}), 0)
