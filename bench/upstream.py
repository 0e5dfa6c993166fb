"""What stands behind the proxies: `python -m bench.upstream PORT`. Small and large answers, a sink, events, an echo."""

from __future__ import annotations

import asyncio
import signal
import sys
import time

from aiohttp import WSMsgType, web

SMALL = b"x" * 1024
CHUNK = b"y" * (256 * 1024)
LARGE_BYTES = 100 * 1024 * 1024


async def small(request: web.Request) -> web.Response:
    """1 KB."""
    return web.Response(body=SMALL, content_type="application/octet-stream")


async def large(request: web.Request) -> web.StreamResponse:
    """100 MB, as fast as they are taken."""
    answer = web.StreamResponse(headers={"Content-Length": str(LARGE_BYTES)})
    await answer.prepare(request)
    for _ in range(LARGE_BYTES // len(CHUNK)):
        await answer.write(CHUNK)
    return answer


async def sink(request: web.Request) -> web.Response:
    """Says how many bytes it was sent."""
    count = 0
    async for piece in request.content.iter_any():
        count += len(piece)
    return web.Response(text=str(count))


async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: `?count=N&rate=R`, each with the instant at which it was sent (ns, monotonic)."""
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await answer.prepare(request)
    count, rate = int(request.query["count"]), float(request.query["rate"])
    start = time.monotonic()
    for number in range(count):
        if (wait := start + number / rate - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        await answer.write(f"data: {time.monotonic_ns()}\n\n".encode())
    return answer


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Each message back."""
    socket = web.WebSocketResponse(max_msg_size=1 << 24, compress=False)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
        elif message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
    return socket


async def main(port: int) -> None:
    """Serve until SIGTERM."""
    app = web.Application(client_max_size=2 * LARGE_BYTES)
    for path, handler in (("small", small), ("large", large), ("events", events), ("echo", echo)):
        app.router.add_get(f"/{path}", handler)
    app.router.add_post("/sink", sink)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main(int(sys.argv[1])))
    else:
        uvloop.run(main(int(sys.argv[1])))
