"""Two plugins of other authors, installed from their own distributions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a process that has the plugins installed."""
    target = tmp_path_factory.mktemp("site")
    # Building leaves traces beside the sources.
    sources = tmp_path_factory.mktemp("src") / "plugins"
    shutil.copytree(PLUGINS, sources, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    distributions = [str(sources / name) for name in ("ticks", "jsonl")]
    done = subprocess.run([*pip, "--target", str(target), *distributions], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(target), str(PLUGINS.parents[1])])}
