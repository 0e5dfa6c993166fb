"""`moorage serve`: run the server in this process."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
from pathlib import Path

import click
import structlog

from moorage.config import load
from moorage.errors import StartError
from moorage.observe import logs

log = structlog.get_logger("moorage.serve")
EXIT_GRACE = 3.0
"""Seconds that threads and tasks which nobody can end get after the server has stopped."""


@click.command()
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--safe-mode", is_flag=True, help="Start without any plugin, to mend a configuration.")
@click.pass_context
def serve(context: click.Context, config_path: Path | None, safe_mode: bool) -> None:
    """Run the server until SIGTERM or Ctrl-C. SIGHUP applies a changed configuration.

    Exit codes: 0 stopped, 1 broke down, 2 configuration, 3 a required plugin does not run, 4 database or data folder,
    5 an address cannot be listened on.
    """
    from moorage.lifecycle import run

    _standard_files()
    loaded = load(config_path or (context.obj or {}).get("config"))
    logs.setup(loaded.settings.log)
    for warning in loaded.warnings:
        log.warning("configuration", warning=warning)
    factory = None
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        failure: BaseException | None = None
        try:
            runner.run(run(loaded, safe_mode=safe_mode, say=lambda text: click.echo(text)))
        except BaseException as error:
            failure = error
            raise
        finally:
            _end_for_certain(runner.get_loop(), failure)


def _standard_files() -> None:
    """Started with one of them closed (`>&-`), the next connection would become standard output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest number that is free, so this one.


def _end_for_certain(loop: asyncio.AbstractEventLoop, failure: BaseException | None) -> None:
    """Python waits for every thread and task, and a plugin's may hang for ever: then the process ends without them.

    All that is ours has been stopped and stored by now.
    """

    def end() -> None:
        threads = [thread.name for thread in threading.enumerate() if not thread.daemon and thread.name != "MainThread"]
        tasks = [] if loop.is_closed() else [task.get_name() for task in asyncio.all_tasks(loop)]
        log.error("ended what would not end", threads=threads, tasks=tasks)
        code = 0
        if failure is not None:
            code = failure.exit_code if isinstance(failure, StartError) else 1
            click.echo(f"moorage: {failure or type(failure).__name__}", err=True)
        os._exit(code)

    timer = threading.Timer(EXIT_GRACE, end)
    timer.daemon = True
    timer.start()
