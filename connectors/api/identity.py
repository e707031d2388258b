"""`agents` and `tables` are names that other distributions use too; two owners of one name cannot work together."""

from __future__ import annotations

from importlib.metadata import packages_distributions

from connectors.api.errors import ConfigError

__all__ = ["check_top_level_names"]

_OURS = "faust-connect"


def check_top_level_names() -> None:
    """Check that no other installed distribution owns one of our top-level packages.

    Raises:
        ConfigError: One does, e.g. openai-agents or PyTables.
    """
    owners = packages_distributions()
    for package in ("agents", "tables"):
        others = sorted({name for name in owners.get(package, []) if name.lower().replace("_", "-") != _OURS})
        if others:
            raise ConfigError(
                f"the package {package} of {_OURS} is also installed by {', '.join(others)}; "
                "use an environment of its own for one of them"
            )
