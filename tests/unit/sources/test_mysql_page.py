from __future__ import annotations

import re
from pathlib import Path

from connectors.sources.mysql import MySqlBinlogSource

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "mysql-source.md").read_text()


def test_each_defect_has_a_test_that_exists() -> None:
    rows = {match[1]: match[0] for match in re.finditer(r"^\| (P\d+(?:, P\d+)*) \|.*$", PAGE, re.MULTILINE)}
    assert {name for names in rows for name in names.split(", ")} == {f"P{n}" for n in range(1, 22)}
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("sources/test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert [name for name in named if f"def {name}(" not in code] == []


def test_each_option_on_the_page_exists() -> None:
    known = MySqlBinlogSource.config()
    dotted = set(re.findall(r"`((?:database|table|column|topic|partition|snapshot|message|row|signal)\.[a-z.]+)", PAGE))
    runtime = {
        "topic.creation.default.partitions",
        "row.filter.shop.orders",
        "column.mask.with.",
        "column.truncate.to.",
    }
    assert [name for name in dotted - runtime if name not in known] == []
