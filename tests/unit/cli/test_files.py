from __future__ import annotations

from pathlib import Path

import pytest

from connectors.cli.errors import USAGE, CommandError
from connectors.cli.files import read

EXPECTED = {"name": "in", "connector.class": "MySqlBinlogSource", "tasks.max": "1", "x": "a,b"}


def written(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "name: in\nconfig:\n  connector.class: MySqlBinlogSource\n  tasks.max: 1\n  x: [a, b]\n"),
        ("a.yml", "name: in\nconnector.class: MySqlBinlogSource\ntasks.max: 1\nx: a,b\n"),
        (
            "a.json",
            '{"name": "in", "config": {"connector.class": "MySqlBinlogSource", "tasks.max": 1, "x": ["a", "b"]}}',
        ),
        ("a.properties", "# a comment\nname=in\nconnector.class : MySqlBinlogSource\ntasks.max = 1\nx=a,\\\n   b\n"),
    ],
)
def test_every_format_gives_the_same_options(tmp_path: Path, name: str, text: str) -> None:
    (found,) = read((written(tmp_path, name, text),))
    assert (found.name, found.config) == ("in", EXPECTED)


def test_yaml_values_stay_as_they_are_written(tmp_path: Path) -> None:
    (found,) = read((written(tmp_path, "a.yaml", "name: in\npassword: 0123\nfactor: 1e3\nday: 2024-01-02\non: yes\n"),))
    assert found.config == {"name": "in", "password": "0123", "factor": "1e3", "day": "2024-01-02", "on": "yes"}


def test_properties_are_read_as_java_does(tmp_path: Path) -> None:
    (found,) = read((written(tmp_path, "a.properties", "name=in\ntables=m\\\\.pojo\nkey\\ one=\\u00e9\\t=x\n"),))
    assert found.config == {"name": "in", "tables": "m\\.pojo", "key one": "é\t=x"}


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    written(tmp_path, "b.yaml", "name: b\n---\nname: c\n")
    written(tmp_path, "a.json", '{"name": "a"}')
    written(tmp_path, "notes.txt", "no connector")
    assert [each.name for each in read((str(tmp_path),))] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "connector.class: X\n", "has no name"),
        ("a.yaml", "name: [\n", "a.yaml:2"),
        ("a.json", '{\n"name": }', "a.json:2"),
        ("a.properties", "name=in\nnonsense\n", "a.properties:2"),
        ("a.yaml", "name: in\nconfig: {a: {b: c}}\n", "option a"),
        ("a.yaml", "- name\n", "a map of options"),
        ("a.yaml", "", "no connector"),
        (
            "a.yaml",
            "name: in\nconfig: {a: b}\nnames: x\n",
            "unknown field names beside name and config; did you mean name?",
        ),
        ("a.yaml", "name: in\nconfig: {name: out}\n", "name is in, but out in config"),
        ("a.yaml", "name: in\n---\nname: in\n", "described twice"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(CommandError) as caught:
        read((written(tmp_path, name, text),))
    assert words in caught.value.message
    assert caught.value.exit_code == USAGE


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(CommandError, match=str(path)):
            read((str(path),))
