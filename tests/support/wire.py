"""Requests byte by byte, as no client library would send them, and what of a server's answers is looked at often."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from typing import Any

import httpx
from harness import Server
from waits import WAIT


def exchange(server: Server, data: bytes, *, end: bool = True, timeout: float = WAIT) -> bytes:
    """Send bytes, and read until the server ends the connection. b"" for one that was reset.

    end: end the sending side; otherwise what came until `timeout` seconds of silence is all.
    """
    got = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as sock:
        try:
            sock.sendall(data)
            if end:
                sock.shutdown(socket.SHUT_WR)
            while chunk := sock.recv(65536):
                got += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
        except TimeoutError:
            if end:
                raise
    return got


def request(server: Server, target: str, *headers: str, method: str = "GET") -> tuple[int, bytes, bytes]:
    """A request to a target that is sent as it is: status (0 for no answer), head and body."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Connection: close", *headers]
    got = exchange(server, "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n")
    head, _, body = got.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]) if got else 0, head, body


def cookies_of(answer: httpx.Response) -> dict[str, tuple[str, dict[str, str]]]:
    """What an answer sets: by name the value, and the flags (lower case) with theirs."""
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        first, *flags = (part.strip() for part in line.split(";"))
        name, _, value = first.partition("=")
        assert name not in found, f"{name} is set twice"
        found[name] = (value, {key.lower(): text for key, _, text in (flag.partition("=") for flag in flags)})
    return found


def via(server: Server, address: str, **headers: str) -> httpx.Client:
    """A client that connects from another address of this machine, such as 127.0.0.2."""
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=server.url, headers=headers, transport=transport, timeout=WAIT)


def rows(server: Server, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """What the server's SQLite database answers; a change is committed."""
    with closing(sqlite3.connect(server.data_dir / "moorage.db", timeout=WAIT)) as db, db:
        return db.execute(query, values).fetchall()
