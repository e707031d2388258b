"""Contexts: names for clusters, without secrets."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connectors.cli import main
from connectors.cli.errors import NOT_FOUND, USAGE


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "contexts.json"


@pytest.fixture
def bare(store: Path) -> Callable[..., Result]:
    """Run a command without --url."""

    def call(*arguments: str, **env: str) -> Result:
        given = {"CONNECTORS_CONTEXTS": str(store), "CONNECTORS_URL": None, "CONNECTORS_TOKEN": None, **env}
        return CliRunner().invoke(main, list(arguments), env=given)

    return call


def test_context_in_use_says_where_the_worker_is(rest: Any, bare: Any, store: Path) -> None:
    rest.configs = {"orders": {}}
    assert bare("context", "set", "other", "http://127.0.0.1:1").exit_code == 0
    assert bare("context", "set", "dev", rest.url, "--token-env", "DEV_TOKEN").stdout == "dev: in use\n"
    result = bare("list", "-o", "json", DEV_TOKEN="t0ken")
    assert json.loads(result.stdout) == ["orders"]
    assert rest.requests[-1][2]["Authorization"] == "Bearer t0ken"
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    assert "t0ken" not in store.read_text()


def test_url_wins_over_the_context(rest: Any, bare: Any) -> None:
    bare("context", "set", "other", "http://127.0.0.1:1")
    assert bare("--url", rest.url, "list").exit_code == 0
    assert bare("list", CONNECTORS_URL=rest.url).exit_code == 0


def test_contexts_are_listed_used_and_removed(bare: Any) -> None:
    bare("context", "set", "a", "http://a:1")
    bare("context", "set", "b", "http://b:2/")
    assert bare("context", "show").stdout == "b\n"
    assert bare("context", "use", "a").exit_code == 0
    listed = json.loads(bare("context", "list", "-o", "json").stdout)
    assert listed["current"] == "a"
    assert listed["contexts"]["b"]["url"] == "http://b:2"
    assert bare("context", "remove", "a").exit_code == 0
    assert bare("context", "show").exit_code == NOT_FOUND


def test_unknown_context_is_named_with_the_nearest(bare: Any) -> None:
    bare("context", "set", "production", "http://a:1")
    result = bare("context", "use", "producton")
    assert result.exit_code == NOT_FOUND
    assert "did you mean production?" in result.stderr


def test_password_in_an_address_is_refused(bare: Any, store: Path) -> None:
    result = bare("context", "set", "a", "http://ada:s3cret@h:1")
    assert result.exit_code == USAGE
    assert "s3cret" not in result.output
    assert not store.exists()


def test_broken_file_is_named(bare: Any, store: Path) -> None:
    store.parent.mkdir()
    store.write_text("{")
    result = bare("list")
    assert result.exit_code == USAGE
    assert str(store) in result.stderr
