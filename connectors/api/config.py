"""Declared configuration: a plugin's options in one table that is parsed, validated and documented from it.

Source: Kafka Connect's `ConfigDef` (org.apache.kafka.common.config), with one difference: an unknown option is an
error that names the nearest known one, because a mistyped option that is silently ignored loses data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

from connectors.api.errors import ConfigError, did_you_mean

__all__ = [
    "ConfigDef",
    "ConfigKey",
    "ConfigValue",
    "Importance",
    "Password",
    "Recommendation",
    "Recommender",
    "Type",
    "Validator",
    "Width",
]


class Type(Enum):
    """Type of an option's value."""

    BOOLEAN = "BOOLEAN"
    STRING = "STRING"
    INT = "INT"
    SHORT = "SHORT"
    LONG = "LONG"
    DOUBLE = "DOUBLE"
    LIST = "LIST"
    CLASS = "CLASS"
    PASSWORD = "PASSWORD"


class Importance(Enum):
    """How likely a user is to set an option."""

    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


class Width(Enum):
    """How much room an option's value needs in a form."""

    NONE = "NONE"
    SHORT = "SHORT"
    MEDIUM = "MEDIUM"
    LONG = "LONG"


class Password:
    """A secret that prints as `[hidden]`."""

    __slots__ = ("value",)

    HIDDEN: Final = "[hidden]"

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return self.HIDDEN

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Password) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()

Validator = Callable[[str, Any], None]
"""Takes an option's name and parsed value; raises `ConfigError` where the value is not allowed."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What a recommender says of an option.

    Attributes:
        values: Values that are worth offering.
        visible: Whether the option matters, given the others.
    """

    values: tuple[str, ...] = ()
    visible: bool = True


Recommender = Callable[[str, Mapping[str, Any]], Recommendation]
"""Takes an option's name and all parsed values (None where one could not be parsed)."""


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """One option.

    Attributes:
        name: Dotted name; for a family of options, the name as documented, e.g. `topic.<topic>.<keyspace>.<table>.ttl`.
        type: Type of its value.
        default: Default value, or `ConfigDef.REQUIRED`.
        doc: What it means, for the person who sets it.
        importance: How likely it is to be set.
        validator: Check of the parsed value.
        group: Heading under which it is listed.
        pattern: Regular expression of the names in a family, matched whole; None for a single option.
        recommended: Values that are worth offering.
        recommender: Finds such values, and whether the option matters, from the other options.
        display_name: Name in a form; empty for `name`.
        width: Room in a form.
        dependents: Options whose meaning depends on this one.
    """

    name: str
    type: Type
    default: Any
    doc: str
    importance: Importance = Importance.MEDIUM
    validator: Validator | None = None
    group: str = "Common"
    pattern: re.Pattern[str] | None = None
    recommended: tuple[str, ...] = ()
    recommender: Recommender | None = None
    display_name: str = ""
    width: Width = Width.NONE
    dependents: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """Whether the option has no default."""
        return self.default is REQUIRED

    def below(self, prefix: str) -> ConfigKey:
        """Return the option, or the family, as it is called behind a prefix such as `transforms.route.`."""
        pattern = None if self.pattern is None else re.compile(re.escape(prefix) + f"(?:{self.pattern.pattern})")
        return replace(self, name=f"{prefix}{self.name}", pattern=pattern)

    def matches(self, name: str) -> bool:
        """Tell whether `name` is this option or belongs to this family."""
        return name == self.name if self.pattern is None else self.pattern.fullmatch(name) is not None


@dataclass(slots=True)
class ConfigValue:
    """What validation found out about one option.

    Attributes:
        name: The option.
        value: The parsed value; None where it could not be parsed.
        errors: Sentences for the user; empty where all is well.
        recommended: Values that are worth offering.
        visible: Whether the option matters, given the others.
    """

    name: str
    value: Any = None
    errors: list[str] = field(default_factory=list)
    recommended: tuple[str, ...] = ()
    visible: bool = True


class ConfigDef:
    """The options of a plugin.

    >>> definition = ConfigDef().define("tasks.max", Type.INT, 1, doc="Most tasks.")
    >>> definition.parse({"tasks.max": "2"})
    {'tasks.max': 2}
    """

    REQUIRED: Final = REQUIRED

    def __init__(self, keys: Iterable[ConfigKey] = ()) -> None:
        self._keys: dict[str, ConfigKey] = {}
        for key in keys:
            self.add(key)

    def add(self, key: ConfigKey) -> ConfigDef:
        """Add an option.

        Raises:
            ValueError: It is there already.
        """
        if key.name in self._keys:
            raise ValueError(f"option {key.name} is defined twice")
        self._keys[key.name] = key
        return self

    def define(
        self,
        name: str,
        type: Type,  # noqa: A002 - Kafka Connect's word
        default: Any = REQUIRED,
        *,
        doc: str,
        importance: Importance = Importance.MEDIUM,
        validator: Validator | None = None,
        group: str = "Common",
        pattern: str | None = None,
        recommended: tuple[str, ...] = (),
        recommender: Recommender | None = None,
        display_name: str = "",
        width: Width = Width.NONE,
        dependents: tuple[str, ...] = (),
    ) -> ConfigDef:
        """Add an option; the arguments are `ConfigKey`'s. Returns the definition, so that calls can be chained."""
        compiled = re.compile(pattern) if pattern is not None else None
        return self.add(
            ConfigKey(
                name,
                type,
                default,
                doc,
                importance,
                validator,
                group,
                compiled,
                recommended,
                recommender,
                display_name or name,
                width,
                dependents,
            ),
        )

    def order(self, name: str) -> int:
        """Return an option's place in its group, from 1; -1 where there is no such option."""
        key = self._keys.get(name)
        if key is None:
            return -1
        return [each.name for each in self if each.group == key.group].index(name) + 1

    def __iter__(self) -> Iterator[ConfigKey]:
        return iter(self._keys.values())

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    def __or__(self, other: ConfigDef) -> ConfigDef:
        return ConfigDef([*self, *(key for key in other if key.name not in self._keys)])

    def find(self, name: str) -> ConfigKey | None:
        """Return the option or the family that `name` belongs to."""
        exact = self._keys.get(name)
        if exact is not None and exact.pattern is None:
            return exact
        return next((key for key in self._keys.values() if key.pattern is not None and key.matches(name)), None)

    def validate(self, props: Mapping[str, Any]) -> list[ConfigValue]:
        """Check every option and report all errors at once.

        Args:
            props: Options as given, values as text or already typed.

        Returns:
            One entry for each option defined and for each option given.
        """
        found = [self._check(key, key.name, props) for key in self if key.pattern is None]
        for name in props:
            if name in self._keys and self._keys[name].pattern is None:
                continue
            family = self.find(name)
            if family is not None:
                found.append(self._check(family, name, props))
            else:
                known = [key.name for key in self]
                found.append(ConfigValue(name, None, [f"Unknown option {name}{did_you_mean(name, known)}"]))
        self._recommend(found)
        return found

    def _recommend(self, found: list[ConfigValue]) -> None:
        parsed = {value.name: value.value for value in found}
        for value in found:
            key = self.find(value.name)
            if key is not None and key.recommender is not None:
                said = key.recommender(value.name, parsed)
                value.recommended, value.visible = said.values, said.visible

    def parse(self, props: Mapping[str, Any]) -> dict[str, Any]:
        """Return the typed values, defaults filled in; families by the names given.

        Raises:
            ConfigError: One or more options cannot be used; the message has a line for each.
        """
        values = self.validate(props)
        bad = [value for value in values if value.errors]
        if bad:
            raise ConfigError("\n".join(text for value in bad for text in value.errors), key=bad[0].name)
        return {value.name: value.value for value in values}

    def _check(self, key: ConfigKey, name: str, props: Mapping[str, Any]) -> ConfigValue:
        result = ConfigValue(name, recommended=key.recommended)
        if props.get(name) is None:
            if key.required:
                result.errors.append(f"Missing required option {name}: {key.doc}")
            else:
                result.value = key.default
            return result
        try:
            result.value = parse_value(name, key.type, props[name])
            if key.validator is not None:
                key.validator(name, result.value)
        except ConfigError as error:
            result.value = None
            result.errors.append(str(error))
        return result


def parse_value(name: str, type_: Type, given: Any) -> Any:
    """Turn an option's text into its type; a value that already has the type passes unchanged.

    Raises:
        ConfigError: The text does not stand for such a value.
    """
    if type_ is Type.PASSWORD:
        return given if isinstance(given, Password) else Password(str(given))
    if type_ is Type.LIST and isinstance(given, list | tuple):
        return [str(item) for item in given]
    if type_ is Type.CLASS and isinstance(given, type):
        return given
    if isinstance(given, dict | list | tuple):
        raise ConfigError(f"Option {name}: a single value is needed, not {type(given).__name__}", key=name)
    text = ("true" if given else "false") if isinstance(given, bool) else str(given).strip()
    parser = _PARSERS.get(type_)
    if parser is None:
        return text
    try:
        return parser(text)
    except ValueError:
        raise ConfigError(f"Option {name}: {text!r} is not {_EXPECTED[type_]}", key=name) from None


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ("true", "false"):
        raise ValueError(text)
    return lowered == "true"


def _int16(text: str) -> int:
    number = int(text)
    if not -(2**15) <= number < 2**15:
        raise ValueError(text)
    return number


def _int32(text: str) -> int:
    number = int(text)
    if not -(2**31) <= number < 2**31:
        raise ValueError(text)
    return number


def _int64(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError(text)
    return number


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


_PARSERS: dict[Type, Callable[[str], Any]] = {
    Type.BOOLEAN: _boolean,
    Type.INT: _int32,
    Type.SHORT: _int16,
    Type.LONG: _int64,
    Type.DOUBLE: float,
    Type.LIST: _list,
}
_EXPECTED = {
    Type.BOOLEAN: "true or false",
    Type.INT: "a whole number of 32 bits",
    Type.SHORT: "a whole number of 16 bits",
    Type.LONG: "a whole number of 64 bits",
    Type.DOUBLE: "a number",
    Type.LIST: "a comma-separated list",
}
