"""Single-message transforms and the predicates that choose the records they apply to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeVar

from connectors.api.config import ConfigDef
from connectors.api.record import SinkRecord, SourceRecord

__all__ = ["Predicate", "Transform"]

R = TypeVar("R", SourceRecord, SinkRecord)
"""Either kind of record; a transform returns the kind it was given."""


class Transform(ABC):
    """Changes or drops one record."""

    def configure(self, options: Mapping[str, str]) -> None:
        """Take the options, prefix cut off; the default only checks them."""
        self.config().parse(options)

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the transform's options."""
        return ConfigDef()

    @abstractmethod
    def apply(self, record: R) -> R | None:
        """Return the record to go on with, or None to drop it."""

    def close(self) -> None:
        """Release what `configure` opened."""
        return


class Predicate(ABC):
    """Chooses records."""

    def configure(self, options: Mapping[str, str]) -> None:
        """Take the options, prefix cut off; the default only checks them."""
        self.config().parse(options)

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the predicate's options."""
        return ConfigDef()

    @abstractmethod
    def test(self, record: SourceRecord | SinkRecord) -> bool:
        """Tell whether the record is chosen."""
