from __future__ import annotations

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


def test_names_that_another_distribution_owns(monkeypatch: pytest.MonkeyPatch) -> None:
    owners = {"agents": ["faust-connect", "openai-agents"], "tables": ["Faust_Connect"]}
    monkeypatch.setattr(identity, "packages_distributions", lambda: owners)
    with pytest.raises(ConfigError, match=r"the package agents of faust-connect is also installed by openai-agents;"):
        identity.check_top_level_names()
    owners["agents"] = ["faust-connect"]
    identity.check_top_level_names()
