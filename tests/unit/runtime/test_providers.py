from __future__ import annotations

from pathlib import Path

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


def test_files_and_directories_give_values(tmp_path: Path) -> None:
    (tmp_path / "db.properties").write_text("# login\nuser = ann\npassword=a=b\n")
    (tmp_path / "token").write_text("t-1")
    props = {"a": f"${{file:{tmp_path}/db.properties:password}}", "b": f"x${{directory:{tmp_path}:token}}"}
    assert resolve(props, {}) == {"a": "a=b", "b": "xt-1"}


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("${file:TMP/db.properties:usr}", "no key usr; did you mean user"),
        ("${file:TMP/nothing:user}", "missing"),
        ("${file:TMP}", "has the form"),
        ("${file:/etc/passwd:root}", "may not be used"),
        ("${file:TMP/../../../../../../etc/passwd:root}", "may not be used"),
        ("${file:TMP/link:root}", "may not be used"),
        ("${directory:TMP:../x}", "not the name of a file"),
        ("${directory:/etc:hostname}", "may not be used"),
        ("${env:HOME}", "may not be used"),
    ],
)
def test_what_is_not_allowed_or_not_there_is_refused(tmp_path: Path, reference: str, words: str) -> None:
    (tmp_path / "db.properties").write_text("user=ann\n")
    (tmp_path / "link").symlink_to("/etc/passwd")
    env = {
        "HOME": "/root",
        "CONNECTORS_ENV_ALLOWLIST": "APP_.*",
        "CONNECTORS_FILE_ALLOWED_PATHS": str(tmp_path),
        "CONNECTORS_DIRECTORY_ALLOWED_PATHS": str(tmp_path),
    }
    with pytest.raises(ConfigError, match=words) as caught:
        resolve({"option": reference.replace("TMP", str(tmp_path))}, env)
    assert caught.value.key == "option"
