from __future__ import annotations

import re

import pytest

from connectors import ConfigError
from connectors.runtime.topics_regex import check_topics_regex, subscription

NAMES = ["orders", "orders-1", "orders-22", "orders.eu", "my-orders", "orders-x", "o_1", "a", "b", "ab", "-"]


@pytest.mark.parametrize(
    ("regex", "posix"),
    [
        ("orders", "^(orders)$"),
        (r"orders-\d+", "^(orders-[0-9]+)$"),
        (r"orders\.(?:eu|us)", r"^(orders\.(eu|us))$"),
        ("a|b", "^(a|b)$"),
        (r"[\w\-.]+", "^([A-Za-z0-9_.-]+)$"),
        (r"[^\d]*", "^([^0-9]*)$"),
        (r"\D{1,2}", "^([^0-9]{1,2})$"),
        (r"^o.*$", "^(^o.*$)$"),
        (r"orders\-x", "^(orders-x)$"),
        (r"[a-b]+", "^([a-b]+)$"),
    ],
)
def test_an_expression_of_java_matches_the_same_whole_names(regex: str, posix: str) -> None:
    assert subscription(regex) == posix
    # What is made here means the same to Python, which reads Java's expression as Java does.
    assert [n for n in NAMES if re.search(posix, n)] == [n for n in NAMES if re.fullmatch(regex, n)]


def test_the_prefix_of_a_shared_kafka_is_taken_as_it_is() -> None:
    assert subscription("a|b", "pre.fix-") == r"^pre\.fix-(a|b)$"


@pytest.mark.parametrize("regex", ["(?!x).*", "(?i)a", "a+?", "a*+", r"\bx", r"(a)\1", r"[\]]", "[a-z&&[^b]]", r"[\D]"])
def test_what_a_subscription_cannot_express_is_refused(regex: str) -> None:
    with pytest.raises(ConfigError, match="cannot be used in the expression of a subscription") as raised:
        subscription(regex)
    assert raised.value.key == "topics.regex"


def test_what_is_no_expression_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Option topics\.regex: '\(' is no regular expression"):
        check_topics_regex("topics.regex", "(")
