"""Connector configurations in files: YAML, JSON or .properties."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from connectors.cli.errors import INVALID, CommandError

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
        documents = [document for document in _parse(file) if document is not None]
        if not documents:
            raise CommandError(f"{file}: no connector in it", INVALID)
        found.extend(_deployment(file, document) for document in documents)
    names = [deployment.name for deployment in found]
    twice = next((deployment for deployment in found if names.count(deployment.name) > 1), None)
    if twice is not None:
        raise CommandError(f"{twice.file}: connector {twice.name} is described twice", INVALID)
    return found


def _files(paths: tuple[str, ...]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
            if not inside:
                raise CommandError(f"{path}: no file that ends in {', '.join(SUFFIXES)}", INVALID)
            yield from inside
        else:
            yield path


def _parse(file: Path) -> list[Any]:
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}", INVALID) from None
    try:
        if file.suffix == ".json":
            return [json.loads(text)]
        if file.suffix == ".properties":
            return [_properties(file, text)]
        return list(YAML(typ="safe", pure=True).load_all(text))
    except json.JSONDecodeError as error:
        raise CommandError(f"{file}:{error.lineno}: {error.msg}", INVALID) from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise CommandError(f"{file}{line}: {getattr(error, 'problem', None) or error}", INVALID) from None


def _properties(file: Path, text: str) -> dict[str, str]:
    props: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#!":
            continue
        key, equals, value = stripped.partition("=")
        if not equals:
            raise CommandError(f"{file}:{number}: {stripped!r} is no `key = value`", INVALID)
        props[key.strip()] = value.strip().replace("\\\\", "\\")
    return props


def _deployment(file: Path, document: Any) -> Deployment:
    if not isinstance(document, dict):
        raise CommandError(f"{file}: a connector is a map of options", INVALID)
    nested = isinstance(document.get("config"), dict)
    options = document["config"] if nested else document
    config = {str(key): _text(file, str(key), value) for key, value in options.items() if value is not None}
    name = document.get("name") or config.get("name")
    if not isinstance(name, str) or not name:
        raise CommandError(f"{file}: the connector has no name", INVALID)
    return Deployment(name, config | {"name": name}, file)


def _text(file: Path, key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(_text(file, key, item) for item in value)
    if isinstance(value, dict):
        raise CommandError(f"{file}: option {key}: a single value is needed", INVALID)
    return str(value).strip()
