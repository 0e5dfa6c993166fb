"""An MCP server that does wrong, without any SDK in its way: `faulty.py (stdio | PORT) [--start MODE] [--era …]`.

Each tool is a fault, see faults.py; `ok` and `counts` are none. --start: what goes wrong before that:
  slow:SECONDS  answers nothing for so long after its start      silent   never answers at all
  crash         ends at once, with something said on stderr      leave    ends when it is asked to initialize
  crash:N       the same, the first N times (needs --log)         garbage  answers `initialize` with something else
  version       speaks a version that nobody knows               stderr   says 50 MB on stderr first
--log: a file that gets a line for each start, each call and each cancellation.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faults import COMPLETE, FAULTS

LEGACY, MODERN = "2025-11-25", "2026-07-28"
META = "io.modelcontextprotocol/"


class Peer:
    """Whoever asked, and the way back."""

    async def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        raise NotImplementedError

    async def message(self, data: bytes) -> None:
        """Bytes that stand where a message should."""
        raise NotImplementedError

    async def break_off(self) -> None:
        """The connection is gone, in the middle of what is being sent."""
        raise NotImplementedError

    async def send(self, found: Any) -> None:
        await self.message(json.dumps(found).encode())

    async def result(self, id: Any, value: Any) -> None:
        await self.send({"jsonrpc": "2.0", "id": id, "result": value})

    async def error(self, id: Any, code: int, message: str, data: Any = None) -> None:
        more = {} if data is None else {"data": data}
        await self.send({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message, **more}})


class Faulty:
    """What the server knows, whatever it is served on."""

    def __init__(self, start: str, era: str, log: Path | None) -> None:
        self.start, self.era, self.log = start, era, log
        self.extra = 0
        self.answers: dict[Any, asyncio.Future[Any]] = {}
        self.calls: dict[Any, asyncio.Task[None]] = {}
        self.ready = time.monotonic() + (float(start[5:]) if start.startswith("slow:") else 0.0)

    def note(self, word: str) -> None:
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(word + "\n")

    def noted(self, word: str) -> int:
        return self.log.read_text().splitlines().count(word) if self.log is not None and self.log.exists() else 0

    def begin(self) -> None:
        """What goes wrong before anything is read."""
        self.note("start")
        if self.start == "crash" or (self.start.startswith("crash:") and self.noted("start") <= int(self.start[6:])):
            print("I cannot start: the reason is a secret", file=sys.stderr, flush=True)
            os._exit(3)
        if self.start == "stderr":
            for _ in range(50):
                sys.stderr.write("e" * 1_000_000)
            sys.stderr.flush()

    async def handle(self, peer: Peer, found: Any) -> None:
        """One message of the client's."""
        if self.start == "silent":
            await asyncio.sleep(3600)
        await asyncio.sleep(max(0.0, self.ready - time.monotonic()))
        method, id, params = found.get("method"), found.get("id"), found.get("params") or {}
        if method is None:
            if (waiting := self.answers.pop(id, None)) is not None:
                waiting.set_result(found)
        elif method == "notifications/cancelled":
            self.note("cancelled")
            if (task := self.calls.get(params.get("requestId"))) is not None:
                task.cancel()
        elif id is not None:
            await self._request(peer, id, method, params)

    async def _request(self, peer: Peer, id: Any, method: str, params: Mapping[str, Any]) -> None:
        modern = META + "protocolVersion" in (params.get("_meta") or {})
        if (modern and self.era == "legacy") or (method == "initialize" and self.era == "modern"):
            await peer.error(id, -32601, "Method not found")
        elif method in ("initialize", "server/discover"):
            await self._introduce(peer, id, method)
        elif method == "tools/list":
            names = [*FAULTS, *(f"extra{n}" for n in range(self.extra))]
            schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
            tools = [{"name": name, "description": name, "inputSchema": schema} for name in names]
            await peer.result(id, {"tools": tools, **COMPLETE, "ttlMs": 0, "cacheScope": "private"})
        elif method == "ping":
            await peer.result(id, {})
        elif method == "tools/call" and params.get("name") in FAULTS:
            self.note(f"call {params['name']}")
            self.calls[id] = asyncio.current_task()  # type: ignore[assignment]
            n = (params.get("arguments") or {}).get("n", 0)
            token = (params.get("_meta") or {}).get("progressToken")
            await FAULTS[params["name"]](self, peer, id, n, token)
        else:
            await peer.error(id, -32601, "Method not found")

    async def _introduce(self, peer: Peer, id: Any, method: str) -> None:
        if self.start == "leave":
            os._exit(0)
        if self.start == "garbage":
            await peer.message(b"<html><body>Welcome to nginx!</body></html>")
            return
        info, abilities = {"name": "faulty", "version": "0"}, {"tools": {"listChanged": True}, "logging": {}}
        if method == "initialize":
            version = "1999-12-31" if self.start == "version" else LEGACY
            await peer.result(id, {"protocolVersion": version, "capabilities": abilities, "serverInfo": info})
        else:
            version = "2999-12-31" if self.start == "version" else MODERN
            shown = {"supportedVersions": [version], "capabilities": abilities, "ttlMs": 0, "cacheScope": "private"}
            await peer.result(id, {**shown, **COMPLETE, "_meta": {META + "serverInfo": info}})


# Over stdio.
class Pipe(Peer):
    """Lines on stdout; a reader that is slow slows it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def message(self, data: bytes) -> None:
        await self.raw(data + b"\n")

    async def break_off(self) -> None:
        os._exit(0)


async def on_stdio(server: Faulty) -> None:
    """Until stdin ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout)
    peer = Pipe(asyncio.StreamWriter(transport, protocol, None, loop))
    tasks: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        with contextlib.suppress(ValueError):
            task = asyncio.create_task(server.handle(peer, json.loads(line)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


# Over HTTP.
class Answer(Peer):
    """The answer to one POST: an event stream."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer, self._begun = writer, False

    async def begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nMcp-Session-Id: faulty-1\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            )

    async def raw(self, data: bytes) -> None:
        await self.begin()
        self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self._writer.drain()

    async def message(self, data: bytes) -> None:
        await self.raw(b"event: message\ndata: " + data + b"\n\n")

    async def break_off(self) -> None:
        self._writer.transport.abort()

    async def end(self) -> None:
        await self.begin()
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()


async def on_http(server: Faulty, port: int) -> None:
    """On loopback. /status/CODE answers everything with that status and a page of HTML."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.split("\r\n")
                fields = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                await exchange(first.split()[0], first.split()[1], body, reader, writer)
        writer.close()

    async def exchange(
        method: str, path: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if path.startswith("/status/"):
            place = b"Location: http://127.0.0.1:1/leaked-location\r\n"
            page = b"<html>No</html>"
            writer.write(
                b"HTTP/1.1 %b No\r\nContent-Type: text/html\r\n%bContent-Length: %d\r\n\r\n%b"
                % (path[8:].encode(), place, len(page), page)
            )
            return
        if method != "POST":
            writer.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return
        found = json.loads(body)
        if "id" not in found or "method" not in found:
            await server.handle(Peer(), found)
            writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            return
        answer = Answer(writer)
        gone = asyncio.create_task(reader.read(1))  # Nobody sends the next request before this one's answer.
        work = asyncio.create_task(server.handle(answer, found))
        await asyncio.wait({gone, work}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            server.note("left")
            work.cancel()
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await gone  # Else it still waits for bytes when the next request is read.
        try:
            await work
        except asyncio.CancelledError:
            pass  # A fault that is cancelled by the client's own word has no answer.
        except ConnectionError:
            server.note("left")
            raise
        await answer.end()

    listening = await asyncio.start_server(connection, "127.0.0.1", port, limit=1 << 26)
    async with listening:
        await listening.serve_forever()


def main() -> None:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("at")
    parser.add_argument("--start", default="")
    parser.add_argument("--era", choices=("both", "legacy", "modern"), default="legacy")
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    server = Faulty(options.start, options.era, options.log)
    server.begin()
    asyncio.run(on_stdio(server) if options.at == "stdio" else on_http(server, int(options.at)))


if __name__ == "__main__":
    main()
