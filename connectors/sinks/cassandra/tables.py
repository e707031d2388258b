"""The tables of a sink: checked against the live schema before the first record, and kept up with it after."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from connectors.api.errors import ConfigError, DataError, did_you_mean
from connectors.clients.cassandra import CassandraClient, TableSchema
from connectors.formats.canal import RowChange
from connectors.formats.temporal import zone_of
from connectors.sinks.cassandra.config import SinkSettings, TableOptions
from connectors.sinks.cassandra.derive import added_columns, table_definition
from connectors.sinks.cassandra.plan import TablePlan, key_object, mapping_errors

__all__ = ["Tables"]

log = logging.getLogger(__name__)


class Tables:
    """How the changes of each topic become writes, as the schema is now.

    Args:
        client: Connected.
        settings: The task's.
    """

    def __init__(self, client: CassandraClient, settings: SinkSettings) -> None:
        self._client = client
        self._settings = settings
        self._zone = zone_of(settings.time_zone)
        self._plans: dict[str, list[TablePlan]] = {}
        self._missing: dict[str, list[TableOptions]] = {}
        self._left_out: set[tuple[str, str]] = set()

    def of(self, topic: str) -> list[TablePlan]:
        """Return the plans of a topic's tables."""
        return self._plans.get(topic, [])

    async def open(self) -> None:
        """Check every mapping against the live schema and prepare the statements.

        Raises:
            ConfigError: Tables or mappings do not fit; a line for each.
            RetriableError: No host answers.
        """
        errors: list[str] = []
        plans: dict[str, list[TablePlan]] = {}
        missing: dict[str, list[TableOptions]] = {}
        for options in self._settings.tables:
            try:
                schema = await self._client.table(options.keyspace, options.table)
            except ConfigError as error:
                if self._settings.create and options.mapping is None and self._client.keyspace(options.keyspace):
                    missing.setdefault(options.topic, []).append(options)
                else:
                    errors.append(f"Option {options.prefix}.mapping: {error}")
                continue
            found = mapping_errors(options, schema)
            errors += found
            if not found:
                plan = TablePlan(options, schema, self._zone, self._settings.binary)
                plans.setdefault(options.topic, []).append(plan)
        if errors:
            raise ConfigError("\n".join(errors), key=errors[0].split()[1].rstrip(":"))
        for plan in (plan for found in plans.values() for plan in found):
            await plan.statements.prepare(self._client)
            # Reading a table renews what the driver has of it, so the tokens are taken when all are read.
            plan.version = self._client.version(plan.schema)
        self._plans, self._missing = plans, missing

    async def keep_up(self) -> None:
        """Take over what has changed in the tables since they were read, where the driver has heard of it.

        Raises:
            ConfigError: A mapping does not fit any more.
        """
        if any(self._client.version(plan.schema) is not plan.version for each in self._plans.values() for plan in each):
            await self.open()

    async def create(self, topics: Collection[str], changes: Iterable[tuple[str, RowChange, Any]]) -> None:
        """Create tables that are missing, where that is wanted.

        Args:
            topics: Topics of the records at hand.
            changes: Topic, change and record key of each row, in order.

        Raises:
            DataError: A row does not tell enough.
        """
        if self._missing.keys().isdisjoint(topics):
            return
        wanted = dict(self._missing)
        for topic, change, key in changes:
            if change.op == "DELETE":
                continue
            for options in wanted.pop(topic, ()):
                named = change.key or _fields_of(key)
                keyspace = self._client.keyspace(options.keyspace) or options.keyspace
                cql = table_definition(keyspace, options.table, change, named)
                log.info("topic %s: %s", topic, cql)
                await self._client.define(cql)
            if not wanted:
                break
        await self.open()

    async def learn(self, topics: Collection[str], types: Mapping[str, str]) -> bool:
        """Look after fields that had no column when they were seen.

        Args:
            topics: Topics of the records at hand.
            types: The source's type texts of fields.

        Returns:
            Whether the tables are others now, so that the records must be planned again.
        """
        strange = [plan for topic in topics for plan in self.of(topic) if plan.strange]
        if not strange:
            return False
        before = {plan.schema.label: plan.schema for plan in strange}
        for plan in strange:
            fields, plan.strange = plan.strange, {}
            schema = await self._client.table(plan.schema.keyspace, plan.schema.name)
            fields = {name: value for name, value in fields.items() if schema.find(name) is None}
            if self._settings.evolve and fields:
                await self._evolve(schema, fields, types)
                schema = await self._client.table(schema.keyspace, schema.name)
            self._warn(schema, [name for name in fields if schema.find(name) is None])
        now = [await self._client.table(schema.keyspace, schema.name) for schema in before.values()]
        if now == list(before.values()):
            for plan in strange:
                plan.version = self._client.version(plan.schema)
            return False
        await self.open()
        return True

    async def _evolve(self, schema: TableSchema, fields: Mapping[str, Any], types: Mapping[str, str]) -> None:
        for cql in added_columns(schema.cql, fields, types):
            log.info("%s", cql)
            try:
                await self._client.define(cql)
            except DataError as error:
                # Another task may have been faster; where the column is missing still, that is said in the end.
                log.info("%s: %s", schema.label, error)

    def _warn(self, schema: TableSchema, fields: Iterable[str]) -> None:
        new = [name for name in fields if (schema.label, name) not in self._left_out]
        if new:
            self._left_out.update((schema.label, name) for name in new)
            near = did_you_mean(new[0], schema.columns)
            log.warning(
                "%s has no column for %s%s: left out; add the column, or set auto.evolve", schema.label, new, near
            )


def _fields_of(key: Any) -> tuple[str, ...]:
    try:
        return tuple(key_object(key))
    except DataError:  # a key that is no object names no fields
        return ()
