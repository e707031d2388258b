"""Which Python codec reads which MySQL character set, and which character set a collation id stands for."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pymysqlreplication.constants import CHARSET

__all__ = ["BINARY", "Charset", "Charsets", "charset_named"]

BINARY: Final = 63
"""Collation id of bytes that are no text."""

_CODECS: Final = {
    "armscii8": None,
    "ascii": "ascii",
    "big5": "cp950",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1256": "cp1256",
    "cp1257": "cp1257",
    "cp850": "cp850",
    "cp852": "cp852",
    "cp866": "cp866",
    "cp932": "cp932",
    "eucjpms": "euc_jp",
    "euckr": "cp949",
    "gb18030": "gb18030",
    "gb2312": "gb2312",
    "gbk": "gbk",
    "greek": "iso8859_7",
    "hebrew": "iso8859_8",
    "hp8": "hp_roman8",
    "koi8r": "koi8_r",
    "koi8u": "koi8_u",
    "latin1": "mysql_latin1",
    "latin2": "iso8859_2",
    "latin5": "iso8859_9",
    "latin7": "iso8859_13",
    "macce": "mac_latin2",
    "macroman": "mac_roman",
    "sjis": "shift_jis",
    "tis620": "tis_620",
    "ucs2": "utf_16_be",
    "ujis": "euc_jp",
    "utf16": "utf_16_be",
    "utf16le": "utf_16_le",
    "utf32": "utf_32_be",
    "utf8": "utf-8",
    "utf8mb3": "utf-8",
    "utf8mb4": "utf-8",
}
_MAX_BYTES: Final = {
    "big5": 2, "cp932": 2, "eucjpms": 3, "euckr": 2, "gb18030": 4, "gb2312": 2, "gbk": 2, "sjis": 2, "ucs2": 2,
    "ujis": 3, "utf16": 4, "utf16le": 4, "utf32": 4, "utf8": 3, "utf8mb3": 3, "utf8mb4": 4,
}  # fmt: skip
_UCA1400: Final = ("utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32")


def _latin1(name: str) -> codecs.CodecInfo | None:
    """MySQL's latin1: cp1252, whose five unassigned bytes stand for the control characters of the same number."""
    if name != "mysql_latin1":
        return None
    table = "".join(bytes([n]).decode("cp1252", "ignore") or chr(n) for n in range(256))
    encoding = codecs.charmap_build(table)
    return codecs.CodecInfo(
        lambda text, errors="strict": codecs.charmap_encode(text, errors, encoding),
        lambda data, errors="strict": codecs.charmap_decode(bytes(data), errors, table),
        name=name,
    )


codecs.register(_latin1)


@dataclass(frozen=True, slots=True)
class Charset:
    """A character set.

    Attributes:
        name: MySQL's name.
        codec: Python's codec, or None where there is none.
        max_bytes: Most bytes of one character.
    """

    name: str
    codec: str | None
    max_bytes: int


def charset_named(name: str) -> Charset:
    """Return the character set of that name."""
    return Charset(name, _CODECS.get(name), _MAX_BYTES.get(name, 1))


class Charsets:
    """The character sets of one server.

    Args:
        names: Collation id to character set name as the server reports them; ids that are missing there are looked
            up in mysql-replication's table.
        flavor: `mysql` or `mariadb`.
    """

    def __init__(self, names: Mapping[int, str] | None = None, flavor: str = "mysql") -> None:
        self._names = dict(names or {})
        self._flavor = flavor

    def __getitem__(self, collation: int) -> Charset:
        """Return the character set of a collation id; its codec is None where Python cannot read it."""
        return charset_named(self._names.get(collation) or self._known(collation))

    def _known(self, collation: int) -> str:
        # MariaDB numbers its UCA 14 collations by character set, 256 each.
        if self._flavor == "mariadb" and 2048 <= collation < 2048 + 256 * len(_UCA1400):
            return _UCA1400[(collation - 2048) >> 8]
        found = CHARSET.charset_by_id(collation, self._flavor)
        return str(found.name) if found is not None else f"of collation {collation}"
