"""What validation says of converters, transforms and predicates before anything runs."""

from __future__ import annotations

import pytest

from connectors import ConfigDef, ConfigError, ConfigValue, Type
from connectors.runtime.base_config import check
from tests.unit.runtime.test_base_config import ToySink, toys

__all__ = ["toys"]

REQUIRED = {"name": "x", "connector.class": "ToySink", "url": "u", "topics": "t"}


def errors(**props: str) -> dict[str, list[str]]:
    """Return the errors of each option that has some; `__` stands for a dot."""
    given = REQUIRED | {name.replace("__", "."): value for name, value in props.items()}
    return {value.name: value.errors for value in check(given)[1] if value.errors}


def test_an_option_that_a_transform_needs_is_missed_under_its_whole_name() -> None:
    found = errors(transforms="a", transforms__a__type="ExtractField$Value")
    assert list(found) == ["transforms.a.field"]
    assert "Missing required option transforms.a.field" in found["transforms.a.field"][0]


def test_a_mistyped_option_of_a_transform_names_the_nearest() -> None:
    found = errors(
        transforms="a",
        transforms__a__type="ExtractField$Value",
        transforms__a__field="f",
        transforms__a__feild="f",
    )
    assert found == {"transforms.a.feild": ["Unknown option transforms.a.feild; did you mean transforms.a.field?"]}


def test_what_only_the_transform_itself_can_tell_is_told_too() -> None:
    found = errors(
        transforms="a",
        transforms__a__type="HeaderFrom$Value",
        transforms__a__fields="f,g",
        transforms__a__headers="h",
        transforms__a__operation="copy",
    )
    assert len(found) == 1
    assert "headers" in next(iter(found.values()))[0]


def test_a_transform_may_only_use_a_predicate_that_is_there() -> None:
    found = errors(
        transforms="a",
        transforms__a__type="Filter",
        transforms__a__predicate="tomstone",
        transforms__a__negate="perhaps",
        predicates="tombstone",
        predicates__tombstone__type="RecordIsTombstone",
    )
    assert "did you mean tombstone" in found["transforms.a.predicate"][0]
    assert "true or false" in found["transforms.a.negate"][0]
    assert len(found) == 2


def test_a_predicate_needs_a_class_and_its_options() -> None:
    found = errors(
        predicates="p,q,r",
        predicates__p__type="HasHeaderKey",
        predicates__q__type="HasHeaderKeys",
        predicates__r__name="n",
    )
    assert "Missing required option predicates.p.name" in found["predicates.p.name"][0]
    assert "did you mean HasHeaderKey" in found["predicates.q.type"][0]
    assert "Missing required option predicates.r.type" in found["predicates.r.type"][0]
    assert len(found) == 3


def test_options_of_converters_are_checked() -> None:
    found = errors(
        value__converter="json",
        value__converter__schemas__enable="perhaps",
        key__converter="string",
        key__converter__schemas__enable="false",
    )
    assert "true or false" in found["value.converter.schemas.enable"][0]
    assert found["key.converter.schemas.enable"] == ["Unknown option key.converter.schemas.enable"]
    assert len(found) == 2


@pytest.mark.parametrize("option", ["transforms", "predicates"])
def test_an_alias_may_be_there_once(option: str) -> None:
    parts = {"transforms": "Filter", "predicates": "RecordIsTombstone"}
    found = errors(**{option: "a, b, a", f"{option}__a__type": parts[option], f"{option}__b__type": parts[option]})
    assert found == {option: [f"Option {option}: a is there twice"]}


def test_what_a_reference_stands_for_is_not_in_the_error_of_another_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_HEADERS", "cheese-one,cheese-two")
    found = errors(
        transforms="a",
        transforms__a__type="HeaderFrom$Value",
        transforms__a__fields="f",
        transforms__a__headers="${env:SECRET_HEADERS}",
        transforms__a__operation="copy",
    )
    assert found
    assert "cheese" not in str(found)


def test_a_good_chain_has_no_errors() -> None:
    assert not errors(
        transforms="a",
        transforms__a__type="org.apache.kafka.connect.transforms.InsertField$Value",
        transforms__a__topic__field="t",
        transforms__a__predicate="p",
        transforms__a__negate="true",
        predicates="p",
        predicates__p__type="TopicNameMatches",
        predicates__p__pattern="t.*",
    )


def test_the_dead_letter_topic_may_not_match_the_expression_of_topics() -> None:
    given = REQUIRED | {"topics.regex": "orders-.*", "errors.deadletterqueue.topic.name": "orders-dead"}
    del given["topics"]
    (text,) = [text for value in check(given)[1] for text in value.errors]
    assert text == (
        "Option errors.deadletterqueue.topic.name: orders-dead is matched by topics.regex, so it would be read again"
    )


@pytest.mark.parametrize("method", ["config", "validate"])
def test_a_plugin_that_describes_nothing_is_named(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(ToySink, method, lambda *_: None)
    with pytest.raises(ConfigError, match=rf"ToySink\.{method}\(\) returned NoneType") as raised:
        check(REQUIRED)
    assert raised.value.key == "connector.class"


def test_a_plugin_whose_check_fails_is_named_with_the_reason_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = ConfigDef().define("db.password", Type.PASSWORD, doc="A secret.")
    monkeypatch.setattr(ToySink, "config", lambda: keys)

    def validate(props: dict[str, str]) -> list[ConfigValue]:
        raise LookupError(f"no cheese for {props['db.password']}")

    monkeypatch.setattr(ToySink, "validate", validate)
    with pytest.raises(ConfigError, match=r"ToySink\.validate\(\) failed: LookupError: no cheese for \[hidden\]"):
        check({"name": "x", "connector.class": "ToySink", "topics": "t", "db.password": "gruyere-1"})
