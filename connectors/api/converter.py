"""Converters: bytes in Kafka to values in plugins and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from connectors.api.config import ConfigDef
from connectors.api.record import Headers

__all__ = ["Converter"]


class Converter(ABC):
    """Turns values into bytes and back. One instance serves the keys or the values of one task.

    Attributes:
        passes_bytes: Whether `from_connect` returns bytes as they are, so that it need not be called for them.
    """

    passes_bytes: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Take `passes_bytes` back from a class that encodes another way and says nothing of it."""
        super().__init_subclass__()
        if "from_connect" in cls.__dict__ and "passes_bytes" not in cls.__dict__:
            cls.passes_bytes = False

    def configure(self, options: Mapping[str, str], *, is_key: bool) -> None:
        """Take the options that follow the converter's own key, its prefix cut off.

        Args:
            options: E.g. `{"schemas.enable": "false"}` for `value.converter.schemas.enable`.
            is_key: Whether this instance converts keys.

        Raises:
            ConfigError: An option cannot be used.
        """
        self.config().parse(options)
        del is_key

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the converter's options."""
        return ConfigDef()

    @abstractmethod
    def from_connect(self, topic: str, headers: Headers, value: Any) -> bytes | None:
        """Encode a value; None stays None.

        Raises:
            DataError: The value cannot be encoded.
        """

    @abstractmethod
    def to_connect(self, topic: str, headers: Headers, data: bytes | None) -> Any:
        """Decode a value; None stays None.

        Raises:
            DataError: The bytes are malformed.
        """
