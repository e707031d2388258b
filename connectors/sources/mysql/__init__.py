"""`MySqlBinlogSource`: the binlog of MySQL or MariaDB as Canal's flat messages."""

from connectors.sources.mysql.connector import MySqlBinlogSource
from connectors.sources.mysql.task import MySqlBinlogTask

__all__ = ["MySqlBinlogSource", "MySqlBinlogTask"]
