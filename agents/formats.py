"""How the values of a stage's input are written: what turns their bytes into Canal's flat message or a plain object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connectors.api.errors import ConfigError
from connectors.formats.canal import decode_object
from connectors.formats.goldengate_flat import FlatReader
from connectors.formats.goldengate_options import format_of, format_options

__all__ = ["Decode", "decoder"]

Decode = Callable[[bytes], dict[str, Any]]
"""Takes a value's bytes, returns the object; raises `DataError` where they are none."""


def decoder(name: str, options: Mapping[str, str]) -> Decode:
    """Return what decodes the values of an input.

    Args:
        name: `canal` (Canal's messages and plain JSON objects) or `goldengate`.
        options: The format's options, those of the converter `goldengate-json`.

    Raises:
        ConfigError: An option is not known or cannot be used.
    """
    if name == "goldengate":
        return FlatReader(format_of(format_options().parse(options)))
    if options:
        raise ConfigError(f"format_options: {', '.join(options)}: only the format goldengate has options")
    return decode_object
