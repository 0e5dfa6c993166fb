"""Load: wrk where it is installed, else a small closed loop of our own over raw sockets."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
import time
from urllib.parse import urlsplit

_REQUESTS = re.compile(r"(\d+) requests in")
_BAD = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def generator() -> str:
    """What will make the load."""
    return "wrk" if shutil.which("wrk") else "bench/load.py"


def requests(url: str, *, seconds: float, connections: int = 64, header: str = "") -> int:
    """Ask for `url` as fast as it answers; returns how many answers came. AssertionError for any that is no 2xx.

    header: one more line of the head, as "Cookie: a=b".
    """
    if shutil.which("wrk"):
        return _wrk(url, seconds, connections, header)
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", url, str(seconds), str(connections), header],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def _wrk(url: str, seconds: float, connections: int, header: str) -> int:
    shown = ["-H", header] if header else []
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", *shown, url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = _REQUESTS.search(said)
    if found is None or _BAD.search(said):
        raise AssertionError(f"{url}: wrk says\n{said}")
    return int(found[1])


async def _connection(host: str, port: int, request: bytes, until: float) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    count = 0
    try:
        while time.monotonic() < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 2"):
                raise AssertionError(head.decode("latin-1"))
            length = _LENGTH.search(head)
            if length is None:
                raise AssertionError("an answer without Content-Length")
            await reader.readexactly(int(length[1]))
            count += 1
    finally:
        writer.close()
    return count


async def _closed_loop(url: str, seconds: float, connections: int, header: str) -> int:
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    lines = [f"GET {parts.path} HTTP/1.1", f"Host: {host}:{port}", "Accept: */*"]
    lines += [header] if header else []
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    until = time.monotonic() + seconds
    return sum(await asyncio.gather(*(_connection(host, port, request, until) for _ in range(connections))))


if __name__ == "__main__":
    target, duration, width, shown = sys.argv[1:]
    print(asyncio.run(_closed_loop(target, float(duration), int(width), shown)))
