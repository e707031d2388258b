from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from connectors import ConfigDef, ConfigError, Password, Recommendation, Type, Width
from connectors.api.validators import (
    all_of,
    at_least,
    no_control_characters,
    non_empty,
    one_of,
    regex_list,
    time_zone,
    unique,
)


def definition() -> ConfigDef:
    return (
        ConfigDef()
        .define("name", Type.STRING, doc="The connector's name.")
        .define("tasks.max", Type.INT, 1, doc="Most tasks.", validator=at_least(1))
        .define("errors.tolerance", Type.STRING, "none", doc="Tolerance.", validator=one_of("none", "all"))
        .define("database.password", Type.PASSWORD, None, doc="Secret.")
        .define("topics", Type.LIST, (), doc="Topics.")
        .define("topic.<topic>.ttl", Type.LONG, -1, doc="TTL in seconds.", pattern=r"topic\..+\.ttl")
    )


def test_values_get_their_types_and_defaults() -> None:
    props = {"name": "a", "tasks.max": "3", "topics": "x, y", "topic.m.pojo.ttl": "60"}
    assert definition().parse(props) == {
        "name": "a",
        "tasks.max": 3,
        "errors.tolerance": "none",
        "database.password": None,
        "topics": ["x", "y"],
        "topic.m.pojo.ttl": 60,
    }


def test_an_unknown_option_names_its_near_match() -> None:
    with pytest.raises(ConfigError, match=r"Unknown option task\.max; did you mean tasks\.max\?"):
        definition().parse({"name": "a", "task.max": "1"})


def test_all_errors_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        definition().parse({"tasks.max": "two", "errors.tolerance": "al", "topic.t.ttl": "x"})
    lines = str(caught.value).split("\n")
    assert len(lines) == 4
    assert lines[0].startswith("Missing required option name")
    assert "'two' is not a whole number" in lines[1]
    assert "did you mean all?" in lines[2]
    assert "topic.t.ttl" in lines[3]


def test_a_password_never_prints() -> None:
    secret = definition().parse({"name": "a", "database.password": "s3cret"})["database.password"]
    assert isinstance(secret, Password)
    assert secret.value == "s3cret"
    assert "s3cret" not in f"{secret} {secret!r} { {'k': secret} }"


@pytest.mark.parametrize("given", [0, "-1"])
def test_numbers_below_the_minimum_are_refused(given: object) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        definition().parse({"name": "a", "tasks.max": given})


def test_a_nested_value_is_refused_with_its_key() -> None:
    with pytest.raises(ConfigError, match=r"Option tasks\.max: a single value is needed"):
        definition().parse({"name": "a", "tasks.max": {"x": 1}})


def test_an_option_cannot_be_defined_twice() -> None:
    with pytest.raises(ValueError, match="defined twice"):
        definition().define("name", Type.STRING, doc="Again.")


def test_time_zones_are_names_or_offsets() -> None:
    time_zone("time.zone", "Asia/Shanghai")
    time_zone("time.zone", "+08:00")
    with pytest.raises(ConfigError, match="is no time zone"):
        time_zone("time.zone", "Asia/Shanghigh")


def test_a_broken_regular_expression_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'\(' is no regular expression"):
        regex_list("table.include.list", ["a", "("])


def test_a_recommender_sees_the_other_options_and_may_hide_its_own() -> None:
    def ports(name: str, values: Mapping[str, object]) -> Recommendation:
        assert name == "port"
        return Recommendation(("443", "8443"), visible=True) if values["tls"] else Recommendation(visible=False)

    keys = (
        ConfigDef()
        .define("tls", Type.BOOLEAN, False, doc="Encrypt.", dependents=("port",), width=Width.SHORT)
        .define("port", Type.SHORT, 80, doc="Port.", recommender=ports, display_name="The port")
    )
    shown = {value.name: value for value in keys.validate({"tls": "true"})}
    assert (shown["port"].recommended, shown["port"].visible) == (("443", "8443"), True)
    hidden = {value.name: value for value in keys.validate({})}
    assert not hidden["port"].visible
    assert [keys.order("tls"), keys.order("port"), keys.order("nobody")] == [1, 2, -1]


def test_short_numbers_have_16_bits() -> None:
    keys = ConfigDef().define("n", Type.SHORT, doc="A number.")
    assert keys.parse({"n": "-32768"}) == {"n": -32768}
    with pytest.raises(ConfigError, match="whole number of 16 bits"):
        keys.parse({"n": "32768"})


@pytest.mark.parametrize(
    ("check", "good", "bad", "words"),
    [
        (no_control_characters, "a é", "a\x1bb", r"the control character '\x1b'"),
        (unique, ["a", "b"], ["a", "b", "a"], "a is there twice"),
        (all_of(non_empty, no_control_characters), "a", "", "must not be empty"),
        (all_of(non_empty, no_control_characters), "a", "\n", "control character"),
    ],
)
def test_a_validator_allows_what_is_good_and_names_what_is_bad(check: Any, good: Any, bad: Any, words: str) -> None:
    check("o", good)
    with pytest.raises(ConfigError, match=f"Option o.*{re.escape(words)}") as raised:
        check("o", bad)
    assert raised.value.key == "o"


def test_a_family_keeps_its_names_behind_a_prefix() -> None:
    (key,) = ConfigDef().define("key.<table>", Type.LIST, doc="Keys.", pattern=r"key\.a|key\.b")
    moved = key.below("value.converter.")
    assert moved.name == "value.converter.key.<table>"
    assert moved.matches("value.converter.key.b")
    assert not moved.matches("key.b")
    assert not moved.matches("value-converter.key.a")
