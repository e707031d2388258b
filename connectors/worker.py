"""The worker as a Faust application: `faust -A connectors.worker worker`, or `connectors worker`.

Faust gives the life-cycle, the signals and the sensors; each part of the runtime is a Service of the application.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

import faust
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from faust.app import BootStrategy
from mode import Service

from connectors.api.collector import spare_the_collector
from connectors.api.errors import ConfigError
from connectors.api.identity import check_top_level_names
from connectors.api.log_level import know_all_levels, make_only_shown_records
from connectors.runtime.herder import Herder
from connectors.runtime.membership import check_name_is_free
from connectors.runtime.rest import Rest
from connectors.runtime.secrets import mask_logs
from connectors.runtime.settings import WorkerSettings

__all__ = ["app", "run"]

log = logging.getLogger(__name__)


def _settings() -> WorkerSettings:
    know_all_levels()
    try:
        check_top_level_names()
        return WorkerSettings.from_env()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None


settings = _settings()


class _ServicesOnly(BootStrategy):  # type: ignore[misc]
    """Boots neither Faust's consumer and producer nor its web server: tasks have clients of their own."""

    enable_kafka = False
    enable_web = False


class ConnectApp(faust.App):  # type: ignore[misc]
    """A Faust application without agents or tables: its services are the connector runtime."""

    BootStrategy = _ServicesOnly


app = ConnectApp(
    settings.internal("worker"),
    broker=[f"kafka://{server}" for server in settings.kafka.bootstrap_servers.split(",")],
    broker_credentials=settings.kafka.ssl_context(),
    web_enabled=False,
    topic_disable_leader=True,
    producer_linger=0.02,
    autodiscover=False,
    # Faust makes this folder at start, in the current one by default; nothing is kept in it.
    datadir=Path(tempfile.gettempdir(), f"faust-connect-{settings.cluster}"),
)


@app.service
class Runtime(Service):  # type: ignore[misc]
    """The REST server, and the herder once Kafka answers."""

    async def on_start(self) -> None:
        """Bind the port, wait for Kafka, then join: a worker whose port is taken never disturbs the group."""
        mask_logs()
        make_only_shown_records()
        if not log.isEnabledFor(logging.DEBUG):
            # aiokafka logs over a hundred lines a second while Kafka is away; the runtime says it once.
            logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        spare_the_collector()
        herder = Herder(settings)
        try:
            await self.add_runtime_dependency(Rest(settings, herder))
            herder.kafka_cluster_id = await wait_for_kafka(settings)
            await check_name_is_free(settings)
        except ConfigError as error:
            # An exception would end the worker with a traceback; this is the user's to mend.
            log.critical("%s", error)
            raise SystemExit(2) from None
        await self.add_runtime_dependency(herder)


async def wait_for_kafka(settings: WorkerSettings) -> str:
    """Return the Kafka cluster's id once Kafka answers; says what it waits for, with growing pauses."""
    delay = 0.5
    client = AdminClient(settings.kafka.librdkafka() | {"log_level": 0, "socket.connection.setup.timeout.ms": 3000})
    while True:
        try:
            found = await asyncio.to_thread(client.list_topics, timeout=3)
        except KafkaException as error:
            servers = settings.kafka.bootstrap_servers
            log.warning("Waiting for Kafka at %s (%s); next try in %.1f s", servers, error.args[0].str(), delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 15.0)
        else:
            return str(found.cluster_id or "")


def run(loglevel: str) -> None:
    """Run the worker until a signal ends it; what `connectors worker` does.

    Args:
        loglevel: `debug`, `info`, `warn`, `error` or `crit`.
    """
    app.finalize()
    app.worker_init()
    faust.Worker(app, loglevel=loglevel, redirect_stdouts=False).execute_from_commandline()
