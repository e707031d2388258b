from __future__ import annotations

from typing import Any

import pymysql
import pytest

from connectors import ConfigError, Password
from connectors.sources.mysql import MySqlBinlogSource, MySqlBinlogTask
from connectors.sources.mysql.connection import Address, translate
from connectors.sources.mysql.filters import TableFilter, TopicName
from connectors.sources.mysql.options import read_settings

BASE = {"database.hostname": "h", "database.user": "u", "database.password": "secret"}


def errors(**options: str) -> list[str]:
    props = BASE | {name.replace("_", "."): value for name, value in options.items()}
    return [error for value in MySqlBinlogSource.validate(props) for error in value.errors]


def test_the_defaults_take_a_snapshot_and_key_by_primary_key() -> None:
    settings = read_settings(BASE, "c")
    assert (settings.snapshot, settings.rules.keyed, settings.per_event) == (True, True, False)
    assert settings.rules.routing.topic_of("d", "t") == "d.t"
    assert settings.source_partition == {"server": "h:3306"}
    assert "secret" not in repr(settings)


def test_the_server_id_is_high_and_the_same_for_a_name() -> None:
    first, again, other = (read_settings(BASE, name).server_id for name in ("c", "c", "d"))
    assert first == again != other
    assert 2**31 <= first < 2**32
    assert read_settings(BASE | {"database.server.id": "5"}, "c").server_id == 5


def test_without_a_key_events_stay_whole() -> None:
    assert read_settings(BASE | {"message.key": "none"}, "c").per_event
    assert not read_settings(BASE | {"message.key": "none", "rows.per.message": "one"}, "c").per_event


def test_a_start_position_means_no_snapshot() -> None:
    settings = read_settings(BASE | {"start.position": "binlog.000007:157"}, "c")
    assert not settings.snapshot
    assert (settings.start.file, settings.start.pos) == ("binlog.000007", 157)
    assert read_settings(BASE | {"snapshot.mode": "never"}, "c").start.kind == "latest"
    assert read_settings(BASE | {"start.position": "gtid:0-1-5"}, "c").start.gtids == "0-1-5"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table_includ_list": "x"}, "did you mean table.include.list"),
        ({"start_position": "yesterday"}, "is not one of latest, earliest, FILE:POS"),
        ({"start_position": "timestamp:1s"}, "is no time in milliseconds"),
        ({"start_position": "binlog.1:3"}, "a binlog file starts at 4"),
        ({"start_position": "gtid:x"}, "is no GTID set"),
        ({"start_position": "latest", "snapshot_mode": "initial"}, "needs snapshot.mode=never"),
        ({"rows_per_message": "event"}, "needs message.key=none"),
        ({"message_key": "primarykey"}, "did you mean primary-key"),
        ({"topic": "${databse}"}, "may hold only ${database} and ${table}"),
        ({"topic": "a b"}, "is no topic name"),
        ({"table_include_list": "("}, "is no regular expression"),
        ({"time_zone": "Mars/One"}, "is no time zone"),
        ({"database_port": "0"}, "is not between 1 and 65535"),
        ({"canal_compat": "exactly"}, "is not one of fixed, exact; did you mean exact"),
    ],
)
def test_wrong_options_are_named(options: dict[str, str], message: str) -> None:
    (error,) = errors(**options)
    assert message in error


def test_every_option_is_documented() -> None:
    assert all(key.doc.endswith(".") for key in MySqlBinlogSource.config())


def test_there_is_one_task() -> None:
    connector = MySqlBinlogSource()
    connector.start(BASE)
    assert connector.task_configs(8) == [BASE]
    assert connector.task_class() is MySqlBinlogTask


def test_a_filter_matches_whole_names() -> None:
    chosen = TableFilter(["a|b"], [r"a\..*", r"b\.t"], [r"a\.x"])
    assert [name for name in ("a.t", "a.x", "b.t", "b.tt", "c.t") if chosen.table(*name.split("."))] == ["a.t", "b.t"]
    assert not TableFilter().table("mysql", "user")
    assert TableFilter().table("anything", "t")


def test_a_topic_has_only_characters_that_kafka_allows() -> None:
    assert TopicName("topic", "p-${table}").of("d", "we ird/中") == "p-we_ird__"
    with pytest.raises(ConfigError, match="no topic name"):
        TopicName("topic", "${table}").of("d", "x" * 250)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((1045, "Access denied for user 'u'@'h' (using password: YES)"), "ConfigError", "refuses user 'u'"),
        ((2003, "Can't connect to MySQL server"), "RetriableError", "h:1 is out of reach: Can't connect"),
        ((2013, "Lost connection"), "RetriableError", "Lost connection"),
        ((1236, "Could not find first log file name in binary log index file"), "PurgedError", "snapshot.mode=initial"),
        ((1236, "A replica with the same server_uuid/server_id as this replica"), "FatalError", "database.server.id"),
        ((1236, "log event entry exceeded max_allowed_packet"), "FatalError", "cannot send the binlog"),
        ((), "RetriableError", "h:1"),
    ],
)
def test_the_drivers_errors_become_the_connectors(arguments: tuple[Any, ...], kind: str, message: str) -> None:
    error = translate(pymysql.err.OperationalError(*arguments), Address("h", 1, "u", Password("secret")))
    assert type(error).__name__ == kind
    assert message in str(error)
    assert "secret" not in str(error)
