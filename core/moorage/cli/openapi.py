"""`moorage openapi`: the OpenAPI documents, without a running server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

import moorage
from moorage.cli.options import chosen_config, config_option
from moorage.config import Loaded, load
from moorage.openapi.published import Document, render


@click.command()
@click.argument("name", required=False)
@config_option
def openapi(name: str | None, config_path: Path | None) -> None:
    """Print the OpenAPI document NAME, or without it the names: each surface, and each plugin that is switched on.

    The plugins' code is loaded, and nothing is started.
    """
    documents = asyncio.run(_documents(load(chosen_config(config_path))))
    if name is None:
        click.echo("\n".join(documents))
    elif name in documents:
        click.echo(documents[name].body)
    else:
        raise click.UsageError(f"There is no document {name!r}. There are: {', '.join(documents)}")


async def _documents(loaded: Loaded) -> dict[str, Document]:
    from moorage.app import App

    app = App(loaded)
    records = await app.plugins.load(loaded)
    await app.prepare(records)
    for record in records:
        if record.reason:
            click.echo(f"Plugin {record.name} has no document: {record.reason}", err=True)
    versions = {"core": moorage.__version__} | {record.name: record.version for record in records}
    return render(app.sites(records), versions, loaded.settings.accounts.cookie_name)
