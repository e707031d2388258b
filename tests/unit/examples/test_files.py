"""The configuration files of the job, checked as the workers would check them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import examples.pojo
from agents.config_file import load_config
from agents.steps import build_steps
from connectors.runtime.providers import resolve
from connectors.sinks.cassandra import CassandraSink
from connectors.sinks.kudu import KuduSink
from connectors.sources.mysql import MySqlBinlogSource
from examples.pojo.pipeline import APPLICATION, CONNECTORS, FILES, GROUPS
from examples.pojo.prepare import KUDU_COLUMNS
from examples.pojo.verify import COLUMNS

ENV = {
    "MYSQL_HOST": "localhost", "MYSQL_PORT": "3306", "MYSQL_USER": "u", "MYSQL_PASSWORD": "p", "KUDU_MASTERS": "k:7051",
    "CASSANDRA_CONTACT_POINTS": "localhost", "CASSANDRA_PORT": "9042",
}  # fmt: skip
POJO = Path(examples.pojo.__file__).parent


def deployed(file: str) -> dict[str, Any]:
    content = YAML(typ="safe").load((POJO / "connectors" / file).read_text())
    return {"name": content["name"], **content["config"]}


@pytest.mark.parametrize(
    ("file", "plugin"),
    [
        ("mysql-source.yaml", MySqlBinlogSource),
        ("cassandra-sink.yaml", CassandraSink),
        ("kudu-sink.yaml", KuduSink),
    ],
)
def test_connectors_know_all_their_options(file: str, plugin: Any) -> None:
    props = resolve({name: str(value) for name, value in deployed(file).items()}, ENV)
    assert props["connector.class"] == plugin.__name__
    common = ("name", "connector.class", "tasks.max", "topics", "topic.creation.", "errors.")
    own = {name: value for name, value in props.items() if not name.startswith(common) or name in plugin.config()}
    found = plugin.validate({**own, "topics": props["topics"]} if "topics" in props else own)
    assert [error for value in found for error in value.errors if error != "Unknown option topics"] == []


@pytest.mark.parametrize("file", ["cassandra-sink.yaml", "kudu-sink.yaml"])
def test_every_column_is_mapped(file: str) -> None:
    (mapping,) = (value for name, value in deployed(file).items() if name.endswith(".mapping"))
    assert sorted(part.split("=")[0].strip() for part in mapping.split(",")) == sorted(COLUMNS)
    assert sorted(column.name for column in KUDU_COLUMNS) == sorted(COLUMNS)


def test_groups_are_named_after_the_connectors() -> None:
    names = {f"connect-{YAML(typ='safe').load(Path(file).read_text())['name']}" for file in FILES}
    assert names == {f"connect-{name}" for name in CONNECTORS}
    groups = {group for group, _ in GROUPS.values()} - {APPLICATION}
    assert groups == {name for name in names if not name.endswith("mysql")}


def test_the_enrich_file_is_valid_and_its_functions_take_their_options() -> None:
    file = load_config(POJO / "enrich.yaml", {"REDIS_URL": "redis://localhost"})
    assert [stage.name for stage in file.config.stages] == ["pojo", "AsyncCassandraJob"]
    assert file.config.application.id == APPLICATION

    async def build() -> None:
        for i in range(len(file.config.stages)):
            await build_steps(file, i).close()

    asyncio.run(build())
