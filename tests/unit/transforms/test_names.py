from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import connectors.transforms
from connectors.api.transform import Transform
from connectors.transforms.base import SidedTransform

MODULES = [
    importlib.import_module(f"connectors.transforms.{found.name}")
    for found in pkgutil.iter_modules(connectors.transforms.__path__)
]
KINDS = {
    kind.__name__: kind
    for module in MODULES
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, Transform) and kind.__module__ == module.__name__ and not inspect.isabstract(kind)
}
SIDED = [
    "Cast",
    "ExtractField",
    "Flatten",
    "HeaderFrom",
    "HoistField",
    "InsertField",
    "MaskField",
    "ReplaceField",
    "SetSchemaMetadata",
    "TimestampConverter",
]
WHOLE = ["DropHeaders", "Filter", "InsertHeader", "RegexRouter", "TimestampRouter", "ValueToKey"]


@pytest.mark.parametrize("name", SIDED)
def test_a_transform_has_a_class_for_the_key_and_one_for_the_value(name: str) -> None:
    for suffix in ("", "Key", "Value"):
        kind = KINDS[f"{name}{suffix}"]
        if issubclass(kind, SidedTransform):
            assert kind().name == (f"{name}$Key" if suffix == "Key" else f"{name}$Value")


def test_there_are_the_transforms_of_kafka_connect_and_no_others() -> None:
    sided = {f"{name}{suffix}" for name in SIDED for suffix in ("", "Key", "Value")}
    assert set(KINDS) - {"NamedTransform"} == sided | set(WHOLE)


@pytest.mark.parametrize("kind", KINDS.values())
def test_every_option_is_documented(kind: type[Transform]) -> None:
    assert all(key.doc for key in kind.config())
