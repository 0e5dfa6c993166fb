"""The life of a server process: lock, bind, start, serve, reload on SIGHUP, drain and stop on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from moorage.app import App
from moorage.config import Loaded
from moorage.db import DataDirLock
from moorage.errors import MoorageError, StartError
from moorage.server import engines
from moorage.server.listeners import bind, urls, with_mount_ports
from moorage.server.sites import Mount
from moorage.status import remove_status

log = structlog.get_logger("moorage.server")
Say = Callable[[str], None]
ENGINE_GRACE = 0.3
STUBBORN_SECONDS = 2.0
"""How long a cancelled handler may take to end; whoever ignores it is left behind."""
OPEN_FILES = 65_536


async def run(loaded: Loaded, *, safe_mode: bool, say: Say) -> None:
    """Run a server until SIGTERM or SIGINT. StartError if it cannot start.

    say: prints a line for the person at the terminal.
    """
    settings = loaded.settings
    engines.check(settings.server)
    _allow_open_files()
    with DataDirLock(settings.data_dir):
        addresses = with_mount_ports(settings.server.listen, () if safe_mode else _mount_ports(loaded))
        sockets = bind(addresses)
        app = App(loaded, safe_mode=safe_mode)
        app.addresses = addresses
        try:
            await _live(app, sockets, addresses, partial(_tell, say))
        finally:
            for sock in sockets:
                sock.close()
            remove_status(settings.data_dir)


def _allow_open_files() -> None:
    """Every connection is a file; the usual soft limit of 1 024 is soon reached by viewers of terminals."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _tell(say: Say, text: str) -> None:
    """Nobody listening at the terminal (a closed pipe, a full disk) is no reason to stop."""
    try:
        say(text)
    except OSError as error:
        log.warning("could not be said", text=text.partition("#")[0], reason=str(error))


def _mount_ports(loaded: Loaded) -> set[int]:
    """Ports that the mounts of enabled plugins name. Badly written mounts are reported with the routes."""
    ports: set[int] = set()
    for section in loaded.settings.plugins.values():
        for text in (section.mount or ()) if section.enabled else ():
            with contextlib.suppress(ValueError):
                port = Mount.parse(text).port
                ports |= {port} if port else set()
    return ports


def _open_more(app: App, sockets: list[socket.socket], addresses: list[str]) -> None:
    """Bind the ports that only manifests name, which are known once the plugins are imported."""
    wanted = with_mount_ports(app.loaded.settings.server.listen, app.gate.sites.ports)
    more = [address for address in wanted if address not in addresses]
    sockets += bind(more)
    addresses += more


async def _live(app: App, sockets: list[socket.socket], addresses: list[str], say: Say) -> None:
    stop = asyncio.Event()
    stopping = asyncio.Event()
    reload = _Reload(app)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    # From the very start: unhandled, the signal would end the process.
    loop.add_signal_handler(signal.SIGHUP, reload.ask)
    try:
        starting = asyncio.ensure_future(app.start())
        await _either(starting, stopping)
        if not starting.done():
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError, StartError):
                await starting
            return
        starting.result()
        _open_more(app, sockets, addresses)
        # What was built at start lives as long as the server: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        serving = asyncio.create_task(engines.serve(app.gate, sockets, app.loaded.settings.server, stop))
        await _announce(app, addresses, say)
        reload.begin()
        await _either(serving, stopping)
        if serving.done():
            serving.result()
            raise StartError("The engine ended although nobody asked it to; the log may say why.", exit_code=1)
        log.info("stopping")
        await app.drain()
        stop.set()  # Only now: uvicorn closes what is open with a code of its own (1012), as soon as it may.
        await _finish(app, serving)
    finally:
        await app.stop()
        _hear_no_more(loop)


def _hear_no_more(loop: asyncio.AbstractEventLoop) -> None:
    """Whoever asks once more for what has all but happened must not turn a good end into a death by signal."""
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.remove_signal_handler(name)
        signal.signal(name, signal.SIG_IGN)


async def _either(task: asyncio.Future[Any], event: asyncio.Event) -> None:
    """Wait until the task has ended or the event is set."""
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


async def _finish(app: App, serving: asyncio.Task[None]) -> None:
    """Let requests end within the drain time, then end the engine.

    An engine waits for its connections; Hypercorn's outlive a closed WebSocket by up to one ping interval.
    What counts is whether a request is under way, which the gate knows.
    """
    if left := await app.gate.wait_idle(app.loaded.settings.server.drain_timeout):
        log.warning("cut off after the drain time", requests=left)
    done, _ = await asyncio.wait([serving], timeout=ENGINE_GRACE)
    if not done:
        asyncio.get_running_loop().set_exception_handler(_ignore_cancelled)
        serving.cancel()
        await asyncio.wait([serving], timeout=STUBBORN_SECONDS)


def _ignore_cancelled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Python 3.11's stream callback reports a cancelled connection as an error, which at the end it is not."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


async def _announce(app: App, addresses: list[str], say: Say) -> None:
    server = app.loaded.settings.server
    shown = urls(addresses, tls=server.tls_cert is not None)
    log.info("ready", listen=addresses, engine=server.engine)
    first = server.public_url or shown[0]
    say(f"Moorage is ready at {first}")
    for other in shown[1:]:
        say(f"                 and {other}")
    for record in app.plugins.records.values():
        if not record.running:
            say(f"Plugin {record.name} does not run: {record.reason}")
    try:
        with app.db.activate():
            token = await app.accounts.issue_setup_token()
    except (OSError, MoorageError) as error:
        log.error("no token for the first login; `moorage users create` makes the owner as well", reason=str(error))
        return
    if token is not None:
        # In the fragment, which no browser sends to any server.
        say(f"First start: make the owner's account at {first}/#setup={token}")


class _Reload:
    """SIGHUP: one reload at a time, and at most one more that waits; one that came during the start is not lost."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._wanted = self._running = False

    def ask(self) -> None:
        """The signal came."""
        self._wanted = True
        if self._app.ready and not self._running:
            self.begin()

    def begin(self) -> None:
        """Do what was asked for."""
        if self._wanted:
            self._running = True
            self._app.tasks.spawn(self._run(), "sighup")

    async def _run(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                try:
                    await self._app.reload()
                except StartError as error:
                    log.error("reload refused; the server goes on as it was", reason=str(error))
                except Exception:
                    log.exception("reload failed; the server goes on as it was")
        finally:
            self._running = False
