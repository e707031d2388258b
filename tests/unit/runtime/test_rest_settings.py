from __future__ import annotations

from pathlib import Path

import pytest

from connectors import ConfigError
from connectors.runtime.rest.gate import _Credentials
from connectors.runtime.rest_settings import RestSettings
from connectors.runtime.settings import WorkerSettings

ADMIN = {"CONNECTORS_REST_ADMIN": "ann:secret-1,token-of-ann"}


def test_another_host_is_refused_without_authentication_unless_forced() -> None:
    env = {"CONNECTORS_REST_HOST": "0.0.0.0"}
    with pytest.raises(ConfigError, match="CONNECTORS_REST_ADMIN"):
        WorkerSettings.from_env(env)
    assert WorkerSettings.from_env(env | {"CONNECTORS_REST_INSECURE": "true"}).rest.admins == ()
    assert not WorkerSettings.from_env(env | ADMIN).rest.loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_needs_no_authentication(host: str) -> None:
    assert RestSettings.from_env({"CONNECTORS_REST_HOST": host}, 1).loopback


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"CONNECTORS_REST_READER": "token-of-bob"}, "nobody could change"),
        ({"CONNECTORS_REST_ADMIN": "short"}, "at least 8"),
        ({"CONNECTORS_REST_TLS_CERT": "/no/such"}, "there is no file /no/such"),
        ({"CONNECTORS_REST_TLS_CERT": __file__}, "no certificate"),
        ({"CONNECTORS_REST_TLS_CA": __file__}, "no certificate of an authority"),
        ({"CONNECTORS_REST_ACCESS_CONTROL_ALLOW_ORIGIN": "https://ui.example/"}, "'https://ui.example/' is no origin"),
        ({"CONNECTORS_REST_ACCESS_CONTROL_ALLOW_ORIGIN": "*"}, "every page of the web"),
        ({"CONNECTORS_TOPIC_TRACKING": "maybe"}, "neither true nor false"),
    ],
)
def test_settings_that_make_no_sense_are_refused(env: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RestSettings.from_env(env, 1)


def test_credentials_come_from_files_too_and_are_not_printed(tmp_path: Path) -> None:
    file = tmp_path / "readers"
    file.write_text("bob:secret-2\n\ntoken-of-bob\n")
    settings = WorkerSettings.from_env(ADMIN | {"CONNECTORS_REST_READER_FILE": str(file)})
    assert settings.rest.readers == ("bob:secret-2", "token-of-bob")
    assert "secret" not in repr(settings)
    assert "token" not in repr(settings)


@pytest.mark.parametrize(
    ("header", "role"),
    [
        ("Basic YW5uOnNlY3JldC0x", "admin"),
        ("basic  YW5uOnNlY3JldC0x", "admin"),
        ("Bearer token-of-ann", "admin"),
        ("Bearer token-of-bob", "reader"),
        ("Bearer ann:secret-1", None),
        ("Basic token-of-ann", None),
        ("Bearer tökén", None),
        ("", None),
    ],
)
def test_a_credential_gives_its_role(header: str, role: str | None) -> None:
    credentials = _Credentials(RestSettings.from_env(ADMIN | {"CONNECTORS_REST_READER": "token-of-bob"}, 1))
    assert credentials.role(header) == role


def test_where_others_reach_a_worker() -> None:
    assert RestSettings().url == "http://127.0.0.1:8083"
    assert RestSettings(host="::1", port=1, cert="x").url == "https://[::1]:1"
    assert RestSettings(advertised="https://a.b:9").url == "https://a.b:9"
