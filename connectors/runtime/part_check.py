"""The check of a connector's converters, transforms and predicates, before anything runs.

Source: Kafka Connect's `EnrichedConnectorConfig`, which checks the options of transforms and predicates as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.api.config import ConfigDef, ConfigValue, Type
from connectors.api.errors import ConfigError, ConnectError, did_you_mean
from connectors.api.transform import Predicate, Transform
from connectors.runtime.plugins import converter_class, predicate_class, transform_class

__all__ = ["check_parts"]

_PREDICATE = (
    ConfigDef()
    .define("predicate", Type.STRING, "", doc="Alias of the predicate that chooses the records.")
    .define("negate", Type.BOOLEAN, False, doc="Choose the other records.")
)
"""Options of every transform, beside its own."""


def check_parts(checked: dict[str, ConfigValue], props: Mapping[str, str]) -> None:
    """Check classes and options; what is wrong is noted at the option, by its whole name.

    Args:
        checked: What is known of each option so far; entries are added.
        props: The configuration, references resolved.
    """
    for option in ("key.converter", "value.converter"):
        try:
            keys = converter_class(option, checked[option].value).config()
        except ConfigError as error:
            checked[option].errors.append(str(error))
        else:
            _check_options(checked, f"{option}.", keys, props)
    for alias in checked["predicates"].value or ():
        kind = _class(checked, f"predicates.{alias}.type", props)
        if kind is not None:
            _check_part(checked, f"predicates.{alias}.", kind, props)
    for alias in checked["transforms"].value or ():
        kind = _class(checked, f"transforms.{alias}.type", props)
        _check_predicate(checked, f"transforms.{alias}.predicate", props)
        if kind is not None:
            _check_part(checked, f"transforms.{alias}.", kind, props)


def _class(
    checked: dict[str, ConfigValue], option: str, props: Mapping[str, str]
) -> type[Transform] | type[Predicate] | None:
    entry = checked.setdefault(option, ConfigValue(option))
    group, alias, _ = option.split(".", 2)
    if option not in props:
        entry.errors.append(f"Missing required option {option}: class of the {group.removesuffix('s')} {alias}")
        return None
    try:
        return (
            transform_class(option, props[option]) if group == "transforms" else predicate_class(option, props[option])
        )
    except ConfigError as error:
        entry.errors.append(str(error))
        return None


def _check_predicate(checked: dict[str, ConfigValue], option: str, props: Mapping[str, str]) -> None:
    name, known = props.get(option, ""), checked["predicates"].value or ()
    if name and name not in known:
        near = did_you_mean(name, known) or f"; predicates has {', '.join(known) or 'none'}"
        checked.setdefault(option, ConfigValue(option)).errors.append(f"Option {option}: no predicate {name}{near}")


def _check_part(
    checked: dict[str, ConfigValue], prefix: str, kind: type[Transform] | type[Predicate], props: Mapping[str, str]
) -> None:
    """Check the options of a transform or predicate, then have it take them: it may know more than they say."""
    beside = _PREDICATE if issubclass(kind, Transform) else ConfigDef()
    if _check_options(checked, prefix, kind.config() | beside, props, ("type",)):
        return
    own = {
        name.removeprefix(prefix): value
        for name, value in props.items()
        if name.startswith(prefix) and name.removeprefix(prefix) not in ("type", *(key.name for key in beside))
    }
    part = kind()
    try:
        part.configure(own)
    except ConnectError as error:
        key = getattr(error, "key", None) or ""
        option = f"{prefix}{key if key in own else 'type'}"
        checked.setdefault(option, ConfigValue(option)).errors.append(f"Option {option}: {error}")
    if isinstance(part, Transform):
        part.close()


def _check_options(
    checked: dict[str, ConfigValue], prefix: str, keys: ConfigDef, props: Mapping[str, str], known: Iterable[str] = ()
) -> bool:
    """Check options that follow a prefix; returns whether something is wrong with them."""
    beside = {f"{prefix}{name}" for name in known}
    given = {name: value for name, value in props.items() if name.startswith(prefix) and name not in beside}
    wrong = False
    for value in ConfigDef(key.below(prefix) for key in keys).validate(given):
        if value.errors:
            wrong = True
            checked.setdefault(value.name, ConfigValue(value.name)).errors.extend(value.errors)
    return wrong
