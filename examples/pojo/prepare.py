"""Makes tables, dimension and topics afresh, so that every run starts from nothing."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib import resources
from typing import Any, Final

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import KafkaError, KafkaException, NewTopic

from connectors.api.errors import ConfigError
from connectors.clients.kudu.port import ColumnSpec, Layout
from examples.pojo.produce import TOPIC as JOB_TOPIC
from examples.pojo.servers import Servers
from examples.pojo.workers import wait_for

__all__ = [
    "KUDU_COLUMNS", "KUDU_TABLE", "PARTITIONS", "cassandra_tables", "dimension", "everything", "kudu_table",
    "mysql_table", "topics",
]  # fmt: skip

PARTITIONS: Final = 4
KUDU_TABLE: Final = "m.m_pojo"
KUDU_COLUMNS: Final = (
    ColumnSpec("aid", "STRING", key=True),
    ColumnSpec("astyle", "STRING", key=True),
    ColumnSpec("astatus", "STRING", key=True),
    ColumnSpec("ts_create_time", "UNIXTIME_MICROS", key=True),
    ColumnSpec("aname", "STRING", nullable=True),
    ColumnSpec("log_time", "INT64", nullable=True),
    ColumnSpec("energy", "DECIMAL", nullable=True, precision=10, scale=2),
    ColumnSpec("age", "INT32", nullable=True),
    ColumnSpec("create_time", "STRING", nullable=True),
    ColumnSpec("update_time", "STRING", nullable=True),
    ColumnSpec("ts_update_time", "UNIXTIME_MICROS", nullable=True),
    ColumnSpec("sys_update_time", "UNIXTIME_MICROS", nullable=True),
    ColumnSpec("sys_create_time", "UNIXTIME_MICROS", nullable=True),
)
_TOPICS: Final = ("m.pojo", "m.pojo.enriched", JOB_TOPIC)


def everything(servers: Servers, *, cluster: str, application: str, job_keyspace: str = "m_job") -> None:
    """Make all that the job needs.

    Args:
        servers: Where.
        cluster: `CONNECTORS_CLUSTER` of the workers; what a former run left of it is deleted.
        application: Id of the enrich application; likewise.
        job_keyspace: Keyspace of the stage `AsyncCassandraJob`.
    """
    mysql_table(servers)
    dimension(servers)
    cassandra_tables(servers)
    cassandra_tables(servers, job_keyspace)
    kudu_table(servers)
    topics(servers, prefixes=(cluster, application, "connect-pojo-"))


def mysql_table(servers: Servers) -> None:
    """Run `schema.sql`."""
    with servers.mysql() as connection, connection.cursor() as cursor:
        for statement in _statements("schema.sql"):
            cursor.execute(statement)


def cassandra_tables(servers: Servers, keyspace: str = "m") -> None:
    """Run `cassandra.cql`, in another keyspace if asked to."""
    with servers.cassandra() as session:
        for statement in _statements("cassandra.cql"):
            text = statement.replace("EXISTS m ", f"EXISTS {keyspace} ").replace(" m.", f" {keyspace}.")
            session.execute(text, timeout=60.0)


def dimension(servers: Servers) -> None:
    """Write the dimension: one hash for each style."""
    with servers.redis() as redis:
        for j, name in enumerate(("red", "green", "blue", "black", "white")):
            redis.hset(f"dim:style:STYLE000-{j}", mapping={"style_name": name, "style_rank": str(j + 1)})


def kudu_table(servers: Servers) -> None:
    """Create the table in Kudu."""
    with servers.kudu() as client:
        with suppress(ConfigError):  # the first run: there is none
            client.drop_table(KUDU_TABLE)
        client.create_table(KUDU_TABLE, KUDU_COLUMNS, Layout(("aid",), PARTITIONS, replicas=1))


def topics(servers: Servers, prefixes: Iterable[str]) -> None:
    """Delete topics and groups of former runs and create the topics of the job.

    Args:
        servers: Where.
        prefixes: Beginnings of the names of internal topics and of consumer groups.
    """
    admin = AdminClient(servers.kafka.librdkafka())
    beginnings = tuple(prefixes)
    _delete_groups(admin, beginnings)
    old = [name for name in _listed(admin) if name.startswith(beginnings) or _is_ours(name)]
    if old:
        for future in admin.delete_topics(old, operation_timeout=30).values():
            future.result()
        wait_for(lambda: not set(old) & set(_listed(admin)), "the deletion of old topics", timeout_s=60)
    wait_for(lambda: _create(admin), "the creation of the topics", timeout_s=60)


def _is_ours(name: str) -> bool:
    return any(name == topic or name.startswith(f"{topic}.") for topic in _TOPICS)


def _listed(admin: AdminClient) -> list[str]:
    return [name for name in admin.list_topics(timeout=30).topics if not name.startswith("__")]


def _create(admin: AdminClient) -> bool:
    created = admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in _TOPICS])
    results = [_succeeded(future, KafkaError.TOPIC_ALREADY_EXISTS) for future in created.values()]
    # A topic that is still being deleted exists and does not: it is asked for again until it is there.
    return all(results) and set(_TOPICS) <= set(_listed(admin))


def _delete_groups(admin: AdminClient, beginnings: tuple[str, ...]) -> None:
    listed = admin.list_consumer_groups().result()
    old = {group.group_id for group in listed.valid if group.group_id.startswith(beginnings)}

    def deleted() -> bool:
        futures = admin.delete_consumer_groups(list(old)) if old else {}
        old.difference_update(
            [name for name, future in futures.items() if _succeeded(future, KafkaError.GROUP_ID_NOT_FOUND)]
        )
        return not old

    # A worker that was killed counts as a member until its session ends.
    wait_for(deleted, f"the workers of another run to end (groups {', '.join(sorted(old))})", timeout_s=45, every_s=1)


def _succeeded(future: Any, *fine: int) -> bool:
    try:
        future.result()
    except KafkaException as error:
        return error.args[0].code() in fine
    return True


def _statements(name: str) -> list[str]:
    text = resources.files("examples.pojo").joinpath(name).read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]
