from __future__ import annotations

import pytest

from connectors.api.errors import ConfigError, DataError
from connectors.api.record import SourceRecord
from connectors.transforms.routers import RegexRouter, TimestampRouter


def routed(topic: str, regex: str, replacement: str) -> str:
    transform = RegexRouter()
    transform.configure({"regex": regex, "replacement": replacement})
    result = transform.apply(SourceRecord(topic, 1))
    assert result is not None
    return result.topic


@pytest.mark.parametrize(
    ("topic", "regex", "replacement", "wanted"),
    [
        ("orig", "orig", "new", "new"),
        ("orig", "other", "new", "orig"),
        ("index-20160117", "(.*)-(\\d{4})(\\d{2})(\\d{2})", "$1-$2$3", "index-201601"),
        ("index", ".*", "prefix-$0", "prefix-index"),
        ("a.b.c", "(?<db>\\w+)\\..*", "${db}_x", "a_x"),
        ("abc", "b", "x", "abc"),
        ("a", "(a)", "$12", "a2"),
        ("a", "a", "\\$1", "$1"),
        ("ac", "a(b)?c", "x$1", "x"),
    ],
)
def test_a_topic_that_matches_whole_is_renamed(topic: str, regex: str, replacement: str, wanted: str) -> None:
    assert routed(topic, regex, replacement) == wanted


@pytest.mark.parametrize(("regex", "replacement"), [("(", "x"), ("a", "$1"), ("a", "${b}"), ("a", "x$"), ("", "x")])
def test_expressions_that_cannot_be_used_are_refused(regex: str, replacement: str) -> None:
    with pytest.raises(ConfigError):
        RegexRouter().configure({"regex": regex, "replacement": replacement})


def test_a_topic_without_a_name_is_an_error() -> None:
    with pytest.raises(DataError, match="empty name"):
        routed("a", "a", "")


def test_a_heartbeat_stays_a_heartbeat() -> None:
    assert routed("", ".*", "x") == ""


def stamped(timestamp_ms: int | None, **options: str) -> str:
    transform = TimestampRouter()
    transform.configure({name.replace("_", "."): text for name, text in options.items()})
    result = transform.apply(SourceRecord("test", 1, timestamp_ms=timestamp_ms))
    assert result is not None
    return result.topic


def test_the_timestamp_goes_into_the_topic() -> None:
    assert stamped(1483425001864) == "test-20170103"
    assert stamped(1483425001864, topic_format="${timestamp}_${topic}", timestamp_format="yyyy.MM") == "2017.01_test"


def test_a_record_without_a_timestamp_is_an_error() -> None:
    with pytest.raises(DataError, match="no timestamp"):
        stamped(None)


def test_unknown_words_and_letters_in_formats_are_refused() -> None:
    with pytest.raises(ConfigError):
        stamped(1, topic_format="${topics}")
    with pytest.raises(ConfigError, match="yyyy"):
        stamped(1, timestamp_format="YYYY")
