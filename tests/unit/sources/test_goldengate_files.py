from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors import ConfigError, RetriableError
from connectors.sources.goldengate import GoldenGateSource
from examples.goldengate.trails import Shop, Style, Trail, write
from tests.unit.runtime.fakes import until
from tests.unit.sources.goldengate_run import Run


@pytest.fixture(autouse=True)
def close_all() -> Iterator[None]:
    yield
    while Run.made:
        Run.made.pop().task.stop()


def lines(*numbers: int) -> str:
    """Operations, each with its number as key."""
    return "".join(
        json.dumps({"table": "S.T", "op_type": "I", "primary_keys": ["N"], "after": {"N": n}}) + "\n" for n in numbers
    )


def numbers(run: Run) -> list[int]:
    return [int(message["data"][0]["N"]) for message in run.messages]


def again(run: Run, path: Path | str, **options: str) -> Run:
    """A new task that starts at the stored offset."""
    return Run(path, run.offset, **options)


@pytest.mark.parametrize(
    "style",
    [Style(), Style("row"), Style(layout="pretty"), Style(layout="none"), Style(full=False), Style(tokens=True)],
    ids=str,
)
def test_any_trail_gives_the_table_that_it_was_made_of(style: Style, tmp_path: Path) -> None:
    shop, trail = Shop(key_updates=style.full and style.format == "op"), Trail(style)
    texts = [trail.operation(*each) for each in shop.operations(500)]
    write(tmp_path, texts, style.layout, files=3)
    run = Run(tmp_path).drain()
    assert not run.errant
    wanted = {
        key: {name: None if value is None else str(value) for name, value in row.items()}
        for key, row in shop.rows.items()
    }
    assert run.table() == wanted
    assert run.ts_us == sorted(set(run.ts_us))
    assert all(record.key == json.dumps({"AID": message["data"][0]["AID"]}, separators=(",", ":")).encode()
               for record, message in zip(run.records, run.messages, strict=True))  # fmt: skip


def test_kafka_keeps_records_from_when_they_are_sent_unless_the_time_of_the_change_is_asked_for(tmp_path: Path) -> None:
    record = {"table": "S.T", "op_type": "I", "op_ts": "2024-01-02 03:04:05.000000", "after": {"N": 1}}
    (tmp_path / "a.json").write_text(json.dumps(record) + "\n")
    assert [record.timestamp_ms for record in Run(tmp_path).drain().records] == [None]
    asked = Run(tmp_path, record__timestamp="change").drain().records
    assert [record.timestamp_ms for record in asked] == [1_704_164_645_000]


def test_reading_in_many_pieces_with_restarts_gives_the_same_messages(tmp_path: Path) -> None:
    trail = Trail(Style())
    texts = [trail.operation(*each) for each in Shop(seed=3).operations(300)]
    write(tmp_path, texts, files=4)
    whole = Run(tmp_path).drain()
    run, values, order = Run(tmp_path, max__batch__size="7"), [], []
    while run.once():
        values += run.records
        order += run.ts_us
        run = again(run, tmp_path, max__batch__size="7")
    assert [record.key for record in values] == [record.key for record in whole.records]
    assert order == whole.ts_us


def test_an_incomplete_last_line_waits_for_its_rest(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    text = lines(1, 2, 3)
    run = Run(tmp_path)
    for end in range(1, len(text) + 1):
        file.write_text(text[:end])
        run.drain()
        if end % 50 == 0:
            records = run.records
            run = again(run, tmp_path)
            run.records = records
    assert numbers(run) == [1, 2, 3]


def test_a_renamed_and_then_compressed_file_goes_on_where_it_was(tmp_path: Path) -> None:
    active = tmp_path / "a.json.tmp"
    active.write_text(lines(*range(50)))
    run = Run(tmp_path).drain()
    with active.open("a") as out:
        out.write(lines(50))
    renamed = tmp_path / "a.json"
    active.rename(renamed)
    run.drain()
    with renamed.open("a") as out:
        out.write(lines(51))
    zipped = tmp_path / "a.json.gz"
    zipped.write_bytes(gzip.compress(renamed.read_bytes()))
    renamed.unlink()
    run.drain()
    assert numbers(run) == list(range(52))
    assert numbers(again(run, tmp_path).drain()) == []


def test_a_new_file_under_an_old_name_is_read_from_its_begin(tmp_path: Path) -> None:
    active, old = tmp_path / "a.json", tmp_path / "a.json.1"
    active.write_text(lines(1, 2))
    run = Run(tmp_path).drain()
    with active.open("a") as out:
        out.write(lines(3))
    active.rename(old)
    active.write_text(lines(4, 5, 6, 7))
    run.drain()
    assert sorted(numbers(run)) == [1, 2, 3, 4, 5, 6, 7]
    assert numbers(again(run, tmp_path).drain()) == []


def test_a_file_written_anew_in_its_place_is_read_from_its_begin(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(lines(1, 2))
    run = Run(tmp_path).drain()
    file.write_text(lines(7))
    run.drain()
    assert numbers(run) == [1, 2, 7]


def test_files_that_vanish_are_forgotten_and_what_was_unread_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(lines(1))
    run = Run(tmp_path).drain()
    (tmp_path / "a").unlink()
    with (tmp_path / "b").open("a") as out:
        out.write('{"half')
    run.drain()
    (tmp_path / "b").unlink()
    (tmp_path / "c").write_text(lines(2))
    run.drain()
    assert run.offset is not None
    assert list(run.offset["files"]) == [str(tmp_path / "c")]
    assert "6 bytes of it were not read" in caplog.text


def test_a_file_being_compressed_is_left_until_it_is_whole(tmp_path: Path) -> None:
    data = gzip.compress(os.urandom(1) * 0 + lines(*range(100)).encode())
    file = tmp_path / "a.json.gz"
    file.write_bytes(data[: len(data) // 2])
    run = Run(tmp_path).drain()
    early = len(run.records)
    file.write_bytes(data)
    run.drain()
    assert numbers(run) == list(range(100))
    assert early <= 100


def test_a_damaged_compressed_file_is_one_dead_letter_and_the_others_go_on(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(lines(*range(20_000)).encode()))
    data[10] = 0xFF
    file = tmp_path / "a.json.gz"
    file.write_bytes(data)
    (tmp_path / "b.json").write_text(lines(-1))
    run = Run(tmp_path).drain()
    assert numbers(run) == [-1]
    assert [f"{file} is damaged" in str(record.error) for record in run.errant] == [True]
    assert list((run.offset or {})["files"]) == [str(file), str(tmp_path / "b.json")]
    file.write_bytes(gzip.compress(lines(*range(20_000)).encode()))
    run.drain()
    assert numbers(run) == [-1, *range(20_000)]


def test_a_file_written_anew_with_the_same_size_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(lines(1))
    os.utime(file, ns=(1, 1))
    run = Run(tmp_path).drain()
    file.write_text(lines(2))
    run.drain()
    assert numbers(run) == [1, 2]


def test_a_broken_line_becomes_a_dead_letter_with_file_and_byte(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    good, broken, wrong = lines(1), '{"table":"S.T",\n', '{"table":"S.T","op_type":"Q"}\n'
    file.write_text(good + broken + wrong + lines(2))
    run = Run(tmp_path).drain()
    assert numbers(run) == [1, 2]
    assert [record.value for record in run.errant] == [broken.encode(), wrong.strip().encode()]
    first, second = (dict(record.headers)["connect.position"].decode() for record in run.errant)
    assert first == f"{file}:{len(good)}"
    assert second == f"{file}:{len(good) + len(broken)}"
    assert f"{file} at byte {len(good)}: malformed JSON" in str(run.errant[0].error)


def test_an_incomplete_end_is_a_dead_letter_once_a_later_file_is_there_for_long(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(lines(1) + '{"table"')
    run = Run(tmp_path, goldengate__partial__timeout__ms="1").drain()
    assert not run.errant
    (tmp_path / "b").write_text(lines(2))
    until(lambda: run.drain().errant)
    assert [record.value for record in run.errant] == [b'{"table"']
    assert numbers(run) == [1, 2]


def test_in_tx_mode_offsets_stand_between_transactions_only(tmp_path: Path) -> None:
    trail = Trail(Style(layout="none", txind=True))
    made = list(Shop(key_updates=False).operations(30))
    groups = [trail.transaction(made[start : start + 10]) for start in range(0, 30, 10)]
    file = tmp_path / "a.json"
    cut = len(groups[0]) + len(groups[1]) // 2
    data = "".join(groups)
    file.write_bytes(data.encode()[:cut])
    run = Run(tmp_path, goldengate__mode="tx").drain()
    assert len(run.records) == 10
    assert run.offset is not None
    assert run.offset["files"][str(file)][0] == len(groups[0].encode())
    before = run.ts_us
    file.write_bytes(data.encode())
    rest = again(run, tmp_path, goldengate__mode="tx").drain()
    assert len(rest.records) == 20
    assert before[-1] < rest.ts_us[0]


def test_without_an_indicator_a_transaction_ends_with_its_line(tmp_path: Path) -> None:
    trail = Trail(Style())
    made = list(Shop(key_updates=False).operations(20))
    texts = [trail.transaction(made[:10]), trail.transaction(made[10:])]
    write(tmp_path, texts)
    run = Run(tmp_path, goldengate__mode="tx", max__batch__size="3")
    sizes = []
    while run.once():
        sizes.append(len(run.records))
    assert sizes == [10, 20]


def test_operations_that_a_replicat_repeats_are_left_out_by_choice(tmp_path: Path) -> None:
    trail = Trail(Style())
    texts = [trail.operation(*each) for each in Shop(key_updates=False).operations(20)]
    write(tmp_path, texts + texts[15:])
    assert len(Run(tmp_path).drain().records) == 25
    assert len(Run(tmp_path, goldengate__deduplicate="true").drain().records) == 20


def test_truncates_filters_and_topics(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"table": "P.S.T$1", "op_type": "T"},
        {"table": "P.S.T$1", "op_type": "I", "after": {"A": 1}},
        {"table": "P.S.OTHER", "op_type": "I", "after": {"A": 2}},
    ]
    (tmp_path / "a").write_text("".join(json.dumps(record) for record in records))
    options = {"table.exclude.list": r".*\.OTHER", "topic": "x.${database}.${table}", "topic.ddl": "ddl"}
    run = Run(tmp_path, **options).drain()
    assert [record.topic for record in run.records] == ["ddl", "x.P.S.T_1"]
    truncate = run.messages[0]
    assert (truncate["type"], truncate["isDdl"], truncate["sql"]) == ("TRUNCATE", True, "TRUNCATE TABLE P.S.T$1")
    assert [record.partition for record in run.records] == [0, 0]


def test_latest_leaves_out_what_is_there_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text(lines(1))
    run = Run(tmp_path, goldengate__start__position="latest").drain()
    with file.open("a") as out:
        out.write(lines(2))
    assert numbers(again(run, tmp_path).drain()) == [2]


def test_a_missing_directory_is_waited_for_and_a_missing_input_is_told(tmp_path: Path) -> None:
    with pytest.raises(RetriableError, match="is not there"):
        Run(tmp_path / "none").once()
    with pytest.raises(ConfigError, match=r"Exactly one of the options goldengate\.path"):
        Run("")
    bad = [value for value in GoldenGateSource.validate({"topic": "${x}"}) if value.errors]
    assert [value.name for value in bad] == ["topic"]
