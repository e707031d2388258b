"""The table of routes: what the server routes by, who may call what, and what the OpenAPI document is made of."""

from __future__ import annotations

from typing import Any

from connectors.runtime.rest import models
from connectors.runtime.rest.bodies import AlterOffsets, CreateConnector, Level, Options, Patch, Signal
from connectors.runtime.rest.connectors import Connectors
from connectors.runtime.rest.context import Context
from connectors.runtime.rest.control import Control
from connectors.runtime.rest.plugins import Plugins
from connectors.runtime.rest.route import Query, Route
from connectors.runtime.rest.worker import Worker

__all__ = ["routes"]

_ONE = "/connectors/{connector}"
_BOOL = ("true", "false")
_CHANGE: dict[str, Any] = {"access": "admin", "leader": True}


def routes(context: Context) -> list[Route]:
    """Return all routes; the document's own is added by the server."""
    return [*_worker(Worker(context)), *_plugins(Plugins(context)), *_connectors(Connectors(context)),
            *_control(Control(context))]  # fmt: skip


def _worker(worker: Worker) -> list[Route]:
    health = models.HealthAnswer
    by_name = Query("connector", "Judge this connector instead of the worker; may be repeated.", repeated=True)
    scope = Query("scope", "worker (default): here; cluster: on all workers.", ("worker", "cluster"))
    return [
        Route("GET", "/", worker.root, {200: models.WorkerInfo}, early=True),
        Route("GET", "/health", worker.health, {200: health, 500: health, 503: health}, (404,), query=(by_name,),
              access="open", early=True),
        Route("GET", "/metrics", worker.metrics, {200: str}, early=True, content="text/plain"),
        Route("GET", "/admin/loggers", worker.loggers, {200: dict[str, models.LoggerLevel]}, early=True),
        Route("GET", "/admin/loggers/{logger}", worker.logger, {200: models.LoggerLevel}, (404,), early=True),
        Route("PUT", "/admin/loggers/{logger}", worker.set_logger, {200: list[str], 204: None}, body=Level,
              query=(scope,), access="admin", early=True),
        Route("GET", "/internal/progress", worker.progress, {200: list[dict[str, Any]]}, access="worker"),
    ]  # fmt: skip


def _plugins(plugins: Plugins) -> list[Route]:
    only = Query("connectorsOnly", "false lists converters, transforms and predicates too.", _BOOL)
    connect = Query("connect", "true has the plugin also try to reach its system.", _BOOL)
    one = "/connector-plugins/{plugin}/config"
    return [
        Route("GET", "/connector-plugins", plugins.list_all, {200: list[models.Plugin]}, query=(only,), early=True),
        Route("GET", one, plugins.config, {200: list[models.KeyDefinition]}, (404,), early=True),
        Route("PUT", f"{one}/validate", plugins.validate, {200: models.Validation}, (404,), body=Options,
              query=(connect,), access="admin", early=True),
    ]  # fmt: skip


def _connectors(connectors: Connectors) -> list[Route]:
    info = models.ConnectorInfo
    expand = Query("expand", "Show more of each connector; may be repeated.", ("status", "info"), repeated=True)
    listed = list[str] | dict[str, models.Expanded]
    return [
        Route("GET", "/connectors", connectors.list_all, {200: listed}, query=(expand,)),
        Route("POST", "/connectors", connectors.create, {201: info}, (409,), body=CreateConnector, **_CHANGE),
        Route("GET", _ONE, connectors.info, {200: info}, (404,)),
        Route("DELETE", _ONE, connectors.delete, {204: None}, (404,), **_CHANGE),
        Route("GET", f"{_ONE}/config", connectors.config, {200: dict[str, str]}, (404,)),
        Route("PUT", f"{_ONE}/config", connectors.put_config, {200: info, 201: info}, (409,), body=Options, **_CHANGE),
        Route("PATCH", f"{_ONE}/config", connectors.patch_config, {200: info}, (404, 409), body=Patch, **_CHANGE),
        Route("GET", f"{_ONE}/status", connectors.status, {200: models.ConnectorStatus}, (404,)),
        Route("GET", f"{_ONE}/tasks", connectors.tasks, {200: list[models.TaskInfo]}, (404,)),
        Route("GET", f"{_ONE}/tasks/{{task}}/status", connectors.task_status, {200: models.TaskStatus}, (404,)),
    ]


def _control(control: Control) -> list[Route]:
    include = Query("includeTasks", "Restart the tasks too.", _BOOL)
    failed = Query("onlyFailed", "Restart only what has failed.", _BOOL)
    offsets = f"{_ONE}/offsets"
    return [
        Route("POST", f"{_ONE}/restart", control.restart, {202: models.ConnectorStatus, 204: None}, (404,),
              query=(include, failed), **_CHANGE),
        Route("POST", f"{_ONE}/tasks/{{task}}/restart", control.restart_task, {204: None}, (404,), **_CHANGE),
        Route("PUT", f"{_ONE}/pause", control.pause, {202: None}, (404,), **_CHANGE),
        Route("PUT", f"{_ONE}/resume", control.resume, {202: None}, (404,), **_CHANGE),
        Route("PUT", f"{_ONE}/stop", control.stop, {204: None}, (404,), **_CHANGE),
        Route("POST", f"{_ONE}/signals", control.signal, {202: None}, (404, 409), body=Signal, **_CHANGE),
        Route("GET", f"{_ONE}/topics", control.topics, {200: dict[str, models.Topics]}),
        Route("PUT", f"{_ONE}/topics/reset", control.reset_topics, {202: None}, (404,), **_CHANGE),
        Route("GET", offsets, control.offsets, {200: models.OffsetsAnswer}, (404,)),
        Route("PATCH", offsets, control.alter_offsets, {200: models.Message}, (404, 409), body=AlterOffsets, **_CHANGE),
        Route("DELETE", offsets, control.reset_offsets, {200: models.Message}, (404, 409), **_CHANGE),
    ]  # fmt: skip
