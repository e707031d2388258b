from __future__ import annotations

import pytest

from connectors.api.errors import ConfigError
from connectors.api.record import SourceRecord
from connectors.transforms.predicates import HasHeaderKey, RecordIsTombstone, TopicNameMatches


def test_a_topic_matches_as_a_whole() -> None:
    predicate = TopicNameMatches()
    predicate.configure({"pattern": "my-prefix-.*"})
    assert predicate.test(SourceRecord("my-prefix-foo", 1))
    assert not predicate.test(SourceRecord("x-my-prefix-foo", 1))


def test_a_header_of_the_name_is_found() -> None:
    predicate = HasHeaderKey()
    predicate.configure({"name": "foo"})
    assert predicate.test(SourceRecord("t", 1, headers=[("bar", b""), ("foo", b"")]))
    assert not predicate.test(SourceRecord("t", 1, headers=[("bar", b"")]))


def test_a_record_without_a_value_is_a_tombstone_and_a_heartbeat_is_not() -> None:
    predicate = RecordIsTombstone()
    predicate.configure({})
    assert predicate.test(SourceRecord("t", None))
    assert not predicate.test(SourceRecord("t", 0))
    assert not predicate.test(SourceRecord.heartbeat({}, {}))


@pytest.mark.parametrize("options", [{}, {"pattern": ""}, {"pattern": "("}])
def test_a_pattern_that_cannot_be_used_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        TopicNameMatches().configure(options)
