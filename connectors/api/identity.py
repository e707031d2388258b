"""`agents` and `tables` are names that other distributions use too; two owners of one name cannot work together."""

from __future__ import annotations

import sys
from pathlib import Path

from connectors.api.errors import ConfigError

__all__ = ["check_top_level_names"]

_OURS = "faust-connect"


def check_top_level_names() -> None:
    """Check that no other installed distribution owns one of our top-level packages.

    Raises:
        ConfigError: One does, e.g. openai-agents or PyTables.
    """
    # importlib.metadata.packages_distributions tells the same, but parses the list of every file: a tenth of a start.
    lists = [
        (each.parent.name, each.read_bytes()) for path in sys.path for each in Path(path).glob("*.dist-info/RECORD")
    ]
    for package in ("agents", "tables"):
        folder = package.encode() + b"/"
        owners = {name.split("-")[0] for name, files in lists if files.startswith(folder) or b"\n" + folder in files}
        others = sorted(name for name in (each.replace("_", "-") for each in owners) if name.lower() != _OURS)
        if others:
            raise ConfigError(
                f"the package {package} of {_OURS} is also installed by {', '.join(others)}; "
                "use an environment of its own for one of them"
            )
