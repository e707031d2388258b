"""Collections, tuples, user-defined types and vectors, made of the encoders of their elements.

A value is a JSON array or object, or the text of one, as Canal writes a JSON column.

Source: CQL binary protocol v5, section "data type serialization formats".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from connectors.clients.cassandra.errors import ReasonError

__all__ = ["UserTypes", "nested_encoder"]

Encode = Callable[[Any], bytes]

UserTypes = Mapping[str, Mapping[str, str]]
"""User-defined type to its fields, in order, and their types."""

_NULL: Final = b"\xff\xff\xff\xff"
_TOKEN: Final = re.compile(r'\s*("(?:[^"]|"")+"|\w+|[<>,])')
# Types whose values all have the same size: in a vector they stand without a length.
_SIZES: Final = {
    "float": 4,
    "double": 8,
    "int": 4,
    "bigint": 8,
    "timestamp": 8,
    "boolean": 1,
    "uuid": 16,
    "timeuuid": 16,
}

_int32 = struct.Struct(">i").pack


@dataclass(frozen=True, slots=True)
class _Type:
    name: str
    arguments: tuple[_Type, ...] = ()


def nested_encoder(cql_type: str, scalar: Callable[[str], Encode | None], user_types: UserTypes) -> Encode | None:
    """Return the encoder of a type with other types in it; None where one of them is not supported.

    Args:
        cql_type: As the schema tells it, e.g. `map<text, frozen<list<int>>>`.
        scalar: Returns the encoder of a plain type.
        user_types: The keyspace's.
    """
    return _encoder(_parse(cql_type), scalar, user_types)


def _parse(text: str) -> _Type:
    tokens = [token.strip('"').replace('""', '"') for token in _TOKEN.findall(text)]
    found, _ = _parse_at(tokens, 0)
    return found


def _parse_at(tokens: list[str], at: int) -> tuple[_Type, int]:
    name, at = tokens[at], at + 1
    arguments = []
    if at < len(tokens) and tokens[at] == "<":
        while tokens[at] != ">":
            argument, at = _parse_at(tokens, at + 1)
            arguments.append(argument)
        at += 1
    return _Type(name, tuple(arguments)), at


def _encoder(kind: _Type, scalar: Callable[[str], Encode | None], user_types: UserTypes) -> Encode | None:
    if kind.name == "frozen":
        return _encoder(kind.arguments[0], scalar, user_types)
    if kind.name == "vector":
        return _vector(kind, scalar)
    if kind.name in user_types and not kind.arguments:
        fields = user_types[kind.name]
        parts = [nested_encoder(each, scalar, user_types) for each in fields.values()]
        return None if None in parts else _user_type(dict(zip(fields, parts, strict=True)))
    if not kind.arguments:
        return scalar(kind.name)
    made = [_encoder(argument, scalar, user_types) for argument in kind.arguments]
    elements = [each for each in made if each is not None]
    if len(elements) < len(made):
        return None
    if kind.name == "list":
        return _list(elements[0], unique=False)
    if kind.name == "set":
        return _list(elements[0], unique=True)
    if kind.name == "map":
        return _map(*elements)
    return _tuple(elements) if kind.name == "tuple" else None


def _array(value: Any) -> list[Any] | tuple[Any, ...]:
    found = _unpacked(value)
    if isinstance(found, set | frozenset):
        found = list(found)
    if not isinstance(found, list | tuple):
        raise ReasonError("an array is needed")
    return found


def _object(value: Any) -> Mapping[str, Any]:
    found = _unpacked(value)
    if not isinstance(found, Mapping):
        raise ReasonError("an object is needed")
    return found


def _unpacked(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise ReasonError("JSON is needed") from None


def _element(encode: Encode, value: Any) -> bytes:
    if value is None:
        raise ReasonError("a collection cannot hold null")
    data = encode(value)
    return _int32(len(data)) + data


def _part(encode: Encode, value: Any) -> bytes:
    return _NULL if value is None else _element(encode, value)


def _list(element: Encode, *, unique: bool) -> Encode:
    def encode(value: Any) -> bytes:
        parts = [_element(element, each) for each in _array(value)]
        if unique:
            parts = list(dict.fromkeys(parts))
        return _int32(len(parts)) + b"".join(parts)

    return encode


def _map(key: Encode, element: Encode) -> Encode:
    def encode(value: Any) -> bytes:
        pairs = {_element(key, name): _element(element, each) for name, each in _object(value).items()}
        return _int32(len(pairs)) + b"".join(name + each for name, each in pairs.items())

    return encode


def _tuple(elements: list[Encode]) -> Encode:
    def encode(value: Any) -> bytes:
        values = _array(value)
        if len(values) != len(elements):
            raise ReasonError(f"{len(elements)} values are needed, not {len(values)}")
        return b"".join(_part(each, one) for each, one in zip(elements, values, strict=True))

    return encode


def _user_type(fields: Mapping[str, Any]) -> Encode:
    known = {name.lower() for name in fields}

    def encode(value: Any) -> bytes:
        given = {name.lower(): each for name, each in _object(value).items()}
        strange = given.keys() - known
        if strange:
            raise ReasonError(f"the type has no field {', '.join(sorted(strange))}")
        return b"".join(_part(each, given.get(name.lower())) for name, each in fields.items())

    return encode


def _vector(kind: _Type, scalar: Callable[[str], Encode | None]) -> Encode | None:
    element, dimension = scalar(kind.arguments[0].name), int(kind.arguments[1].name)
    if element is None or kind.arguments[0].name not in _SIZES:
        return None
    each = element

    def encode(value: Any) -> bytes:
        values = _array(value)
        if len(values) != dimension:
            raise ReasonError(f"{dimension} values are needed, not {len(values)}")
        return b"".join(each(one) for one in values)

    return encode
