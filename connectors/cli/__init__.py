"""The command `connectors`."""

from connectors.cli.main import main

__all__ = ["main"]
