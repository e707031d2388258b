from __future__ import annotations

import pytest

from connectors.api.errors import ConfigError
from connectors.runtime.providers import resolve


def test_references_are_replaced_also_within_a_text() -> None:
    env = {"HOST": "h", "PORT_": "1"}
    assert resolve({"url": "x://${env:HOST}:${env:PORT_}/", "plain": "${table}"}, env) == {
        "url": "x://h:1/",
        "plain": "${table}",
    }


def test_a_missing_variable_is_named_with_the_nearest_one_and_no_value() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve({"password": "${env:MYSQL_PASWORD}"}, {"MYSQL_PASSWORD": "hush"})
    assert "MYSQL_PASSWORD" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert caught.value.key == "password"


def test_an_unknown_provider_is_named() -> None:
    with pytest.raises(ConfigError, match="vault"):
        resolve({"password": "${vault:x}"}, {})
