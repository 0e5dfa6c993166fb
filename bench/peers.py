"""Peers that the benchmarks compare with: `python -m bench.peers NAME PORT [PROGRAM]`."""

from __future__ import annotations

import asyncio
import contextlib
import http
import os
import pty
import signal
import sys
import time
from functools import partial
from typing import Any


async def broadcast(port: int) -> None:
    """websockets' server: a client's "post COUNT RATE" makes it broadcast as the fan-out plugin does."""
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    viewers: set[ServerConnection] = set()
    tasks: set[asyncio.Task[None]] = set()

    async def produce(count: int, rate: float) -> None:
        start = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0, start + number / rate - time.monotonic()))
            broadcast(viewers, f"{time.monotonic_ns()}:".ljust(1024, "x"))

    async def handler(viewer: ServerConnection) -> None:
        viewers.add(viewer)
        try:
            async for message in viewer:
                _, count, rate = str(message).split()
                tasks.add(asyncio.create_task(produce(int(count), float(rate))))
        finally:
            viewers.discard(viewer)

    def health(connection: Any, request: Any) -> Any:
        return connection.respond(http.HTTPStatus.OK, "ok") if request.path == "/ok" else None

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serve(handler, "127.0.0.1", port, process_request=health, compression=None):
        await stop.wait()


async def terminado(port: int, program: str) -> None:
    """terminado with one shared terminal, as Jupyter serves them."""
    import tornado.web
    from terminado import SingleTermManager, TermSocket

    class Health(tornado.web.RequestHandler):
        def get(self) -> None:
            self.finish("ok")

    manager = SingleTermManager(shell_command=["sh", "-c", program])
    app = tornado.web.Application([(r"/ok", Health), (r"/ws", TermSocket, {"term_manager": manager})])
    app.listen(port, "127.0.0.1")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await manager.shutdown()


async def terminal(scope: Any, receive: Any, send: Any, program: str) -> None:
    """An ASGI application that gives each WebSocket a pty of its own with the program in it, bytes as they come."""
    if scope["type"] != "websocket":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    pid, pty_fd = pty.fork()
    if pid == 0:
        os.execvp("sh", ["sh", "-c", program])
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pty_fd, readable.set)

    async def show() -> None:
        while True:
            await readable.wait()
            readable.clear()
            await send({"type": "websocket.send", "bytes": os.read(pty_fd, 65536)})

    shower = asyncio.create_task(show())
    try:
        while (message := await receive())["type"] == "websocket.receive":
            os.write(pty_fd, (message.get("bytes") or message["text"].encode()))
    finally:
        shower.cancel()
        loop.remove_reader(pty_fd)
        os.close(pty_fd)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


async def terminal_on_hypercorn(port: int, program: str) -> None:
    """A pty for each viewer, as ttyd has it, on Hypercorn."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    await serve(partial(terminal, program=program), config, shutdown_trigger=asyncio.Event().wait, mode="asgi")


async def terminal_on_uvicorn(port: int, program: str) -> None:
    """The same on uvicorn."""
    import uvicorn

    config = uvicorn.Config(
        partial(terminal, program=program),
        port=port,
        lifespan="off",
        interface="asgi3",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="warning",
    )
    await uvicorn.Server(config).serve()


async def quart(port: int) -> None:
    """A bare Quart application on Hypercorn: what a start costs at least."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from quart import Quart

    app = Quart("bench")

    @app.get("/ok")
    async def ok() -> str:
        return "ok"

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(app, config, shutdown_trigger=stop.wait)


if __name__ == "__main__":
    peers: dict[str, Any] = {
        "broadcast": broadcast,
        "terminado": terminado,
        "hypercorn": terminal_on_hypercorn,
        "uvicorn": terminal_on_uvicorn,
        "quart": quart,
    }
    with contextlib.suppress(ImportError):
        import uvloop

        if sys.argv[1] in ("hypercorn", "uvicorn"):
            asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(peers[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:]))
