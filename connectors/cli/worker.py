"""`connectors worker`: run a worker in the foreground."""

from __future__ import annotations

import os

import click

__all__ = ["worker"]


@click.command()
@click.option(
    "--role", type=click.Choice(["source", "sink", "all"]), help="Which tasks to take [CONNECTORS_ROLE, all]."
)
@click.option("--rest-host", help="Address of REST [CONNECTORS_REST_HOST, 127.0.0.1].")
@click.option("--rest-port", type=click.IntRange(1, 65535), help="Port of REST [PORT, CONNECTORS_REST_PORT, 8083].")
@click.option(
    "-l",
    "--loglevel",
    type=click.Choice(["debug", "info", "warn", "error", "crit"]),
    default="info",
    show_default=True,
    help="How much to log.",
)
def worker(role: str | None, rest_host: str | None, rest_port: int | None, loglevel: str) -> None:
    """Run a worker: the same application as `faust -A connectors.worker worker`."""
    port = str(rest_port) if rest_port else None
    given = {"CONNECTORS_ROLE": role, "CONNECTORS_REST_HOST": rest_host, "CONNECTORS_REST_PORT": port}
    os.environ.update({name: value for name, value in given.items() if value})
    if port:
        # PORT would win over the variable; an option wins over both.
        os.environ.pop("PORT", None)
    from connectors.worker import run  # imports Faust, which no other command needs

    run(loglevel)
