"""The jobs of docs/enrich.md and docs/coming-from-flink.md, taken from the pages, as workers on a real Kafka."""

from __future__ import annotations

import json
import re
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def file_of(page: str, name: str) -> str:
    text = (DOCS / page).read_text()
    found = re.search(rf"^```[a-z]+\n(# {re.escape(name)}\n.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found, f"{page} shows no {name}"
    return found[1]


def start_job(bench, folder: Path, page: str, module: str) -> None:
    """Start what the page shows, under names of the test's own."""
    config = file_of(page, "enrich.yaml")
    assert "id: styles" in config
    assert "input: shop.items\n" in config
    bench.configure(config.replace("shop.", "{u}shop.").replace("id: styles", 'id: "{u}styles"'), "")
    (folder / module).write_text(file_of(page, module))
    bench.start()


def test_the_job_of_the_tutorial_runs_as_shown(bench, tmp_path: Path) -> None:
    bench.topic("shop.items")
    for number in range(300):
        value = b'{"aid":"ID000-%d","astyle":"STYLE000-%d","energy":12.50}' % (number, number % 4)
        bench.send("shop.items", value, b"ID000-%d" % number)
    bench.send("shop.items", b'{"aid":"no style"}', b"no style")
    bench.send("shop.items", None, b"deleted")
    start_job(bench, tmp_path, "enrich.md", "lookups.py")

    records = {record.key(): record for record in bench.read("shop.items.enriched", 301)}
    assert len(records) == 301
    assert records[b"deleted"].value() is None
    assert records[b"ID000-1"].value() == b'{"aid":"ID000-1","astyle":"STYLE000-1","energy":12.50,"style_name":"Sport"}'
    names = [json.loads(records[b"ID000-%d" % number].value())["style_name"] for number in range(4)]
    assert names == ["Classic", "Sport", "Touring", None]
    (dead,) = bench.read("shop.items.dead", 1)
    assert dead.key() == b"no style"
    assert "the record has no field astyle" in bench.log.read_text()


def test_the_job_beside_flinks_gives_each_output_once(bench, tmp_path: Path) -> None:
    bench.topic("shop.items")
    for number in range(300):
        bench.send("shop.items", b'{"n":%d,"style":"S-%d"}' % (number, number % 2))
    start_job(bench, tmp_path, "coming-from-flink.md", "styles.py")

    found = [json.loads(record.value()) for record in bench.read("shop.items.enriched", 300)]
    assert sorted(one["n"] for one in found) == list(range(300))
    assert {(one["style"], one["style_name"]) for one in found} == {("S-0", None), ("S-1", "Sport")}
