"""`connectors run`: one connector in the foreground."""

from __future__ import annotations

import asyncio
import logging
import signal
from dataclasses import replace
from typing import Any

import click

from connectors.api.errors import ConfigError, ConnectError
from connectors.cli.errors import USAGE, CommandError, refused
from connectors.cli.files import Deployment, read
from connectors.cli.secret import scrub

__all__ = ["run"]


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--name", "only", metavar="NAME", help="Which connector, where the file describes several.")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def run(file: str, only: str | None, verbose: bool) -> None:
    """Run the connector that FILE describes, with no worker and no REST, until Ctrl-C.

    Needs Kafka alone (KAFKA_BOOTSTRAP_SERVERS). Source offsets are kept in the topic run-offsets, so that the next run
    goes on; a sink reads in the group connect-NAME. Ends with 1 and the reason where a task fails.
    """
    deployment = _one(read((file,)), file, only)
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in ("aiokafka", "asyncio"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        asyncio.run(_run(deployment))
    except ConfigError as error:
        raise CommandError(f"{file}: {scrub(str(error), deployment.config)}", refused(str(error))) from None
    except ConnectError as error:
        raise CommandError(scrub(str(error), deployment.config)) from None


async def _run(deployment: Deployment) -> None:
    from connectors.runtime.settings import WorkerSettings
    from connectors.runtime.standalone import Standalone

    settings = replace(WorkerSettings.from_env(), cluster="run", worker_id="run")
    standalone = Standalone(deployment.name, deployment.config, settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, standalone.stop)
    await standalone.run()


def _one(deployments: list[Deployment], file: str, only: str | None) -> Deployment:
    found: list[Any] = [each for each in deployments if only in (None, each.name)]
    if len(found) != 1:
        names = ", ".join(each.name for each in deployments)
        raise CommandError(f"{file}: describes {names}; name one of them with --name", USAGE)
    made: Deployment = found[0]
    return made
