"""Pages about plugins, made from what they declare: `python -m connectors.runtime.plugin_pages docs/plugins`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from connectors.api.config import ConfigDef, ConfigKey
from connectors.api.connector import Connector
from connectors.runtime.base_config import definition
from connectors.runtime.plugins import kind_of

__all__ = ["pages"]

_NOTE = "<!-- Made by `make docs` from the plugin's own definition: change that, not this page. -->"
_GROUPS = ("converters", "transforms", "predicates")


def pages(distribution: str | None = None) -> dict[str, str]:
    """Return Markdown by file name: a page for each connector and each other kind of plugin, and an index.

    Args:
        distribution: Only plugins of this distribution; None for all that are installed.
    """
    found = {group: list(_loaded(group, distribution)) for group in ("connectors", *_GROUPS)}
    made = {f"{name}.md": _connector(name, plugin) for name, plugin in found["connectors"]}
    made |= {f"{group}.md": _group(group, found[group]) for group in _GROUPS if found[group]}
    if distribution is None or found["connectors"]:
        made["common-options.md"] = _common()
    made["README.md"] = _index(found)
    return made


def _loaded(group: str, distribution: str | None) -> Iterator[tuple[str, Any]]:
    seen: set[Any] = set()
    for point in sorted(entry_points(group=f"faust_connect.{group}"), key=_order):
        if distribution is None or (point.dist is not None and point.dist.name == distribution):
            plugin = point.load()
            if plugin not in seen:  # a second name of the same class
                seen.add(plugin)
                yield point.name, plugin


def _order(point: EntryPoint) -> tuple[str, bool, str]:
    # Of several names of a class, the class's own is shown.
    return point.attr.lower(), point.name != point.attr, point.name


def _connector(name: str, plugin: type[Connector]) -> str:
    kind = kind_of(plugin)
    rest = f"All {kind}s also have the [common options](common-options.md#{kind}s)."
    return "\n".join([f"# {name}", _NOTE, "", _text(plugin), "", f"A {kind}. {rest}", "", *_tables(plugin.config())])


def _group(group: str, plugins: Iterable[tuple[str, Any]]) -> str:
    lines = [f"# {group.capitalize()}", _NOTE, ""]
    for name, plugin in plugins:
        lines += [f"## {name}", "", _text(plugin), "", *_tables(plugin.config(), level=3)]
    return "\n".join(lines)


def _common() -> str:
    lines = ["# Common options", _NOTE, ""]
    lines += ["## Sources", "", *_tables(definition("source"), level=3)]
    lines += ["## Sinks", "", *_tables(definition("sink"), level=3)]
    return "\n".join(lines)


def _index(found: dict[str, list[tuple[str, Any]]]) -> str:
    lines = ["# Plugins", _NOTE, "", "| plugin | |", "|---|---|"]
    lines += [f"| [{name}]({name}.md) | {_text(plugin).splitlines()[0]} |" for name, plugin in found["connectors"]]
    lines += [
        f"| [{group.capitalize()}]({group}.md) | {', '.join(f'`{name}`' for name, _ in found[group])} |"
        for group in _GROUPS
        if found[group]
    ]
    return "\n".join([*lines, "", "Options of every source and sink: [common options](common-options.md).", ""])


def _text(plugin: type) -> str:
    return inspect.getdoc(plugin) or ""


def _tables(options: ConfigDef, level: int = 2) -> list[str]:
    groups: dict[str, list[ConfigKey]] = {}
    for key in options:
        groups.setdefault(key.group, []).append(key)
    lines: list[str] = []
    for group, keys in groups.items():
        if len(groups) > 1:
            lines += [f"{'#' * level} {group}", ""]
        lines += ["| option | type | default | importance | meaning |", "|---|---|---|---|---|"]
        lines += [_row(key) for key in keys] + [""]
    return lines or ["No options.", ""]


def _row(key: ConfigKey) -> str:
    default = (
        "**required**" if key.required else "" if key.default in (None, "", (), []) else f"`{_plain(key.default)}`"
    )
    meaning = key.doc.replace("|", "\\|").replace("\n", " ")
    if key.recommended:
        meaning += f" One of: {', '.join(f'`{value}`' for value in key.recommended)}."
    cells = [f"`{key.name}`", key.type.value.lower(), default, key.importance.value.lower(), meaning]
    return f"| {' | '.join(cells)} |".replace("  ", " ")


def _plain(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list | tuple):
        return ",".join(map(str, default))
    return str(default).replace("|", "\\|")


def _write(folder: Path, distribution: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    made = pages(distribution)
    for old in folder.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    _write(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
