"""`pip install` makes a plugin available, and its author can check it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .conftest import PLUGINS

LIST = """
import json
from connectors.runtime.plugins import connectors, transform_class
found = {name: plugin().version for name, plugin in connectors().items() if name in ("TickSource", "JsonLinesSink")}
print(json.dumps([found, transform_class("transforms.t.type", "Shout").__module__]))
"""


def test_installed_plugins_are_found_with_their_versions(installed) -> None:
    done = subprocess.run([sys.executable, "-c", LIST], env=installed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"JsonLinesSink": "0.3.0", "TickSource": "1.2.0"}, "faust_connect_jsonl"]


@pytest.mark.parametrize("name", ["ticks", "jsonl"])
def test_author_runs_the_conformance_suite(installed, name, tmp_path) -> None:
    pytest_in = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    command = [*pytest_in, "--rootdir", str(tmp_path), "-c", "/dev/null", str(PLUGINS / name)]
    done = subprocess.run(command, env=installed, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout
