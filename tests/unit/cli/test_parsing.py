from __future__ import annotations

from pathlib import Path

import pytest

from connectors.cli.errors import USAGE, CommandError
from connectors.cli.files import read


def config(folder: Path, name: str, text: str | bytes) -> dict[str, str]:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    (found,) = read((str(file),))
    return found.config


def refused(folder: Path, name: str, text: str | bytes) -> str:
    with pytest.raises(CommandError) as caught:
        config(folder, name, text)
    assert caught.value.exit_code == USAGE
    return caught.value.message


def test_yaml_booleans_are_lower_case_and_null_is_absent(tmp_path: Path) -> None:
    text = "name: a\nb: True\nc: FALSE\nd: null\ne: ~\nf:\ng: ''\nh: 'null'\ni: [True, 1, x y]\nj: truely\n"
    expected = {"name": "a", "b": "true", "c": "false", "g": "", "h": "null", "i": "true,1,x y", "j": "truely"}
    assert config(tmp_path, "a.yaml", text) == expected


def test_yaml_with_an_empty_document_and_shared_options(tmp_path: Path) -> None:
    text = "---\nname: a\nconfig:\n  <<: {x: 1, y: 2}\n  y: 3\n---\n"
    assert config(tmp_path, "a.yaml", text) == {"name": "a", "x": "1", "y": "3"}


def test_a_yaml_block_loses_its_last_line_end_and_quoted_spaces_stay(tmp_path: Path) -> None:
    assert config(tmp_path, "a.yaml", 'name: a\nx: |\n  one\n  two\ny: " z "\n') == {
        "name": "a",
        "x": "one\ntwo",
        "y": " z ",
    }


def test_json_numbers_stay_as_they_are_written(tmp_path: Path) -> None:
    text = '{"name": "a", "config": {"x": 0.10, "y": 1e3, "z": true, "w": null, "v": [1, false], "u": -7}}'
    expected = {"name": "a", "x": "0.10", "y": "1e3", "z": "true", "v": "1,false", "u": "-7"}
    assert config(tmp_path, "a.json", text) == expected


def test_properties_with_spaces_and_line_ends_of_every_kind(tmp_path: Path) -> None:
    text = "\ufeffname=a\r\n  x = 1 \t\r! no\ny=v\\ \nz=one \\\n  # two\n\n#end\\\nw:\n"
    assert config(tmp_path, "a.properties", text) == {"name": "a", "x": "1", "y": "v ", "z": "one # two", "w": ""}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.properties", "name=a\nx=1,\\\n  2\npassword hunter2\n", "a.properties:4: no `key = value`"),
        ("a.properties", "name=a\npassword=hunter2\npassword=hunter3\n", "a.properties:3: option password is there"),
        ("a.yaml", "name: a\npassword: hunter2\npassword: hunter3\n", "a.yaml:3: found duplicate key"),
        ("a.yaml", "name: a\nx: hunter2: b\n", "a.yaml:2"),
        ("a.yaml", "name: a\nx: !!python/object:os.system hunter2\n", "a.yaml:2"),
        ("a.yaml", "name: a\nx: &x [*x]\n", "option x"),
        ("a.json", '{"name": "a",\n "x": [["hunter2"]]}', "option x"),
        ("a.json", '{"name": "a"} {"name": "hunter2"}', "a.json:1"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.yaml", b"name: a\nx: \xff\n", "a.yaml:2: is not UTF-8"),
        ("a.json", "", "a.json:1"),
    ],
)
def test_mistakes_are_placed_and_values_not_repeated(tmp_path: Path, name: str, text: str | bytes, words: str) -> None:
    message = refused(tmp_path, name, text)
    assert words in message
    assert "hunter" not in message


def test_a_folder_takes_files_only(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").mkdir()
    assert config(tmp_path, "a.json", '{"name": "a"}') == {"name": "a"}
    assert [each.name for each in read((str(tmp_path),))] == ["a"]
