"""The job of docs/enrich.md, taken from the page, as a worker on a real Kafka."""

from __future__ import annotations

import json
import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "enrich.md"


def file_of_page(name: str) -> str:
    found = re.search(rf"^```[a-z]+\n(# {re.escape(name)}\n.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{PAGE} shows no {name}"
    return found[1]


def test_the_job_of_the_tutorial_runs_as_shown(bench, tmp_path: Path) -> None:
    config = file_of_page("enrich.yaml")
    for name in ("shop.items.dead", "shop.items.enriched", "shop.items", "id: styles"):
        assert name in config
    config = config.replace("shop.", "{u}shop.").replace("id: styles", 'id: "{u}styles"')
    bench.topic("shop.items")
    for number in range(300):
        value = b'{"aid":"ID000-%d","astyle":"STYLE000-%d","energy":12.50}' % (number, number % 4)
        bench.send("shop.items", value, b"ID000-%d" % number)
    bench.send("shop.items", b'{"aid":"no style"}', b"no style")
    bench.send("shop.items", None, b"deleted")
    bench.configure(config, "")
    (tmp_path / "lookups.py").write_text(file_of_page("lookups.py"))
    bench.start()

    records = {record.key(): record for record in bench.read("shop.items.enriched", 301)}
    assert len(records) == 301
    assert records[b"deleted"].value() is None
    assert records[b"ID000-1"].value() == b'{"aid":"ID000-1","astyle":"STYLE000-1","energy":12.50,"style_name":"Sport"}'
    names = [json.loads(records[b"ID000-%d" % number].value())["style_name"] for number in range(4)]
    assert names == ["Classic", "Sport", "Touring", None]
    (dead,) = bench.read("shop.items.dead", 1)
    assert dead.key() == b"no style"
    assert "the record has no field astyle" in bench.log.read_text()
