from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest

from agents.application import UsageError, create_app
from connectors.api import identity
from connectors.api.errors import ConfigError


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "enrich.yaml"
    path.write_text("stages: [{name: s, input: m.pojo, output: o, steps: [{function: 'asyncio:sleep'}]}]")
    return path


def test_app_of_a_configuration(config: Path) -> None:
    app = create_app({"ENRICH_CONFIG": str(config), "KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2", "KAFKA_PREFIX": "shop."})
    assert app.conf.id == "shop.enrich"
    assert [str(url) for url in app.conf.broker] == ["connect://a:1", "connect://b:2"]
    assert app.intake.owns("shop.m.pojo")
    assert not app.intake.owns("m.pojo")


@pytest.mark.parametrize("env", [{}, {"ENRICH_CONFIG": "/nowhere.yaml"}])
def test_mistake_of_the_user_is_a_usage_error(env) -> None:
    with pytest.raises(UsageError) as caught:
        create_app(env)
    assert isinstance(caught.value, click.ClickException)
    assert isinstance(caught.value, ConfigError)
    assert caught.value.exit_code == 2


def test_names_that_another_distribution_owns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def install(name: str, *files: str) -> None:
        (tmp_path / f"{name}.dist-info").mkdir()
        (tmp_path / f"{name}.dist-info" / "RECORD").write_text("".join(f"{file},sha256=x,1\n" for file in files))

    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing")])
    install("faust_connect-1.0", "agents/__init__.py", "connectors/__init__.py", "tables/__init__.py")
    install("other-1.0", "other/agents/__init__.py", "other/tables/a.py")
    identity.check_top_level_names()
    install("openai_agents-0.2", "LICENSE", "agents/__init__.py")
    with pytest.raises(ConfigError, match=r"the package agents of faust-connect is also installed by openai-agents;"):
        identity.check_top_level_names()
