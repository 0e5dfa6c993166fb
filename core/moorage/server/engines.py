"""The ASGI servers under everything: Hypercorn by default, uvicorn as the fast lane. One interface for both."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from moorage.errors import StartError
from moorage.server.listeners import BACKLOG

IDLE_SECONDS = 30.0
"""How long a connection may go without a complete head of a request."""
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


class EngineSettings(Protocol):
    """The part of `[server]` that engines read."""

    @property
    def engine(self) -> str: ...
    @property
    def tls_cert(self) -> Path | None: ...
    @property
    def tls_key(self) -> Path | None: ...
    @property
    def max_header_bytes(self) -> int: ...
    @property
    def max_url_bytes(self) -> int: ...
    @property
    def max_frame_bytes(self) -> int: ...
    @property
    def drain_timeout(self) -> float: ...
    @property
    def ws_ping_interval(self) -> float: ...


async def serve(app: ASGIApp, sockets: list[socket.socket], settings: EngineSettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then finish what is open within `drain_timeout`."""
    run = _uvicorn if settings.engine == "uvicorn" else _hypercorn
    await run(app, sockets, settings, stop)


def check(settings: EngineSettings) -> None:
    """StartError if the engine is not installed, or the certificate or its key cannot be used."""
    needed = ("uvicorn", "httptools", "websockets") if settings.engine == "uvicorn" else ()
    if any(importlib.util.find_spec(name) is None for name in needed):
        raise StartError('[server] engine = "uvicorn" needs the extra "fast": pip install "moorage[fast]"')
    if settings.tls_cert and settings.tls_key:
        _check_tls(settings.tls_cert, settings.tls_key)


def _check_tls(cert: Path, key: Path) -> None:
    def encrypted() -> str:
        raise StartError(f"[server] tls_key: {key} is encrypted; decrypt it (`openssl pkey -in FILE -out FILE`)")

    for name, path in (("tls_cert", cert), ("tls_key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise StartError(f"[server] {name}: cannot read {path}: {error.strerror or error}") from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=encrypted)
    except ssl.SSLError as error:
        raise StartError(
            f"[server] tls_cert and tls_key: {cert} and {key} are not a certificate and its key in PEM form: "
            f"{error.reason or error}"
        ) from None


async def _hypercorn(app: ASGIApp, sockets: list[socket.socket], settings: EngineSettings, stop: asyncio.Event) -> None:
    from hypercorn.asyncio import serve as hypercorn_serve

    from moorage.server import hypercorn_mends

    hypercorn_mends.install()
    config = hypercorn_mends.OwnConfig()
    for sock in sockets:
        sock.listen(BACKLOG)
    # Hypercorn closes what it is given, so it is given its own descriptors.
    binds = [f"fd://{sock.dup().detach()}" for sock in sockets]
    config.bind = binds
    if settings.tls_cert and settings.tls_key:
        config.certfile, config.keyfile = str(settings.tls_cert), str(settings.tls_key)
    config.alpn_protocols = ["h2", "http/1.1"]
    config.include_server_header = False
    config.graceful_timeout = settings.drain_timeout
    config.shutdown_timeout = settings.drain_timeout
    config.keep_alive_timeout = IDLE_SECONDS
    # On HTTP/2 the one that reaches the limit (1 000) ends every other stream of its connection, long ones too.
    config.keep_alive_max_requests = sys.maxsize
    config.h11_max_incomplete_size = settings.max_header_bytes + settings.max_url_bytes + 1024
    config.h2_max_header_list_size = settings.max_header_bytes + settings.max_url_bytes
    config.websocket_max_message_size = settings.max_frame_bytes
    # Messages that wait for a handler that is behind; each may be as large as that.
    config.max_app_queue_size = 2
    config.websocket_ping_interval = settings.ws_ping_interval or None
    config.accesslog = None
    config.errorlog = logging.getLogger("moorage.engine")
    await hypercorn_serve(app, config, shutdown_trigger=stop.wait, mode="asgi")


async def _uvicorn(app: ASGIApp, sockets: list[socket.socket], settings: EngineSettings, stop: asyncio.Event) -> None:
    import uvicorn

    from moorage.server.uvicorn_bounds import BoundedSocket, bounded

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Signals are the lifecycle's."""
            yield

    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=bounded(settings.max_header_bytes + settings.max_url_bytes + 1024, IDLE_SECONDS),
        ws=BoundedSocket,
        ws_max_size=settings.max_frame_bytes,
        ws_ping_interval=settings.ws_ping_interval or None,
        ws_ping_timeout=30.0,
        ws_per_message_deflate=False,
        timeout_keep_alive=IDLE_SECONDS,  # type: ignore[arg-type]
        timeout_graceful_shutdown=max(1, round(settings.drain_timeout)),
        backlog=BACKLOG,
        ssl_certfile=str(settings.tls_cert) if settings.tls_cert else None,
        ssl_keyfile=str(settings.tls_key) if settings.tls_key else None,
    )
    server = Server(config)
    for sock in sockets:
        sock.listen(BACKLOG)

    async def watch() -> None:
        await stop.wait()
        server.should_exit = True

    watcher = asyncio.create_task(watch(), name="uvicorn-stop")
    try:
        await server.serve(sockets=[sock.dup() for sock in sockets])
    finally:
        watcher.cancel()
