"""The handlers behind the REST paths."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

import orjson
from aiohttp import web

from connectors.api.config import ConfigKey, ConfigValue, Importance, Password, Type
from connectors.api.connector import Connector
from connectors.api.errors import ConfigError, did_you_mean
from connectors.runtime.base_config import check, definition
from connectors.runtime.herder import Herder
from connectors.runtime.plugins import aliases, connector_class, connectors, kind_of
from connectors.runtime.rest_errors import RestError, answer
from connectors.runtime.state import Target, TaskId

__all__ = ["ConnectorResources"]

_STALLED_S = 30
# Tells what PUT config did; a client cannot compare, as secrets are masked in what it is shown.
CHANGE = "X-Connect-Change"
_SECRET = re.compile(r"^\$\{\w+:[^}]*\}$")


class ConnectorResources:
    """Answers requests from the cluster's memory, whichever worker is asked."""

    def __init__(self, herder: Herder) -> None:
        self._herder = herder
        self._store = herder.store

    # --- the worker ---

    async def root(self, _request: web.Request) -> web.Response:
        """`GET /`."""
        settings = self._herder.settings
        facts = {"version": version("faust-connect"), "cluster": settings.cluster, "worker_id": settings.worker_id}
        return answer(facts | {"workers": self._herder.members.roles})

    async def health(self, _request: web.Request) -> web.Response:
        """`GET /health`: 503 while starting, 500 when the control loop hangs (KIP-1017)."""
        if self._herder.lost:
            servers = self._herder.settings.kafka.bootstrap_servers
            message = f"No contact with the group at {servers}: the tasks of this worker are stopped"
            return answer({"status": "unhealthy", "message": message}, 500)
        if not self._herder.ready:
            return answer({"status": "starting", "message": "The worker has not joined its group yet"}, 503)
        if self._herder.seconds_since_round() > _STALLED_S:
            return answer({"status": "unhealthy", "message": f"No round for over {_STALLED_S} s"}, 500)
        return answer({"status": "healthy", "message": "The worker is part of its group"})

    async def plugins(self, _request: web.Request) -> web.Response:
        """`GET /connector-plugins`."""
        own = version("faust-connect")
        rows = [
            {"class": f"{plugin.__module__}.{plugin.__name__}", "type": kind_of(plugin), "version": own}
            for plugin in connectors().values()
        ]
        return answer(rows)

    async def plugin_config(self, request: web.Request) -> web.Response:
        """`GET /connector-plugins/{plugin}/config`."""
        plugin = _plugin(request.match_info["plugin"])
        keys = definition(kind_of(plugin)) | plugin.config()
        return answer([_definition(key, order=keys.order(key.name)) for key in keys])

    async def validate(self, request: web.Request) -> web.Response:
        """`PUT /connector-plugins/{plugin}/config/validate`."""
        plugin = _plugin(request.match_info["plugin"])
        props = await _props(request)
        if props.setdefault("connector.class", plugin.__name__) not in aliases(plugin):
            raise RestError(400, f"connector.class is {props['connector.class']}, the path says {plugin.__name__}")
        _, values = check(props)
        keys = definition(kind_of(plugin)) | plugin.config()
        configs = [
            {
                "definition": _definition(keys.find(value.name), value.name, keys.order(value.name)),
                "value": _value(value),
            }
            for value in values
        ]
        errors = sum(len(value.errors) for value in values)
        groups = list(dict.fromkeys(key.group for key in keys))
        return answer({"name": plugin.__name__, "error_count": errors, "groups": groups, "configs": configs})

    # --- connectors ---

    async def list_all(self, request: web.Request) -> web.Response:
        """`GET /connectors`, also with `?expand=status&expand=info`."""
        names = self._store.connectors()
        expand = request.query.getall("expand", [])
        if not expand:
            return answer(names)
        known = {"status": self._herder.status, "info": self._info}
        return answer({name: {part: known[part](name) for part in expand if part in known} for name in names})

    async def create(self, request: web.Request) -> web.Response:
        """`POST /connectors`."""
        body = await _object(request)
        unknown = next((key for key in body if key not in ("name", "config", "initial_state")), None)
        if unknown is not None:
            near = did_you_mean(unknown, ("name", "config", "initial_state"))
            raise RestError(400, f"Unknown field {unknown}{near}")
        name, config = body.get("name"), body.get("config")
        if not isinstance(name, str) or not name.strip():
            raise RestError(400, "Field name: a text is needed")
        props = _strings("config", config)
        if props.setdefault("name", name) != name:
            raise RestError(400, f"Field config: name is {props['name']}, the field name says {name}")
        target = _initial(body.get("initial_state"))
        if name in self._store.connectors():
            raise RestError(409, f"Connector {name} already exists")
        self._check(props)
        if target is not None:
            await self._store.put_target(name, target)
        await self._herder.put_config(name, props)
        return answer(self._info(name), 201, _location(request, name))

    async def info(self, request: web.Request) -> web.Response:
        """`GET /connectors/{name}`."""
        return answer(self._info(self._known(request)))

    async def config(self, request: web.Request) -> web.Response:
        """`GET /connectors/{name}/config`."""
        return answer(self._shown_config(self._known(request)))

    async def put_config(self, request: web.Request) -> web.Response:
        """`PUT /connectors/{name}/config`."""
        name = request.match_info["name"]
        props = await _props(request)
        if props.setdefault("name", name) != name:
            raise RestError(400, f"Option name is {props['name']}, the path says {name}")
        old = self._store.config(name)
        props = _unmasked(props, old or {})
        self._check(props)
        if props == old:
            return answer(self._info(name), 200, {CHANGE: "unchanged"})
        await self._herder.put_config(name, props)
        if old is None:
            return answer(self._info(name), 201, _location(request, name) | {CHANGE: "created"})
        return answer(self._info(name), 200, {CHANGE: "updated"})

    async def delete(self, request: web.Request) -> web.Response:
        """`DELETE /connectors/{name}`."""
        await self._store.delete(self._known(request))
        return web.Response(status=204)

    async def status(self, request: web.Request) -> web.Response:
        """`GET /connectors/{name}/status`."""
        name = self._known(request)
        return answer(self._herder.status(name) | {"type": self._kind(name)})

    async def tasks(self, request: web.Request) -> web.Response:
        """`GET /connectors/{name}/tasks`."""
        name = self._known(request)
        masked = [self._masked(name, config) for config in self._store.task_configs(name)]
        return answer([{"id": {"connector": name, "task": n}, "config": c} for n, c in enumerate(masked)])

    async def offsets(self, request: web.Request) -> web.Response:
        """`GET /connectors/{name}/offsets` of a source."""
        name = self._known(request)
        pairs = self._store.source_offsets(name)
        return answer({"offsets": [{"partition": partition, "offset": offset} for partition, offset in pairs]})

    async def task_status(self, request: web.Request) -> web.Response:
        """`GET /connectors/{name}/tasks/{number}/status`."""
        task = self._known_task(request)
        return answer({"id": task.number} | self._herder.task_status(task))

    async def restart_task(self, request: web.Request) -> web.Response:
        """`POST /connectors/{name}/tasks/{number}/restart`."""
        await self._herder.restart_task(self._known_task(request))
        return web.Response(status=204)

    async def restart(self, request: web.Request) -> web.Response:
        """`POST /connectors/{name}/restart` (KIP-745)."""
        name = self._known(request)
        include, failed = _flag(request, "includeTasks"), _flag(request, "onlyFailed")
        status = self._herder.status(name)
        tasks = [task["id"] for task in status["tasks"] if include and (not failed or task["state"] == "FAILED")]
        await self._herder.restart(name, tasks)
        if include or failed:
            return answer(self._herder.status(name) | {"type": self._kind(name)}, 202)
        return web.Response(status=204)

    async def pause(self, request: web.Request) -> web.Response:
        """`PUT /connectors/{name}/pause`."""
        return await self._target(request, Target.PAUSED, 202)

    async def resume(self, request: web.Request) -> web.Response:
        """`PUT /connectors/{name}/resume`."""
        return await self._target(request, Target.STARTED, 202)

    async def stop(self, request: web.Request) -> web.Response:
        """`PUT /connectors/{name}/stop`."""
        return await self._target(request, Target.STOPPED, 204)

    async def _target(self, request: web.Request, target: Target, status: int) -> web.Response:
        await self._store.put_target(self._known(request), target)
        return web.Response(status=status)

    # --- shared ---

    def _known(self, request: web.Request) -> str:
        name = request.match_info["name"]
        if name not in self._store.connectors():
            raise RestError(404, f"Connector {name} not found{did_you_mean(name, self._store.connectors())}")
        return name

    def _known_task(self, request: web.Request) -> TaskId:
        name, number = self._known(request), int(request.match_info["number"])
        if number >= len(self._store.task_configs(name)):
            raise RestError(404, f"Connector {name} has no task {number}")
        return TaskId(name, number)

    def _check(self, props: dict[str, str]) -> None:
        _, values = check(props)
        errors = [text for value in values for text in value.errors]
        if errors:
            raise RestError(400, "\n".join([f"The configuration has {len(errors)} error(s):", *errors]))

    def _kind(self, name: str) -> str:
        try:
            return kind_of(connector_class((self._store.config(name) or {}).get("connector.class", "")))
        except ConfigError:
            return "unknown"

    def _info(self, name: str) -> dict[str, Any]:
        tasks = [{"connector": name, "task": number} for number in range(len(self._store.task_configs(name)))]
        return {"name": name, "config": self._shown_config(name), "tasks": tasks, "type": self._kind(name)}

    def _shown_config(self, name: str) -> dict[str, str]:
        return self._masked(name, self._store.config(name) or {})

    def _masked(self, name: str, config: dict[str, str]) -> dict[str, str]:
        """Hide the values of PASSWORD options; references tell nothing and stay."""
        try:
            plugin = connector_class(config.get("connector.class", ""))
            keys = definition(kind_of(plugin)) | plugin.config()
        except ConfigError:
            return {key: config[key] for key in ("name", "connector.class") if key in config}
        secret = {key for key in config if (found := keys.find(key)) and found.type is Type.PASSWORD}
        return {k: Password.HIDDEN if k in secret and not _SECRET.match(v) else v for k, v in config.items()}


def _unmasked(props: dict[str, str], old: dict[str, str]) -> dict[str, str]:
    """Take `[hidden]` as unchanged, so that what GET config gave can be put back."""
    return {key: old.get(key, value) if value == Password.HIDDEN else value for key, value in props.items()}


def _plugin(name: str) -> type[Connector]:
    try:
        return connector_class(name)
    except ConfigError as error:
        raise RestError(404, str(error)) from None


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise RestError(400, f"The body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise RestError(400, "The body: a JSON object is needed")
    return body


async def _props(request: web.Request) -> dict[str, str]:
    return _strings("body", await _object(request))


def _strings(field: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise RestError(400, f"Field {field}: an object of options is needed")
    props: dict[str, str] = {}
    for key, given in value.items():
        if isinstance(given, dict | list):
            raise RestError(400, f"Option {key}: a single value is needed")
        if given is not None:
            props[key] = ("true" if given else "false") if isinstance(given, bool) else str(given)
    return props


def _initial(given: Any) -> Target | None:
    words = {"RUNNING": Target.STARTED, "PAUSED": Target.PAUSED, "STOPPED": Target.STOPPED}
    if given is None:
        return None
    if not isinstance(given, str) or given.upper() not in words:
        raise RestError(400, f"Field initial_state: {given!r} is not one of {', '.join(words)}")
    return words[given.upper()]


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "false").lower() == "true"


def _location(request: web.Request, name: str) -> dict[str, str]:
    return {"Location": f"{request.url.origin()}/connectors/{quote(name, safe='')}"}


def _definition(key: ConfigKey | None, name: str = "", order: int = -1) -> dict[str, Any]:
    if key is None:
        key = ConfigKey(name, Type.STRING, None, "Unknown option.", Importance.LOW)
    default = None if key.required or key.default is None else str(key.default)
    return {
        "name": key.name,
        "type": key.type.value,
        "required": key.required,
        "default_value": default,
        "importance": key.importance.value,
        "documentation": key.doc,
        "group": key.group,
        "width": key.width.value,
        "display_name": key.display_name or key.name,
        "dependents": list(key.dependents),
        "order": order,
    }


def _value(value: ConfigValue) -> dict[str, Any]:
    shown = None if value.value is None else str(value.value)
    return {
        "name": value.name,
        "value": shown,
        "recommended_values": list(value.recommended),
        "errors": value.errors,
        "visible": value.visible,
    }
