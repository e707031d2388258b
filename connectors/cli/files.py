"""Connector configurations in files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.api.errors import did_you_mean
from connectors.cli.errors import USAGE, CommandError
from connectors.cli.parsing import STDIN, parse

__all__ = ["Deployment", "read"]

SUFFIXES = (".yaml", ".yml", ".json", ".properties")


@dataclass(frozen=True, slots=True)
class Deployment:
    """A connector as a file describes it.

    Attributes:
        name: Its name.
        config: Its options, all values as text.
        file: Where it stands.
    """

    name: str
    config: dict[str, str]
    file: Path


def read(paths: tuple[str, ...]) -> list[Deployment]:
    """Read files, and all such files in folders.

    Raises:
        CommandError: A file cannot be read or describes no connector; names file and line.
    """
    found: list[Deployment] = []
    for file in _files(paths):
        documents = [document for document in parse(file) if document is not None]
        if not documents:
            raise CommandError(f"{file}: no connector in it", USAGE)
        found.extend(_deployment(file, document) for document in documents)
    names = [deployment.name for deployment in found]
    twice = next((deployment for deployment in found if names.count(deployment.name) > 1), None)
    if twice is not None:
        raise CommandError(f"{twice.file}: connector {twice.name} is described twice", USAGE)
    return found


def _files(paths: tuple[str, ...]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path == STDIN:
            yield path
        else:
            yield from _inside(path) if path.is_dir() else [path]


def _inside(folder: Path) -> list[Path]:
    try:
        found = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES and file.is_file())
    except OSError as error:
        raise CommandError(f"{folder}: cannot be read: {error.strerror}", USAGE) from None
    if not found:
        raise CommandError(f"{folder}: no file that ends in {', '.join(SUFFIXES)}", USAGE)
    return found


def _deployment(file: Path, document: Any) -> Deployment:
    if not isinstance(document, dict):
        raise CommandError(f"{file}: a connector is a map of options", USAGE)
    nested = isinstance(document.get("config"), dict)
    unknown = next((str(key) for key in document if key not in ("name", "config")), None) if nested else None
    if unknown is not None:
        near = did_you_mean(unknown, ("name", "config"))
        raise CommandError(f"{file}: unknown field {unknown} beside name and config{near}", USAGE)
    options = document["config"] if nested else document
    config = {str(key): _text(file, str(key), value) for key, value in options.items() if value is not None}
    name = document.get("name") or config.get("name")
    if not isinstance(name, str) or not name:
        raise CommandError(f"{file}: the connector has no name", USAGE)
    if config.get("name", name) != name:
        raise CommandError(f"{file}: name is {name}, but {config['name']} in config", USAGE)
    return Deployment(name, config | {"name": name}, file)


def _text(file: Path, key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and not any(item is None or isinstance(item, list | dict) for item in value):
        return ",".join(_text(file, key, item) for item in value)
    if isinstance(value, list | dict):
        raise CommandError(f"{file}: option {key}: a single value, or a list of such, is needed", USAGE)
    return str(value).rstrip("\n")  # a YAML block ends with one
