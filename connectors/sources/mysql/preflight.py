"""Is the server set up for reading its binlog?

All problems are found at once, each with the statement that solves it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.api.errors import ConfigError
from connectors.sources.mysql.position import Position

__all__ = ["Ask", "Server", "earliest", "executed", "given", "inspect", "latest", "problems"]

Ask = Callable[..., Sequence[Sequence[Any]]]
"""Runs a query with the values for its placeholders and returns all its rows."""

_VARIABLES: Final = (
    "log_bin", "binlog_format", "binlog_row_image", "binlog_row_metadata", "binlog_row_value_options",
    "server_uuid", "server_uid", "server_id", "version", "gtid_mode", "time_zone",
)  # fmt: skip
_NEEDED: Final = (
    ("binlog_format", "ROW", "SET GLOBAL binlog_format = ROW;"),
    ("binlog_row_image", "FULL", "SET GLOBAL binlog_row_image = FULL;"),
    ("binlog_row_metadata", "FULL", "SET GLOBAL binlog_row_metadata = FULL;"),
    ("binlog_row_value_options", "", "SET GLOBAL binlog_row_value_options = '';"),
)
_SYNONYMS: Final = {
    "REPLICATION CLIENT": ("REPLICATION CLIENT", "BINLOG MONITOR", "SUPER"),
    "REPLICATION SLAVE": ("REPLICATION SLAVE", "REPLICATION REPLICA"),
    "SELECT": ("SELECT",),
}
_GLOBAL_GRANT: Final = re.compile(r"GRANT (?P<what>.+?) ON \*\.\* TO ", re.IGNORECASE)
_ANY_GRANT: Final = re.compile(r"GRANT (?P<what>.+?) ON ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Server:
    """What was found out about a server.

    Attributes:
        flavor: `mysql` or `mariadb`.
        version: Version text.
        identity: Distinguishes servers, whose binlogs differ: UUID, or id.
        gtids: GTIDs that were executed; empty where there are none.
        collations: Collation id to character set name.
        variables: The variables that matter, as the server reports them.
    """

    flavor: str
    version: str
    identity: str
    gtids: str
    collations: dict[int, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


def problems(variables: Mapping[str, str], grants: Sequence[str], user: str, *, history: bool = False) -> list[str]:
    """Return what keeps the binlog from being read, a sentence each.

    Args:
        variables: Global variables by lower-case name; one that the server does not have is missing.
        grants: The lines of SHOW GRANTS.
        user: The user, for the statements.
        history: Whether table layouts are kept here, so that the binlog need not tell them.
    """
    found = []
    if variables.get("log_bin", "OFF") not in ("ON", "1"):
        found.append(
            "log_bin is OFF: the server writes no binlog. Put `log_bin = binlog` under [mysqld] in its option file and"
            " start it again",
        )
    found += [
        f"{name} is {variables[name]!r}, {needed or repr('')} is needed: {statement}"
        for name, needed, statement in _NEEDED
        if name in variables and variables[name].upper() != needed and not (history and name == "binlog_row_metadata")
    ]
    if "binlog_row_metadata" not in variables and not history:
        found.append("binlog_row_metadata does not exist: MySQL 8.0.1 or MariaDB 10.5 is the oldest server that fits")
    return found + _missing_grants(grants, user)


def _missing_grants(grants: Sequence[str], user: str) -> list[str]:
    everywhere = _privileges(_GLOBAL_GRANT, grants)
    anywhere = _privileges(_ANY_GRANT, grants)
    found = []
    for privilege, names in _SYNONYMS.items():
        held = anywhere if privilege == "SELECT" else everywhere
        if not held & {"ALL", "ALL PRIVILEGES", *names}:
            statement = f"GRANT {privilege} ON *.* TO {user};"
            found.append(f"The user lacks {privilege}: {statement}")
    return found


def _privileges(pattern: re.Pattern[str], grants: Sequence[str]) -> set[str]:
    held: set[str] = set()
    for line in grants:
        match = pattern.match(line)
        if match:
            words = re.sub(r"\(.*?\)", "", match["what"])  # SELECT (a, b) is a SELECT
            held.update(word.strip().upper() for word in words.split(","))
    return held


def inspect(ask: Ask, address: str, *, history: bool = False) -> Server:
    """Find out about a server.

    Args:
        ask: Runs a query on it.
        address: Host and port, for messages.
        history: As in `problems`.

    Raises:
        ConfigError: Its binlog cannot be read; the message has a line for each reason.
    """
    names = ", ".join(f"'{name}'" for name in _VARIABLES)
    variables = {str(n).lower(): str(v) for n, v in ask(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")}
    user = _account(str(ask("SELECT CURRENT_USER()")[0][0]))
    found = problems(variables, [str(row[0]) for row in ask("SHOW GRANTS")], user, history=history)
    if found:
        raise ConfigError("\n".join([f"MySQL at {address} is not set up for reading its binlog:", *found]))
    flavor = "mariadb" if "mariadb" in variables.get("version", "").lower() else "mysql"
    identity = variables.get("server_uuid") or variables.get("server_uid") or f"id {variables.get('server_id', '')}"
    return Server(
        flavor, variables.get("version", ""), identity, executed(ask, flavor), _collations(ask, flavor), variables
    )


def _account(current_user: str) -> str:
    name, _, host = current_user.rpartition("@")
    return f"'{name}'@'{host}'"


def executed(ask: Ask, flavor: str) -> str:
    """Return the GTIDs that a server executed; empty where it has none."""
    variable = "gtid_binlog_pos" if flavor == "mariadb" else "gtid_executed"
    return "".join(str(ask(f"SELECT @@GLOBAL.{variable}")[0][0]).split())


def _collations(ask: Ask, flavor: str) -> dict[int, str]:
    # MariaDB's newer collations have ids for each character set, which only this table shows.
    table = "COLLATION_CHARACTER_SET_APPLICABILITY" if flavor == "mariadb" else "COLLATIONS"
    columns = {
        str(row[0]).upper()
        for row in ask(
            f"SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema'"
            f" AND TABLE_NAME = '{table}'",
        )
    }
    if "ID" not in columns:
        table = "COLLATIONS"
    rows = ask(f"SELECT ID, CHARACTER_SET_NAME FROM information_schema.{table} WHERE ID IS NOT NULL")
    return {int(number): str(name) for number, name in rows}


def latest(ask: Ask, server: Server) -> Position:
    """Return the end of the binlog."""
    # Asked first, so that it is never ahead of the position.
    before = executed(ask, server.flavor) if server.flavor == "mariadb" else ""
    # SHOW MASTER STATUS went with MySQL 8.4, its successor came with 8.2.
    new = server.flavor == "mysql" and _version(server.version) >= (8, 2)
    row = ask("SHOW BINARY LOG STATUS" if new else "SHOW MASTER STATUS")[0]
    file, pos = str(row[0]), int(row[1])
    if server.flavor == "mariadb":
        # At the very start of a file MariaDB does not tell.
        gtids = str(ask("SELECT BINLOG_GTID_POS(%s, %s)", file, pos)[0][0] or "") or before
    else:
        gtids = "".join(str(row[4]).split())
    return Position(file, pos, gtids=gtids, server=server.identity)


def earliest(ask: Ask, server: Server) -> Position:
    """Return the start of the oldest binlog that the server still has."""
    file = str(ask("SHOW BINARY LOGS")[0][0])
    if server.flavor == "mariadb":
        gtids = str(ask("SELECT BINLOG_GTID_POS(%s, 4)", file)[0][0] or "")
    else:
        gtids = "".join(str(ask("SELECT @@GLOBAL.gtid_purged")[0][0]).split())
    return Position(file, 4, gtids=gtids, server=server.identity)


def given(ask: Ask, server: Server, file: str, pos: int) -> Position:
    """Return a position that the user named; MySQL does not tell the GTIDs before it."""
    gtids = ""
    if server.flavor == "mariadb":
        gtids = str(ask("SELECT BINLOG_GTID_POS(%s, %s)", file, pos)[0][0] or "")
    return Position(file, pos, gtids=gtids, server=server.identity)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])
