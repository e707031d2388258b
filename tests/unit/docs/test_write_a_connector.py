"""The page shows the plugin that tests/integration/plugins installs and runs, word for word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "write-a-connector.md").read_text()
PLUGIN = ROOT / "tests" / "plugins" / "ticks"


@pytest.mark.parametrize("name", ["faust_connect_ticks/__init__.py", "pyproject.toml", "test_ticks.py"])
def test_block_is_the_file_that_is_tested(name: str) -> None:
    found = re.search(rf"`{re.escape(name)}`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    assert found[1] == (PLUGIN / name).read_text()
