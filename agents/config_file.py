"""Reads the configuration file so that every mistake names file, line and key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from agents.config import EnrichConfig
from connectors.api.errors import ConfigError, did_you_mean

__all__ = ["ConfigFile", "load_config"]

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


class ConfigFile:
    """A parsed file that knows the lines of its keys.

    Attributes:
        path: The file.
        config: Its content.
    """

    def __init__(self, path: Path, tree: CommentedMap, config: EnrichConfig) -> None:
        self.path = path
        self.config = config
        self._tree = tree

    def error(self, message: str, *place: str | int) -> ConfigError:
        """Return an error about one key, with file and line.

        Args:
            message: What is wrong.
            place: Way to the key, e.g. `"stages", 0, "steps", 0, "options", "url"`.
        """
        return _error(self.path, self._tree, place, message)


def load_config(path: str | os.PathLike[str], env: Mapping[str, str] | None = None) -> ConfigFile:
    """Read and validate a configuration file.

    Args:
        path: A YAML file.
        env: Variables for `${NAME}` and `${NAME:-default}`; the environment by default.

    Raises:
        ConfigError: The file cannot be read or used; each mistake stands on its own line.
    """
    file = Path(path)
    tree = _parse(file)
    plain = _substitute(file, tree, tree, (), os.environ if env is None else env)
    try:
        config = EnrichConfig.model_validate(plain)
    except ValidationError as error:
        messages = [str(_explain(file, tree, details)) for details in error.errors()]
        raise ConfigError("\n".join(dict.fromkeys(messages))) from None
    return ConfigFile(file, tree, config)


def _parse(file: Path) -> CommentedMap:
    try:
        tree = YAML(typ="rt").load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{file}: cannot be read: {reason}") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f":{mark.line + 1}"
        raise ConfigError(f"{file}{line}: not valid YAML: {error.problem or error.context}") from None
    if not isinstance(tree, CommentedMap):
        raise ConfigError(f"{file}:1: a mapping with the key stages is needed")
    return tree


def _substitute(file: Path, tree: CommentedMap, node: Any, place: tuple[str | int, ...], env: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {str(key): _substitute(file, tree, value, (*place, key), env) for key, value in node.items()}
    if isinstance(node, list):
        return [_substitute(file, tree, value, (*place, i), env) for i, value in enumerate(node)]
    if not isinstance(node, str):
        return node

    def variable(match: re.Match[str]) -> str:
        name, default = match.groups()
        value = env.get(name) or default
        if value is None:
            raise _error(file, tree, place, f"the environment variable {name} is not set")
        return value

    return _VARIABLE.sub(variable, str(node))


def _explain(file: Path, tree: CommentedMap, details: ErrorDetails) -> ConfigError:
    place = tuple(part for part in details["loc"] if part not in ("fixed", "exponential"))
    if details["type"] == "extra_forbidden":
        known = _known_keys(place[:-1])
        return _error(file, tree, place, f"unknown key{did_you_mean(str(place[-1]), known)}")
    if details["type"] == "missing":
        return _error(file, tree, place, "this key is missing")
    message = details["msg"].removeprefix("Value error, ")
    given = details["input"]
    shown = f" (it is {given!r})" if isinstance(given, str | int | float | bool) else ""
    return _error(file, tree, place, f"{message[:1].lower()}{message[1:]}{shown}")


def _known_keys(place: tuple[str | int, ...]) -> list[str]:
    models: list[type[BaseModel]] = [EnrichConfig]
    for part in place:
        if isinstance(part, str):
            fields = [model.model_fields[part].annotation for model in models if part in model.model_fields]
            models = [model for annotation in fields for model in _models(annotation)]
    return [name for model in models for name in model.model_fields]


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _error(file: Path, tree: Any, place: tuple[str | int, ...], message: str) -> ConfigError:
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    line = _line(tree, place)
    return ConfigError(f"{file}:{line}: {key + ': ' if key else ''}{message}", key=key or None)


def _line(tree: Any, place: tuple[str | int, ...]) -> int:
    line = 1
    for part in place:
        # A key that is missing has the line of the mapping it is missing from.
        if isinstance(tree, CommentedMap) and part in tree:
            line = tree.lc.key(part)[0] + 1
        elif isinstance(tree, CommentedSeq) and isinstance(part, int) and part < len(tree):
            line = tree.lc.item(part)[0] + 1
        else:
            break
        tree = tree[part]
    return int(line)
