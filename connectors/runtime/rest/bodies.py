"""The bodies of requests, checked by pydantic; what is wrong is said field by field."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, TypeAdapter, ValidationError
from pydantic.json_schema import WithJsonSchema

from connectors.api.errors import did_you_mean
from connectors.runtime.loggers import LEVELS
from connectors.runtime.rest.answers import RestError
from connectors.runtime.state import Target

__all__ = [
    "AlterOffsets",
    "CreateConnector",
    "Level",
    "Options",
    "Patch",
    "SinkOffset",
    "SourceOffset",
    "checked",
    "read",
]

T = TypeVar("T", bound=BaseModel)
_INITIAL = {"RUNNING": Target.STARTED, "PAUSED": Target.PAUSED, "STOPPED": Target.STOPPED}


def _text(value: Any) -> Any:
    if isinstance(value, dict | list):
        raise ValueError("a single value is needed")  # noqa: TRY004 - what pydantic turns into its own error
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _without_nulls(value: Any) -> Any:
    return {key: each for key, each in value.items() if each is not None} if isinstance(value, dict) else value


def _initial(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str) or value.upper() not in _INITIAL:
        raise ValueError(f"{value!r} is not one of {', '.join(_INITIAL)}")
    return _INITIAL[value.upper()]


def _level(value: Any) -> Any:
    if not isinstance(value, str) or value.upper() not in LEVELS:
        raise ValueError(f"{value!r} is not one of {', '.join(LEVELS)}")
    return value.upper()


_SCALAR = {"type": ["string", "number", "boolean"]}
OptionValue = Annotated[str, BeforeValidator(_text), WithJsonSchema(_SCALAR)]
OptionMap = Annotated[dict[str, OptionValue], BeforeValidator(_without_nulls)]
_INITIAL_SCHEMA = {"anyOf": [{"type": "string", "enum": list(_INITIAL)}, {"type": "null"}]}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Options(RootModel[OptionMap]):
    """A connector's configuration: options and their values; numbers and booleans become text, null leaves one out."""


class Patch(RootModel[dict[str, OptionValue | None]]):
    """The options to change; null removes one."""


class CreateConnector(_Body):
    """A new connector."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    config: OptionMap
    initial_state: Annotated[Target | None, BeforeValidator(_initial), WithJsonSchema(_INITIAL_SCHEMA)] = None


class Level(_Body):
    """The level of a logger."""

    level: Annotated[str, BeforeValidator(_level), WithJsonSchema({"type": "string", "enum": list(LEVELS)})]


class Signal(_Body):
    """A message to the running tasks of a source."""

    type: Annotated[str, Field(min_length=1, max_length=100)]
    data: dict[str, Any] = Field(default_factory=dict)


class SourceOffset(_Body):
    """An offset of a source; null forgets it."""

    partition: Annotated[dict[str, Any], Field(min_length=1)]
    offset: dict[str, Any] | None


class _KafkaPartition(_Body):
    kafka_topic: Annotated[str, Field(min_length=1, max_length=249)]
    kafka_partition: Annotated[int, Field(ge=0, lt=2**31)]


class _KafkaOffset(_Body):
    kafka_offset: Annotated[int, Field(ge=0, lt=2**63)]


class SinkOffset(_Body):
    """An offset of a sink's consumer group; null forgets it."""

    partition: _KafkaPartition
    offset: _KafkaOffset | None


class AlterOffsets(_Body):
    """The offsets to change. A sink's have the keys kafka_topic and kafka_partition, and kafka_offset."""

    offsets: Annotated[list[SourceOffset], Field(min_length=1)]


async def read(request: web.Request, model: type[T]) -> T:
    """Read and check a request's body.

    Raises:
        RestError: 415 or 400, with what is wrong.
    """
    if request.content_type not in ("application/json", "application/octet-stream"):
        # The latter is what aiohttp tells where the header is missing.
        raise RestError(415, f"Content-Type is {request.content_type}; application/json is needed")
    text = await request.read()
    if not text.strip():
        raise RestError(400, "The body is empty; a JSON object is needed")
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RestError(400, f"The body is no JSON: {error}") from None
    if not isinstance(given, dict):
        raise RestError(400, "The body: a JSON object is needed")
    body: T = checked(model, given)
    return body


def checked(model: Any, given: Any) -> Any:
    """Check a value against a pydantic model or type.

    Raises:
        RestError: 400, with what is wrong.
    """
    try:
        return TypeAdapter(model).validate_python(given)
    except ValidationError as error:
        known = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else ()
        raise RestError(400, "\n".join(_sentence(each, known) for each in error.errors(include_url=False))) from None


def _sentence(error: Any, known: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    kind: Literal["missing", "extra_forbidden"] | str = error["type"]
    if kind == "missing":
        return f"Field {place}: it is missing"
    if kind == "extra_forbidden":
        return f"Unknown field {place}{did_you_mean(place, known)}"
    return f"Field {place}: {error['msg'].removeprefix('Value error, ')}"
