"""The OpenAPI document, made from the table of routes and the pydantic models.

Source: https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter

from connectors.runtime.rest.models import Error
from connectors.runtime.rest.route import Query, Route

__all__ = ["document"]

_REF = "#/components/schemas/{model}"


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document of the routes that users may call."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for route in routes:
        if route.access != "worker":
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    schemes = {"basic": {"type": "http", "scheme": "basic"}, "bearer": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "faust-connect",
            "version": version("faust-connect"),
            "description": "Kafka Connect's REST interface. Credentials are needed where the worker asks for them.",
        },
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items())), "securitySchemes": schemes},
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": route.handler.__name__ + _suffix(route), "summary": route.summary}
    parameters = [_path_parameter(name) for name in re.findall(r"\{(\w+)\}", route.path)]
    parameters += [_query_parameter(query) for query in route.query]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content = {"application/json": {"schema": _schema(route.body, schemas)}}
        operation["requestBody"] = {"required": True, "content": content}
    operation["responses"] = _responses(route, schemas)
    if route.access != "open":
        operation["security"] = [{}, {"basic": []}, {"bearer": []}]
    return operation


def _suffix(route: Route) -> str:
    return "_of_" + re.sub(r"\W+", "_", route.path).strip("_") if route.path != "/" else ""


def _responses(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    found = {str(status): _response(status, kind, route, schemas) for status, kind in sorted(route.answers.items())}
    statuses = set(route.refusals)
    statuses |= {406} if route.content == "application/json" else set()
    statuses |= {400, 404, 415} if route.body is not None else set()
    statuses |= set() if route.access == "open" else {401}
    statuses |= {403} if route.access == "admin" or "topics" in route.path else set()
    statuses |= {503} if not route.early or route.body is not None else set()
    statuses |= {504} if route.body is not None or "plugin" in route.path or "offsets" in route.path else set()
    statuses |= {409, 400} if route.leader else set()
    statuses |= {413} if route.body is not None else set()
    for status in sorted(statuses - set(route.answers)):
        found[str(status)] = _response(status, Error, route, schemas)
    return found


def _response(status: int, kind: Any, route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if kind is not None:
        content = "application/json" if kind is Error else route.content
        described["content"] = {content: {"schema": _schema(kind, schemas)}}
    return described


def _schema(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type; models go into the components."""
    made = TypeAdapter(kind).json_schema(ref_template=_REF)
    schemas.update(made.pop("$defs", {}))
    name = getattr(kind, "__name__", "") if isinstance(kind, type) else ""
    if hasattr(kind, "model_fields") and name:
        schemas[name] = made
        return {"$ref": _REF.format(model=name)}
    return made


def _path_parameter(name: str) -> dict[str, Any]:
    schema = (
        {"type": "integer", "minimum": 0, "maximum": 999_999_999}
        if name == "task"
        else {"type": "string", "minLength": 1}
    )
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameter(query: Query) -> dict[str, Any]:
    one: dict[str, Any] = {"type": "string"} | ({"enum": list(query.values)} if query.values else {})
    schema = {"type": "array", "items": one} if query.repeated else one
    return {"name": query.name, "in": "query", "required": False, "description": query.doc, "schema": schema}
