"""Row filters: a condition of SQL's WHERE, parsed once and turned into Python functions.

Values are compared as MySQL would compare them, with SQL's three-valued logic, except that text is compared by its
characters alone: a collation that takes `a` for `A` is not asked (LOWER() does that).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

import orjson

from connectors.api.errors import ConfigError
from connectors.sources.mysql import columns as c
from connectors.sources.mysql.columns import Column, Table

__all__ = ["Condition", "Predicate", "compile_condition", "text_of"]

Kind = Literal["number", "text", "boolean", "null"]
Values = Sequence[Any]
Node = Any
"""A node of sqlglot's tree, whose classes have other names from one major version to the next."""
_NUMBERS: Final = frozenset(
    {c.TINY, c.SHORT, c.INT24, c.LONG, c.LONGLONG, c.NEWDECIMAL, c.FLOAT, c.DOUBLE, c.YEAR, c.BIT},
)
_COMPARISONS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "EQ": operator.eq, "NEQ": operator.ne, "LT": operator.lt, "LTE": operator.le, "GT": operator.gt, "GTE": operator.ge,
}  # fmt: skip
_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "Add": operator.add, "Sub": operator.sub, "Mul": operator.mul,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Term:
    """A part of the condition: how to get its value from a row's values, and of what kind it is."""

    value: Callable[[Values], Any]
    kind: Kind


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition for one table layout.

    Attributes:
        columns: Positions of the columns that it looks at.
        holds: From their JSON texts, in that order, to whether the row is wanted. A row that lacks one of them
            (`binlog_row_image=MINIMAL`) is wanted: what cannot be known must not be lost.
    """

    columns: tuple[int, ...]
    holds: Callable[[Sequence[str]], bool]


class Condition:
    """A condition as the user wrote it.

    Args:
        option: The option it stands in, for messages.
        text: The condition, e.g. `status <> 'draft' AND amount >= 100`.

    Raises:
        ConfigError: It is no condition, or uses what is not supported.
    """

    def __init__(self, option: str, text: str) -> None:
        # Loaded here, because most connectors have no row filter and need not wait for the parser.
        import sqlglot
        from sqlglot.errors import SqlglotError

        self.option = option
        self.text = text
        try:
            self._tree: Any = sqlglot.parse_one(text, read="mysql")
        except SqlglotError as error:
            reason = re.sub(r"\x1b\[\d+m", "", str(error)).splitlines()[0]
            raise ConfigError(f"Option {option}: {text!r} is no condition: {reason}", key=option) from None
        # Any columns will do for finding out whether all its parts are supported.
        names = {str(node.name) for node in self._tree.find_all(sqlglot.exp.Column)}
        self.names = frozenset(names)
        _Compiler(self, {name: (n, "null") for n, name in enumerate(sorted(names))}).condition(self._tree)

    @property
    def tree(self) -> Any:
        """The parsed condition."""
        return self._tree


def compile_condition(condition: Condition, table: Table, *, labels: bool) -> Predicate:
    """Turn a condition into functions for one table.

    Args:
        condition: The condition.
        table: The table's layout.
        labels: Whether ENUM and SET are written as labels; they are numbers otherwise.

    Raises:
        ConfigError: The table lacks a column, or values of different kinds are compared.
    """
    positions = {column.name.lower(): n for n, column in enumerate(table.columns)}
    chosen: list[int] = []
    kinds: dict[str, tuple[int, Kind]] = {}
    for number, name in enumerate(sorted(condition.names)):
        position = positions.get(name.lower())
        if position is None:
            raise ConfigError(
                f"Option {condition.option}: {table.database}.{table.name} has no column {name}",
                key=condition.option,
            )
        chosen.append(position)
        column = table.columns[position]
        kinds[name] = (number, "number" if _is_number(column, labels=labels) else "text")
    truth = _Compiler(condition, kinds).condition(condition.tree).value
    readers = [_reader(table.columns[n], labels=labels) for n in chosen]

    def holds(texts: Sequence[str]) -> bool:
        if "" in texts:
            return True
        return truth([read(text) for read, text in zip(readers, texts, strict=True)]) is True

    return Predicate(tuple(chosen), holds)


def _is_number(column: Column, *, labels: bool) -> bool:
    return column.type in _NUMBERS or (column.type in (c.ENUM, c.SET) and not labels)


def text_of(json: str) -> str | None:
    """Return the value that a column's JSON text stands for."""
    if json == "null":
        return None
    return str(orjson.loads(json)) if "\\" in json else json[1:-1]


def _reader(column: Column, *, labels: bool) -> Callable[[str], Any]:
    if not _is_number(column, labels=labels):
        return text_of
    convert: Callable[[str], Any] = int
    if column.type in (c.NEWDECIMAL, c.FLOAT, c.DOUBLE):
        convert = Decimal
    return lambda json: None if json == "null" else convert(json[1:-1])


class _Compiler:
    """Turns the parsed condition into functions.

    Args:
        condition: For messages.
        columns: Position among the values, and kind, of each column that occurs.
    """

    def __init__(self, condition: Condition, columns: Mapping[str, tuple[int, Kind]]) -> None:
        self._condition = condition
        self._columns = columns

    def _refuse(self, what: str) -> ConfigError:
        option = self._condition.option
        return ConfigError(f"Option {option}: {self._condition.text!r}: {what}", key=option)

    def condition(self, node: Node) -> _Term:
        """Compile what must be true or false."""
        term = self._term(node)
        if term.kind == "number":
            value = term.value
            return _Term(lambda row: None if (v := value(row)) is None else v != 0, "boolean")
        if term.kind == "text":
            raise self._refuse(f"{node.sql('mysql')} is a text, where a comparison is needed")
        return term

    def _term(self, node: Node) -> _Term:
        name = type(node).__name__
        if name in _COMPARISONS:
            return self._comparison(_COMPARISONS[name], node.this, node.expression)
        if name in _ARITHMETIC:
            return self._arithmetic(_ARITHMETIC[name], node)
        method: Callable[[Any], _Term] | None = getattr(self, f"_{name.lower()}", None)
        if method is None:
            known = "AND OR NOT = <> < <= > >= <=> IN BETWEEN LIKE REGEXP IS NULL + - * LOWER UPPER, names and literals"
            raise self._refuse(f"{node.sql('mysql')} is not supported; supported are {known}")
        return method(node)

    # Leaves

    def _column(self, node: Node) -> _Term:
        number, kind = self._columns[str(node.name)]
        return _Term(operator.itemgetter(number), kind)

    def _literal(self, node: Node) -> _Term:
        text = str(node.this)
        value: Any = text if node.is_string else int(text) if text.isdigit() else Decimal(text)
        return _Term(lambda _: value, "text" if node.is_string else "number")

    def _boolean(self, node: Node) -> _Term:
        value = bool(node.this)
        return _Term(lambda _: value, "boolean")

    def _null(self, _: Node) -> _Term:
        return _Term(lambda _: None, "null")

    def _paren(self, node: Node) -> _Term:
        return self._term(node.this)

    def _neg(self, node: Node) -> _Term:
        value = self._number(node.this)
        return _Term(lambda row: None if (v := value(row)) is None else -v, "number")

    def _lower(self, node: Node) -> _Term:
        return self._text_function(node.this, str.lower)

    def _upper(self, node: Node) -> _Term:
        return self._text_function(node.this, str.upper)

    def _text_function(self, node: Node, function: Callable[[str], str]) -> _Term:
        value = self._term(node).value
        return _Term(lambda row: None if (v := value(row)) is None else function(str(v)), "text")

    def _number(self, node: Node) -> Callable[[Values], Any]:
        term = self._term(node)
        if term.kind == "text":
            raise self._refuse(f"{node.sql('mysql')} is a text, where a number is needed")
        return term.value

    def _arithmetic(self, calculate: Callable[[Any, Any], Any], node: Node) -> _Term:
        left, right = self._number(node.this), self._number(node.expression)

        def value(row: Values) -> Any:
            a, b = left(row), right(row)
            return None if a is None or b is None else calculate(a, b)

        return _Term(value, "number")

    # Comparisons

    def _pair(self, left: Node, right: Node) -> tuple[Callable[[Values], Any], ...]:
        """Compile two sides; where one is a number and the other a literal text, the text is read as a number."""
        sides = [(self._term(node), node) for node in (left, right)]
        if {term.kind for term, _ in sides} == {"number", "text"}:
            return tuple(term.value if term.kind == "number" else self._as_number(node) for term, node in sides)
        return tuple(term.value for term, _ in sides)

    def _as_number(self, node: Node) -> Callable[[Values], Any]:
        if type(node).__name__ != "Literal":
            raise self._refuse(f"{node.sql('mysql')} is a text and is compared with a number")
        try:
            number = Decimal(str(node.this))
        except InvalidOperation:
            raise self._refuse(f"{node.sql('mysql')} is compared with a number, and is none") from None
        return lambda _: number

    def _comparison(self, compare: Callable[[Any, Any], Any], left: Node, right: Node) -> _Term:
        one, other = self._pair(left, right)

        def value(row: Values) -> bool | None:
            a, b = one(row), other(row)
            return None if a is None or b is None else bool(compare(a, b))

        return _Term(value, "boolean")

    def _nullsafeeq(self, node: Node) -> _Term:
        one, other = self._pair(node.this, node.expression)
        return _Term(lambda row: bool(one(row) == other(row)), "boolean")

    def _is(self, node: Node) -> _Term:
        wanted = type(node.expression).__name__
        if wanted == "Null":
            value = self._term(node.this).value
            return _Term(lambda row: value(row) is None, "boolean")
        if wanted == "Boolean":
            truth, expected = self.condition(node.this).value, bool(node.expression.this)
            return _Term(lambda row: truth(row) is expected, "boolean")
        raise self._refuse(f"{node.sql('mysql')} is not supported")

    def _in(self, node: Node) -> _Term:
        if not node.expressions:
            raise self._refuse(f"{node.sql('mysql')} is not supported: IN needs a list of values")
        equals = [self._comparison(operator.eq, node.this, each).value for each in node.expressions]
        return _Term(_any(equals), "boolean")

    def _between(self, node: Node) -> _Term:
        low = self._comparison(operator.ge, node.this, node.args["low"]).value
        high = self._comparison(operator.le, node.this, node.args["high"]).value
        return _Term(_all([low, high]), "boolean")

    def _like(self, node: Node) -> _Term:
        return self._matching(node, _like_pattern)

    def _regexplike(self, node: Node) -> _Term:
        return self._matching(node, lambda text: f"(?s:.*)(?:{text})(?s:.*)")

    def _matching(self, node: Node, pattern_of: Callable[[str], str]) -> _Term:
        if type(node.expression).__name__ != "Literal":
            raise self._refuse(f"{node.sql('mysql')}: the pattern must be a literal")
        try:
            pattern = re.compile(pattern_of(str(node.expression.this)))
        except re.error as error:
            raise self._refuse(f"{node.sql('mysql')}: {error}") from None
        value = self._term(node.this).value
        return _Term(lambda row: None if (v := value(row)) is None else bool(pattern.fullmatch(str(v))), "boolean")

    # Logic

    def _and(self, node: Node) -> _Term:
        return _Term(_all([self.condition(node.this).value, self.condition(node.expression).value]), "boolean")

    def _or(self, node: Node) -> _Term:
        return _Term(_any([self.condition(node.this).value, self.condition(node.expression).value]), "boolean")

    def _not(self, node: Node) -> _Term:
        value = self.condition(node.this).value
        return _Term(lambda row: None if (v := value(row)) is None else not v, "boolean")


def _like_pattern(text: str) -> str:
    tokens = re.findall(r"\\.|.", text, re.DOTALL)
    wild = {"%": "(?s:.*)", "_": "(?s:.)"}
    return "".join(wild.get(token) or re.escape(token[-1]) for token in tokens)


def _all(parts: list[Callable[[Values], Any]]) -> Callable[[Values], bool | None]:
    def value(row: Values) -> bool | None:
        unknown = False
        for part in parts:
            truth = part(row)
            if truth is None:
                unknown = True
            elif not truth:
                return False
        return None if unknown else True

    return value


def _any(parts: list[Callable[[Values], Any]]) -> Callable[[Values], bool | None]:
    def value(row: Values) -> bool | None:
        unknown = False
        for part in parts:
            truth = part(row)
            if truth is None:
                unknown = True
            elif truth:
                return True
        return None if unknown else False

    return value
