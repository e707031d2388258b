"""Handlers of plugins: what is installed, their options, the check of a configuration."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from connectors.api.config import ConfigDef, ConfigKey, ConfigValue, Importance, Password, Type
from connectors.api.errors import ConfigError
from connectors.runtime.base_config import check
from connectors.runtime.catalog import Described
from connectors.runtime.plugins import aliases, installed, is_installed, plugin_options
from connectors.runtime.probing import probe
from connectors.runtime.rest.answers import RestError, answer
from connectors.runtime.rest.bodies import Options, read
from connectors.runtime.rest.context import Context
from connectors.runtime.secrets import is_secret

__all__ = ["Plugins"]


class Plugins:
    """Answers what is installed where this worker runs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def list_all(self, request: web.Request) -> web.Response:
        """List connectors; with `connectorsOnly=false` converters, transforms and predicates too (KIP-769)."""
        all_ = request.query.get("connectorsOnly", "true").lower() == "false"
        rows = await self._context.catalog.call("the plugin list", installed, not all_)
        return answer([{"class": each.path, "type": each.kind, "version": each.version} for each in rows])

    async def config(self, request: web.Request) -> web.Response:
        """Show the options of a plugin."""
        name = request.match_info["plugin"]
        described = await self._find(name) if self._may_load(name) else None
        if described is not None:
            return answer([_definition(key, order=described.keys.order(key.name)) for key in described.keys])
        try:
            keys = await self._context.catalog.call(name, plugin_options, name)
        except ConfigError as error:
            raise RestError(404, str(error)) from None
        return answer([_definition(key, order=keys.order(key.name)) for key in keys])

    async def validate(self, request: web.Request) -> web.Response:
        """Check a configuration without storing it; errors are told option by option."""
        # With ?connect=true the plugin also tries to reach its system.
        name = request.match_info["plugin"]
        described = await self._find(name)
        if described is None:
            raise RestError(404, f"No connector {name} is installed")
        props = dict((await read(request, Options)).root)
        plugin = described.plugin
        if props.setdefault("connector.class", f"{plugin.__module__}.{plugin.__name__}") not in aliases(plugin):
            text = f"connector.class is {props['connector.class']}, the path says {plugin.__name__}"
            raise RestError(400, text)
        _, values = await self._context.catalog.call(name, check, props)
        if request.query.get("connect", "").lower() == "true" and not any(value.errors for value in values):
            problem = await self._context.catalog.call(name, probe, plugin, props)
            if problem is not None:
                # Of no single option: shown at the one that chose the plugin.
                next(value for value in values if value.name == "connector.class").errors.append(problem)
        configs = [
            {"definition": _definition(described.keys.find(value.name), value.name, described.keys.order(value.name)),
             "value": _value(value, props, described.keys)}
            for value in values
        ]  # fmt: skip
        return answer(
            {
                "name": plugin.__name__,
                "error_count": sum(len(value.errors) for value in values),
                "groups": list(dict.fromkeys(key.group for key in described.keys)),
                "configs": configs,
            }
        )

    def _may_load(self, name: str) -> bool:
        """Tell whether those who may only look may have a class imported: a dotted path may name any module."""
        store = self._context.store
        used = ((store.config(each) or {}).get("connector.class") for each in store.connectors())
        return is_installed(name) or self._context.catalog.knows(name) or name in used

    async def _find(self, name: str) -> Described | None:
        try:
            return await self._context.catalog.get(name)
        except ConfigError:
            return None


def _definition(key: ConfigKey | None, name: str = "", order: int = -1) -> dict[str, Any]:
    if key is None:
        key = ConfigKey(name, Type.STRING, None, "Unknown option.", Importance.LOW)
    return {
        "name": name or key.name,
        "type": key.type.value,
        "required": key.required,
        "default_value": None if key.required else _text(key.default),
        "importance": key.importance.value,
        "documentation": key.doc,
        "group": key.group,
        "width": key.width.value,
        "display_name": key.display_name or key.name,
        "dependents": list(key.dependents),
        "order": order,
    }


def _value(value: ConfigValue, props: dict[str, str], keys: ConfigDef) -> dict[str, Any]:
    # A reference is shown as it was given, never what it stands for.
    shown = props[value.name] if "${" in props.get(value.name, "") else _text(value.value)
    if shown and "${" not in shown and is_secret(value.name, keys):
        shown = Password.HIDDEN
    return {
        "name": value.name,
        "value": shown,
        "recommended_values": list(value.recommended),
        "errors": value.errors,
        "visible": value.visible,
    }


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return None if value is None else str(value)
