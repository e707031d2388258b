from __future__ import annotations

import logging

import pytest

from connectors import ConfigDef, Type
from connectors.runtime.base_config import check
from connectors.runtime.secrets import SECRETS, Secrets, is_secret, mask_logs, masked

KEYS = ConfigDef().define("pin", Type.PASSWORD, doc="Pin.").define("user", Type.STRING, doc="User.")


def test_secrets_are_hidden_by_type_and_by_name_and_references_stay() -> None:
    config = {"pin": "1234", "user": "u", "producer.override.sasl.password": "p", "a.token": "${env:T}", "pin2": "9"}
    assert masked(config, KEYS) == config | {"pin": "[hidden]", "producer.override.sasl.password": "[hidden]"}
    assert is_secret("value.converter.basic.auth.user.info", KEYS)
    assert not is_secret("token.count", KEYS)


def test_a_reference_within_a_secret_hides_what_stands_around_it() -> None:
    assert masked({"pin": "x${env:A}"}, KEYS) == {"pin": "[hidden]"}


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    secrets = Secrets()
    secrets.remember({"hush", "hush-hush", "x"})
    assert secrets.masked("hush-hush hush x") == "[hidden] [hidden] x"


def test_log_lines_and_tracebacks_are_masked(caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogRecordFactory()
    mask_logs()
    try:
        SECRETS.remember({"swordfish"})
        try:
            int("swordfish")
        except ValueError:
            logging.getLogger("x").exception("user %s", "swordfish")
    finally:
        logging.setLogRecordFactory(before)
    assert "swordfish" not in caplog.text
    assert "base 10: '[hidden]'" in caplog.text


def test_errors_of_a_check_show_no_value_of_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT_TEXT", "thirty-three")
    props = {"name": "x", "connector.class": "MySqlBinlogSource", "database.port": "${env:PORT_TEXT}"}
    _, values = check(props)
    (text,) = next(value.errors for value in values if value.name == "database.port")
    assert "thirty-three" not in text
    assert "${env:PORT_TEXT}" in text
