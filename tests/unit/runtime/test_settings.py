from __future__ import annotations

import pytest

from connectors import ConfigError
from connectors.runtime.providers import resolve
from connectors.runtime.settings import WorkerSettings


def test_settings_come_from_the_environment_and_port_wins() -> None:
    env = {"CONNECTORS_CLUSTER": "c", "CONNECTORS_ROLE": "sink", "CONNECTORS_REST_PORT": "1", "PORT": "2"}
    settings = WorkerSettings.from_env(env | {"KAFKA_PREFIX": "p."})
    assert (settings.role, settings.rest.port) == ("sink", 2)
    assert settings.internal("configs") == "p.c-configs"
    assert settings.group("x") == "p.connect-x"


@pytest.mark.parametrize(
    ("env", "words"),
    [({"CONNECTORS_ROLE": "sinc"}, "did you mean sink"), ({"PORT": "x"}, "PORT: 'x' is no port")],
)
def test_settings_that_make_no_sense_are_refused(env: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        WorkerSettings.from_env(env)


def test_references_are_replaced_by_the_environment() -> None:
    assert resolve({"a": "x${env:B}y", "c": "${topic}"}, {"B": "1"}) == {"a": "x1y", "c": "${topic}"}


@pytest.mark.parametrize(
    ("text", "words"), [("${env:BB}", "no variable BB; did you mean BBC"), ("${vault:x}", "no config provider 'vault'")]
)
def test_a_reference_that_leads_nowhere_names_the_option(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        resolve({"database.password": text}, {"BBC": "1"})
    assert caught.value.key == "database.password"
