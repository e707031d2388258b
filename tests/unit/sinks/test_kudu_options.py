"""What is said of a configuration of `KuduSink` before anything is opened."""

from __future__ import annotations

import pytest

from connectors.sinks.kudu import KuduSink, KuduSinkTask


def errors_of(**props: str) -> dict[str, list[str]]:
    given = {"kudu.masters": "m", "topics": "a.b,c"} | {name.replace("__", "."): text for name, text in props.items()}
    return {value.name: value.errors for value in KuduSink.validate(given) if value.errors}


def test_a_sound_configuration_has_no_errors() -> None:
    assert (
        errors_of(
            topic__a__b__t__mapping="x=value.x",
            topic__a__b__u__mapping="*",
            topic__c__t__mode="upsert",
            time__zone="+08:00",
        )
        == {}
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("kudu.backend", "jvn", "did you mean jvm"),
        ("kudu.master", "m", "Unknown option kudu.master; did you mean kudu.masters?"),
        ("kudu.masters", "m:x", "write host:port"),
        ("time.zone", "Mars", "no time zone"),
        ("topic.x.t.mode", "upsert", "one of the topics a.b, c"),
        ("topic.a.b.mapping", "x=value.x", "one of the topics a.b, c"),
        ("topic.c.t.mapping", "x=", "cannot read"),
        ("topic.c.t.mode", "insert", "insert-ignore"),
        ("topic.c.t.partition.hash", "id: 1", "at least 2 buckets"),
        ("topic.c.t.partition.range", "id", "write a key column and splits"),
        ("auto.create.replicas", "2", "no odd number"),
        ("binary.mode", "base32", "did you mean base64"),
        ("topic.c.t.deletes.enabled", "perhaps", "true or false"),
        ("kudu.operation.timeout.ms", "1", "not between"),
    ],
)
def test_a_wrong_option_is_told_by_its_name(name: str, text: str, message: str) -> None:
    found = {
        value.name: value.errors for value in KuduSink.validate({"kudu.masters": "m", "topics": "a.b,c", name: text})
    }
    assert message in found[name][0]


def test_every_task_has_the_whole_configuration() -> None:
    connector = KuduSink()
    connector.start({"topics": "t"})
    assert connector.task_class() is KuduSinkTask
    assert connector.task_configs(2) == [{"topics": "t"}] * 2
