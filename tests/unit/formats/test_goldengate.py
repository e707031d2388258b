from __future__ import annotations

from typing import Any

import orjson
import pytest

from connectors import ConfigError, DataError
from connectors.formats.canal import changes_of
from connectors.formats.flat_message import FlatMessages
from connectors.formats.goldengate import GoldenGateFormat, Operation, decode_objects
from connectors.formats.goldengate_converter import GoldenGateJsonConverter
from connectors.formats.goldengate_meta import MetaColumns
from connectors.formats.goldengate_options import format_of, format_options
from connectors.formats.goldengate_types import column_type

META = '"table":"S.T","op_ts":"2024-01-02 03:04:05.000001","current_ts":"x","pos":"00000000020000002052"'


def form(**options: str) -> GoldenGateFormat:
    return format_of(format_options().parse({name.replace("__", "."): v for name, v in options.items()}))


def read(text: str, made: GoldenGateFormat | None = None) -> Operation:
    found = [(made or GoldenGateFormat()).operation(record) for record in decode_objects(text.encode())]
    assert len(found) == 1
    assert found[0] is not None
    return found[0]


def test_an_insert_keeps_every_digit_as_canals_text() -> None:
    operation = read(
        f'{{{META},"op_type":"I","after":{{"A":17520.00,"B":12345678901234567890123,"C":"x","D":null,"E":1.5E3,"F":true,'
        '"G":-0,"H":0.0000001}}'
    )
    assert operation.row == {
        "A": "17520.00",
        "B": "12345678901234567890123",
        "C": "x",
        "D": None,
        "E": "1500",
        "F": "1",
        "G": "-0",
        "H": "0.0000001",
    }
    assert (operation.op, operation.database, operation.table, operation.old) == ("INSERT", "S", "T", None)
    assert (operation.op_us, operation.pos) == (1_704_164_645_000_001, "00000000020000002052")


def test_an_update_tells_what_the_changed_columns_were() -> None:
    operation = read(f'{{{META},"op_type":"U","before":{{"A":1,"B":"x","C":null}},"after":{{"A":1,"B":"y","C":"z"}}}}')
    assert operation.row == {"A": "1", "B": "y", "C": "z"}
    assert operation.old == {"B": "x", "C": None}


def test_columns_that_only_the_before_image_has_did_not_change() -> None:
    operation = read(f'{{{META},"op_type":"U","before":{{"A":1,"B":"x","C":2}},"after":{{"A":1,"B":"y"}}}}')
    assert operation.row == {"A": "1", "B": "y", "C": "2"}
    assert operation.old == {"B": "x"}


@pytest.mark.parametrize("before", ["", '"before":{},', '"before":null,'])
def test_an_update_without_before_image_has_no_former_values(before: str) -> None:
    operation = read(f'{{{META},"op_type":"U",{before}"after":{{"A":1,"B":"y"}}}}')
    assert (operation.row, operation.old) == ({"A": "1", "B": "y"}, {})


def test_a_delete_is_its_before_image_and_a_truncate_has_no_rows() -> None:
    delete = read(f'{{{META},"op_type":"D","before":{{"A":1}}}}')
    assert (delete.op, delete.row, delete.old) == ("DELETE", {"A": "1"}, None)
    truncate = read(f'{{{META},"op_type":"T"}}')
    assert truncate.op == "TRUNCATE"
    assert truncate.changes(split_key_updates=True) == []


@pytest.mark.parametrize(("op", "name"), [("I", "INSERT"), ("U", "UPDATE"), ("D", "DELETE")])
def test_row_format_has_the_columns_beside_the_meta_columns(op: str, name: str) -> None:
    operation = read(f'{{{META},"op_type":"{op}","primary_keys":["A"],"tokens":{{}},"A":1,"B":null}}')
    assert (operation.op, operation.row, operation.key) == (name, {"A": "1", "B": None}, ("A",))


def test_a_key_update_becomes_a_delete_and_an_insert_where_the_key_is_the_kafka_key() -> None:
    text = f'{{{META},"op_type":"U","primary_keys":["A"],"before":{{"A":1,"B":"x"}},"after":{{"A":2,"B":"y"}}}}'
    changes = read(text).changes(split_key_updates=True)
    assert [(change.op, change.row, change.old) for change in changes] == [
        ("DELETE", {"A": "1", "B": "x"}, None),
        ("INSERT", {"A": "2", "B": "y"}, None),
    ]
    [whole] = read(text).changes(split_key_updates=False)
    assert (whole.op, whole.old) == ("UPDATE", {"A": "1", "B": "x"})


def test_a_key_update_without_all_columns_is_refused_rather_than_lose_them() -> None:
    made = GoldenGateFormat()
    read(f'{{{META},"op_type":"I","primary_keys":["A"],"after":{{"A":1,"B":"x"}}}}', made)
    operation = read(f'{{{META},"op_type":"U","primary_keys":["A"],"before":{{"A":1}},"after":{{"A":2}}}}', made)
    with pytest.raises(DataError, match="has not all columns"):
        operation.changes(split_key_updates=True)


def test_flags_of_missing_columns_are_no_columns() -> None:
    operation = read(f'{{{META},"op_type":"I","after":{{"A":1,"A_isMissing":false,"B":null,"B_isMissing":true}}}}')
    assert operation.row == {"A": "1"}


def test_key_columns_come_from_options_and_tokens() -> None:
    text = f'{{{META},"op_type":"I","tokens":{{"TK":"A, B"}},"after":{{"A":1,"B":2}}}}'
    assert read(text).key == ()
    assert read(text, form(**{"key.token": "TK"})).key == ("A", "B")
    assert read(text, form(**{"key.S.T": "B"})).key == ("B",)


def test_meta_columns_may_have_any_names() -> None:
    template = (
        "${objectname[tab]}, ${optype},${timestampmicro[us]},${seqno},${rba},${txind[ti]},${token[k][tok]},${csn}"
    )
    made = form(meta__columns=template)
    text = '{"tab":"P.S.T","optype":"I","us":1704164645000001,"seqno":2,"rba":"2052","ti":"E","tok":"v","A":5}'
    operation = read(text, made)
    assert (operation.database, operation.table, operation.row) == ("P.S", "T", {"A": "5"})
    assert (operation.op_us, operation.pos, operation.txind) == (1_704_164_645_000_001, "00000000020000002052", "E")


def test_a_table_may_be_told_in_parts() -> None:
    made = form(meta__columns="${catalog},${schema[s]},${table[t]},${optype[o]}")
    assert read('{"catalog":"C","s":"S","t":"T","o":"T"}', made).database == "C.S"


def test_other_op_keys_and_image_names() -> None:
    made = form(op__keys="INS,UPD,DEL,TRU", before="b", after="a")
    assert read(f'{{{META},"op_type":"UPD","b":{{"A":1}},"a":{{"A":2}}}}', made).old == {"A": "1"}


def test_a_schema_record_tells_types_and_is_no_operation() -> None:
    made = GoldenGateFormat()
    schema = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "title": "S.T",
        "definitions": {
            "row": {
                "properties": {
                    "N": {"type": ["number", "null"]},
                    "V": {"type": ["string", "null"]},
                    "N_isMissing": {"type": "boolean"},
                }
            }
        },
    }
    assert made.operation(schema) is None
    found = {name: (type_.mysql_type, type_.sql_type) for name, type_ in made.types_of("S", "T").items()}
    assert found == {"N": ("decimal", 3), "V": ("varchar", 12)}


@pytest.mark.parametrize(
    ("declared", "given", "wanted"),
    [
        ("number(10,2)", "17520", "17520.00"),
        ("decimal(10,2)", "1.5", "1.50"),
        ("decimal(10,2)", "1.50000", "1.50"),
        ("decimal(10,2)", "1.505", "1.505"),
        ("decimal(20,10)", "1e-7", "0.0000001000"),
        ("bigint", "5.0", "5"),
        ("integer", '"007"', "7"),
        ("timestamp(6)", '"2024-01-02 03:04:05.123000000"', "2024-01-02 03:04:05.123000"),
        ("datetime", '"1994-09-30:15:33:00"', "1994-09-30 15:33:00"),
        ("datetime(3)", '"2024-01-02T03:04:05"', "2024-01-02 03:04:05.000"),
        ("datetime", '"2024-01-02 03:04:05.1 +08:00"', "2024-01-02 03:04:05.1 +08:00"),
        ("date", '"2024-01-02 00:00:00"', "2024-01-02"),
        ("varchar2(10)", "5.10", "5.10"),
        ("boolean", "true", "1"),
        ("blob", '"AP8="', "\x00ÿ"),
    ],
)
def test_declared_types_set_the_text_form(declared: str, given: str, wanted: str) -> None:
    made = form(**{"types.S.T": f"V={declared}, W=number(10,2)", "binary.mode": "latin1"})
    operation = read(f'{{{META},"op_type":"I","after":{{"V":{given}}}}}', made)
    assert operation.row == {"V": wanted}
    assert column_type(declared).mysql_type == made.types_of("S", "T")["V"].mysql_type


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a":1}', "the meta column table is missing"),
        ('{"table":"S.T","op_type":"X"}', "op_type 'X' is not one of I, U, D, T"),
        ('{"table":"S.T","op_type":"I"}', None),
        ('{"table":"S.T","op_type":"D","before":{}}', "no before image"),
        ('{"table":"S.T","op_type":"U","before":{"A":1}}', "no after image"),
        ('{"table":"S.T","op_type":"I","op_ts":"soon","after":{"A":1}}', "op_ts"),
        ("[1]", "a JSON object is needed"),
        ('{"table":', "malformed JSON"),
        ('{"table":"S.T","op_type":"I","after":{"A":NaN}}', "NaN"),
    ],
)
def test_what_is_no_operation_is_refused_with_a_reason(text: str, words: str | None) -> None:
    if words is None:
        assert read(text).row == {}
        return
    with pytest.raises(DataError, match=words):
        read(text)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("meta.columns", "table,op_type", "cannot read 'table'"),
        ("meta.columns", "${objectname[table]}", "optype"),
        ("meta.columns", "${optype[op_type]}", "objectname"),
        ("types.S.T", "A=nmber(1)", "did you mean number"),
        ("types.S.T", "A", "cannot read 'A'"),
        ("op.keys", "I,U,D", "four different words"),
    ],
)
def test_wrong_options_are_told(name: str, value: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        form(**{name: value})


def test_a_message_reads_back_as_the_change_that_it_was_made_of() -> None:
    made = form(**{"types.S.T": "A=number(10,2)", "key.S.T": "A"})
    operation = read(f'{{{META},"op_type":"U","before":{{"A":1,"B":"x"}},"after":{{"A":1,"B":"名"}}}}', made)
    [change] = operation.changes(split_key_updates=True)
    value = FlatMessages().encode(change, made.types_of("S", "T"), es_ms=1000, ts_ms=2000, message_id=3)
    message: dict[str, Any] = orjson.loads(value)
    assert list(message) == sorted(message)
    assert message["mysqlType"] == {"A": "decimal(10,2)", "B": "varchar"}
    assert message["sqlType"] == {"A": 3, "B": 12}
    [back] = changes_of(message)
    assert (back.op, back.row, back.old, back.key) == ("UPDATE", {"A": "1.00", "B": "名"}, {"B": "x"}, ("A",))


def test_the_converter_reads_whole_transactions() -> None:
    converter = GoldenGateJsonConverter()
    converter.configure({"key.S.T": "A"}, is_key=False)
    one = f'{{{META},"op_type":"I","after":{{"A":1}}}}'
    two = f'{{{META},"op_type":"U","before":{{"A":1}},"after":{{"A":2}}}}'
    found = converter.to_connect("t", [("connect.ts_us", b"70")], f"{one}{two}\n".encode())
    assert found is not None
    assert [(change.op, change.row["A"], change.ts_us) for change in found] == [
        ("INSERT", "1", 70),
        ("DELETE", "1", 71),
        ("INSERT", "2", 72),
    ]
    assert {change.position for change in found} == {"00000000020000002052"}
    assert converter.to_connect("t", [], None) is None
    with pytest.raises(DataError):
        converter.from_connect("t", [], {})


def test_the_usual_names_need_no_template() -> None:
    assert MetaColumns().names >= {"table", "op_type", "op_ts", "current_ts", "pos", "before", "after"}
