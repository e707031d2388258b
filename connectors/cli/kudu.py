"""`connectors kudu`: what the Kudu sink needs once at installation."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["kudu"]


@click.group()
def kudu() -> None:
    """Prepare the Kudu sink."""


@kudu.command("fetch-jars")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path))
def fetch_jars(folder: Path | None) -> None:
    """Fetch the Java client's jars, in pinned versions, from Maven's central repository into DIR.

    Without DIR they go where the sink looks for them: faust-connect/kudu-jars in the user's cache folder.
    """
    from connectors.api.errors import ConnectError
    from connectors.clients.kudu import jars

    target = folder or jars.default_folder()
    try:
        found = jars.fetch_jars(target)
    except (ConnectError, OSError) as error:
        raise click.ClickException(str(error)) from None
    for jar in found:
        click.echo(jar.name)
    click.echo(f"{len(found)} jars in {target}")
    if folder is not None:
        click.echo(f"Set kudu.client.jars or {jars.JARS_VARIABLE} to this folder.")
