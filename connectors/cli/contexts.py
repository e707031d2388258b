"""Workers that the user has given names to, kept in the user's configuration folder."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from connectors.cli.errors import USAGE, CommandError

__all__ = ["Context", "Contexts"]


@dataclass(frozen=True, slots=True)
class Context:
    """How to reach one cluster.

    Attributes:
        url: A worker's address.
        token_env: Variable that holds the bearer token; the token itself is never stored.
        ca: File with the certificate that the worker's is signed with.
    """

    url: str
    token_env: str | None = None
    ca: str | None = None


@dataclass(slots=True)
class Contexts:
    """All of them, and which one is in use."""

    current: str | None = None
    known: dict[str, Context] = field(default_factory=dict)

    @staticmethod
    def path() -> Path:
        """Return where they are kept: `CONNECTORS_CONTEXTS`, or a file in the user's configuration folder."""
        given = os.environ.get("CONNECTORS_CONTEXTS")
        return Path(given) if given else Path(click.get_app_dir("faust-connect")) / "contexts.json"

    @classmethod
    def load(cls) -> Contexts:
        """Read them; none where there is no file.

        Raises:
            CommandError: The file cannot be read.
        """
        path = cls.path()
        try:
            stored: dict[str, Any] = json.loads(path.read_text())
            known = {name: Context(**entry) for name, entry in stored["contexts"].items()}
            return cls(stored["current"], known)
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CommandError(f"{path} cannot be read ({error}); correct or remove it", USAGE) from None

    def save(self) -> None:
        """Write them, for the user's eyes only."""
        path = self.path()
        known = {name: asdict(each) for name, each in self.known.items()}
        text = json.dumps({"current": self.current, "contexts": known}, indent=2)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".new")
            draft.touch(mode=0o600)
            draft.write_text(text + "\n")
            draft.replace(path)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}") from None
