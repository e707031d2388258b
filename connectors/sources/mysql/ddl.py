"""What a statement in the binlog does, as Canal names it.

A tokenizer and the few rules of Canal are enough, and unlike a full parser they do not stop at syntax that is newer
than they are. Source: reference Canal 1.1.7, `DruidDdlParser`, as seen running.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Ddl", "classify", "tables_written"]

_TOKEN: Final = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*|--(?=\s|$)[^\n]*|/\*(?![!M]).*?\*/|/\*M?!\d*|\*/)
      |(?P<name>`(?:[^`]|``)*`)
      |(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
      |(?P<word>[\w$@\u0080-\U0010ffff]+)
      |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_INDEX_WORDS: Final = ("INDEX", "KEY")
_INDEX_KINDS: Final = ("UNIQUE", "FULLTEXT", "SPATIAL")


@dataclass(frozen=True, slots=True)
class Ddl:
    """A statement that changes a schema.

    Attributes:
        type: Canal's type, e.g. CREATE, ALTER, ERASE.
        tables: The (database, table) pairs it names, first the one that Canal reports; of CREATE and DROP DATABASE
            the database with an empty table.
    """

    type: str
    tables: tuple[tuple[str, str], ...]


class _Tokens:
    """A statement's tokens, read from left to right. Quoted names are told from words by a mark before them."""

    def __init__(self, sql: str, database: str) -> None:
        self._tokens = list(_tokens(sql))
        self._database = database
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        index = self.at + ahead
        return self._tokens[index].upper() if index < len(self._tokens) else ""

    def take(self, *words: str) -> bool:
        """Step over the words if they come next, in this order."""
        if all(self.peek(n) == word for n, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def take_any(self, *words: str) -> bool:
        """Step over one of the words if it comes next."""
        return any(self.take(word) for word in words)

    def seek(self, *words: str) -> bool:
        """Step behind the next of the words."""
        while self.peek():
            if self.take_any(*words):
                return True
            self.at += 1
        return False

    def name(self) -> str:
        token = self._tokens[self.at] if self.at < len(self._tokens) else ""
        self.at += 1
        return token[1:] if token[:1] == "`" else token

    def table(self) -> tuple[str, str]:
        first = self.name()
        return (first, self.name()) if self.take(".") else (self._database, first)

    def skip_group(self) -> None:
        """Step behind the parenthesis that closes the one just read."""
        depth = 1
        while depth and (token := self.peek()):
            self.at += 1
            depth += (token == "(") - (token == ")")

    def skip_to_comma(self) -> bool:
        """Step behind the next comma outside parentheses."""
        depth = 0
        while token := self.peek():
            self.at += 1
            if token == "," and not depth:
                return True
            depth += (token == "(") - (token == ")")
        return False


def _tokens(sql: str) -> Iterator[str]:
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup
        if kind == "name":
            yield "`" + match[0][1:-1].replace("``", "`")
        elif kind == "text" and match[0][0] == '"':
            yield "`" + match[0][1:-1].replace('""', '"')  # a name where the session has ANSI_QUOTES
        elif kind != "skip":
            yield match[0]


def classify(sql: str, database: str) -> Ddl | None:
    """Return what a statement does; None for statements without a message of their own: views, routines, users, ...

    Args:
        sql: The statement.
        database: The session's database, for names without one.
    """
    tokens = _Tokens(sql, database)
    if tokens.take("CREATE"):
        return _create(tokens)
    if tokens.take("ALTER"):
        tokens.take_any("ONLINE", "OFFLINE")
        tokens.take("IGNORE")
        return _alter(tokens) if tokens.take("TABLE") else None
    if tokens.take("DROP"):
        return _drop(tokens)
    if tokens.take("TRUNCATE"):
        tokens.take("TABLE")
        return Ddl("TRUNCATE", (tokens.table(),))
    if tokens.take("RENAME") and tokens.take_any("TABLE", "TABLES"):
        return _rename(tokens)
    return None


def _if_exists(tokens: _Tokens) -> None:
    if tokens.take("IF"):
        tokens.take("NOT")
        tokens.take("EXISTS")


def _create(tokens: _Tokens) -> Ddl | None:
    tokens.take("OR", "REPLACE")
    if tokens.take("TABLE"):
        _if_exists(tokens)
        return Ddl("CREATE", (tokens.table(),))
    if tokens.take_any("DATABASE", "SCHEMA"):
        _if_exists(tokens)
        return Ddl("QUERY", ((tokens.name(), ""),))
    tokens.take_any("ONLINE", "OFFLINE")
    tokens.take_any(*_INDEX_KINDS)
    if tokens.take("INDEX") and tokens.seek("ON"):
        return Ddl("CINDEX", (tokens.table(),))
    return None


def _drop(tokens: _Tokens) -> Ddl | None:
    if tokens.take_any("DATABASE", "SCHEMA"):
        _if_exists(tokens)
        return Ddl("QUERY", ((tokens.name(), ""),))
    if tokens.take_any("TABLE", "TABLES"):
        _if_exists(tokens)
        tables = [tokens.table()]
        while tokens.take(","):
            tables.append(tokens.table())
        return Ddl("ERASE", tuple(tables))
    tokens.take_any("ONLINE", "OFFLINE")
    if tokens.take("INDEX") and tokens.seek("ON"):
        return Ddl("DINDEX", (tokens.table(),))
    return None


def _rename(tokens: _Tokens) -> Ddl:
    _if_exists(tokens)
    tables: list[tuple[str, str]] = []
    while True:
        former = tokens.table()
        _if_exists(tokens)
        if not tokens.seek("TO"):
            break
        tables += [tokens.table(), former]
        if not tokens.take(","):
            break
    return Ddl("RENAME", tuple(tables))


def _alter(tokens: _Tokens) -> Ddl:
    _if_exists(tokens)
    table = tokens.table()
    if tokens.take("WAIT"):  # MariaDB
        tokens.name()
    tokens.take("NOWAIT")
    kind = _alter_item(tokens)
    while True:
        if tokens.take("RENAME") and tokens.peek() not in ("COLUMN", *_INDEX_WORDS):
            tokens.take_any("TO", "AS", "=")
            return Ddl("RENAME", (tokens.table(), table))
        if not tokens.skip_to_comma():
            return Ddl(kind, (table,))


def _alter_item(tokens: _Tokens) -> str:
    """Return what the first item of an ALTER TABLE does, without stepping over it."""
    first, second = tokens.peek(), tokens.peek(1)
    if first == "ADD":
        if second == "CONSTRAINT":
            second = tokens.peek(2) if tokens.peek(2) == "UNIQUE" else tokens.peek(3)
            return "CINDEX" if second == "UNIQUE" else "ALTER"
        return "CINDEX" if second in (*_INDEX_WORDS, *_INDEX_KINDS) else "ALTER"
    return "DINDEX" if first == "DROP" and second in (*_INDEX_WORDS, "CONSTRAINT") else "ALTER"


_MODIFIERS: Final = ("LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK", "IGNORE")


def tables_written(sql: str, database: str) -> list[tuple[str, str]]:
    """Return the tables that a statement may change rows of; none where it is no such statement.

    The binlog has such statements where a session wrote with `binlog_format=STATEMENT`. Of a statement over several
    tables all are returned; an empty table stands for any.

    Args:
        sql: The statement.
        database: The session's database, for names without one.
    """
    tokens = _Tokens(sql, database)
    verb = tokens.peek()
    tokens.at += 1
    while verb in ("INSERT", "REPLACE", "UPDATE", "DELETE") and tokens.take_any(*_MODIFIERS):
        pass
    if verb in ("INSERT", "REPLACE"):
        tokens.take("INTO")
        return [tokens.table()]
    if verb == "UPDATE":
        return _references(tokens, "SET")
    if verb == "DELETE":
        return _deleted(tokens)
    if verb == "LOAD" and tokens.seek("INTO"):
        tokens.take("TABLE")
        return [tokens.table()]
    if verb == "CREATE":
        return _filled(tokens)
    return [(database, "")] if verb in ("WITH", "CALL", "DO", "LOAD") else []


def _references(tokens: _Tokens, end: str) -> list[tuple[str, str]]:
    """Return the tables of joins, up to a word."""
    found: list[tuple[str, str]] = []
    expected = True
    while (word := tokens.peek()) and word != end:
        if expected and word != "(":
            found.append(tokens.table())
            expected = False
            continue
        tokens.at += 1
        joins = word == "(" and expected and tokens.peek() != "SELECT"
        if word == "(" and not joins:
            tokens.skip_group()
        expected = joins or word in (",", "JOIN", "STRAIGHT_JOIN")
    return found


def _deleted(tokens: _Tokens) -> list[tuple[str, str]]:
    if not tokens.take("FROM"):  # DELETE a, b FROM ...: the names before FROM may be aliases
        return _references(tokens, "WHERE") if tokens.seek("FROM") else []
    first = tokens.table()
    while tokens.take_any(".", "*") or (tokens.take(",") and tokens.table()):
        pass
    return _references(tokens, "WHERE") if tokens.take("USING") else [first]


def _filled(tokens: _Tokens) -> list[tuple[str, str]]:
    """Return the table of a CREATE TABLE that takes its rows from a query."""
    tokens.take("OR", "REPLACE")
    if not tokens.take("TABLE"):
        return []
    _if_exists(tokens)
    table = tokens.table()
    while word := tokens.peek():
        # A partition's VALUES are followed by IN or LESS.
        if word in ("SELECT", "TABLE") or (word == "VALUES" and tokens.peek(1) in ("ROW", "(")):
            return [table]
        tokens.at += 1
    return []
