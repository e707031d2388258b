from __future__ import annotations

import pytest

from connectors import ConfigError
from connectors.formats.mapping import ColumnSource, parse_mapping


def test_all_kinds_of_sources_are_read() -> None:
    text = 'aid=value.aid, log_time = value.logTime,k=key,p=key.id, "A b"=header."q r", t=timestamp, n=now()'
    assert parse_mapping("o", text) == {
        "aid": ColumnSource("value", "aid"),
        "log_time": ColumnSource("value", "logTime"),
        "k": ColumnSource("key"),
        "p": ColumnSource("key", "id"),
        "A b": ColumnSource("header", "q r"),
        "t": ColumnSource("timestamp"),
        "n": ColumnSource("now"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must not be empty"),
        ("aid", "cannot read 'aid'"),
        ("a=value.b c", "cannot read 'a=value.b c'"),
        ("a=value", r"column a needs a field: value\.<name>"),
        ("a=value.b,a=key", "column a is mapped twice"),
        ("a=value.b,,c=key", "cannot read ''"),
    ],
)
def test_a_malformed_mapping_names_the_option_and_the_entry(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_mapping("topic.t.k.t.mapping", text)
    assert "topic.t.k.t.mapping" in str(caught.value)
