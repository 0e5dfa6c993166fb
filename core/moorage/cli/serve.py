"""`moorage serve`: run the server in this process."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import click
import structlog

from moorage.config import load
from moorage.observe import logs

log = structlog.get_logger("moorage.serve")


@click.command()
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--safe-mode", is_flag=True, help="Start without any plugin, to mend a configuration.")
@click.pass_context
def serve(context: click.Context, config_path: Path | None, safe_mode: bool) -> None:
    """Run the server until SIGTERM or Ctrl-C. SIGHUP applies a changed configuration.

    Exit codes: 0 stopped, 2 configuration, 3 a required plugin does not run, 4 database or data folder,
    5 an address cannot be listened on.
    """
    from moorage.lifecycle import run

    loaded = load(config_path or (context.obj or {}).get("config"))
    logs.setup(loaded.settings.log)
    for warning in loaded.warnings:
        log.warning("configuration", warning=warning)
    factory = None
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run(loaded, safe_mode=safe_mode, say=lambda text: click.echo(text)))
