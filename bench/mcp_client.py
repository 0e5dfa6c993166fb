"""A client of MCP for benchmarks: raw HTTP/1.1 on one connection, the same bytes for every call."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

LEGACY, MODERN = "2025-11-25", "2026-07-28"
SAID = "a message of some length, as they are"
KEPT = 2
"""Seconds for which every server keeps a connection that is not used."""
_WRK = """
wrk.method = "POST"
%s
local before, after, number = %s, %s, 100
request = function()
  number = number + 1
  return wrk.format(nil, nil, nil, before .. number .. after)
end
"""
"""Each call has an id of its own: a session may not have two of the same under way."""


class McpClient:
    """One connection to `url`.

    era: "legacy" or "modern". headers: more lines of the head. tool: the name of what says SAID back.
    """

    def __init__(self, url: str, era: str, headers: dict[str, str], tool: str = "echo") -> None:
        self.url, self.era, self._tool = url, era, tool
        self._place = urlsplit(url)
        self.headers = {
            "Host": f"{self._place.hostname}:{self._place.port}",
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            **headers,
        }
        self._connect()
        if era == "legacy":
            self._begin_session()
        else:
            self.headers |= {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": tool}
        self.body = json.dumps(self._message()).encode()
        self._request = self._bytes(self.body)

    def _connect(self) -> None:
        self._socket = socket.create_connection((self._place.hostname, self._place.port), 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._used = time.monotonic()

    def _message(self) -> dict[str, object]:
        params: dict[str, object] = {"name": self._tool, "arguments": {"message": SAID}}
        if self.era == "modern":
            prefix = "io.modelcontextprotocol/"
            params["_meta"] = {
                prefix + "protocolVersion": MODERN,
                prefix + "clientInfo": {"name": "bench", "version": "1"},
                prefix + "clientCapabilities": {},
            }
        return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}

    def _begin_session(self) -> None:
        info = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
        head, _ = self._exchange(
            self._bytes(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": info}).encode())
        )
        self.headers["MCP-Protocol-Version"] = LEGACY
        for line in head.split("\r\n"):
            key, _, value = line.partition(":")
            if key.lower() == "mcp-session-id":
                self.headers["Mcp-Session-Id"] = value.strip()
        self._exchange(self._bytes(b'{"jsonrpc":"2.0","method":"notifications/initialized"}'))

    def _bytes(self, body: bytes) -> bytes:
        lines = [f"POST {self._place.path} HTTP/1.1", *(f"{key}: {value}" for key, value in self.headers.items())]
        return ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n").encode() + body

    def call(self) -> None:
        """One call. AssertionError when it is not answered with what was said."""
        if time.monotonic() - self._used > KEPT:
            self.close()
            self._connect()
        head, body = self._exchange(self._request)
        self._used = time.monotonic()
        right = SAID.encode() in body and b'"isError":true' not in body
        assert right, f"{self.url}:\n{head}\n{body[:2000]!r}"

    def _exchange(self, request: bytes) -> tuple[str, bytes]:
        self._socket.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        raw, _, body = data.partition(b"\r\n\r\n")
        head = raw.decode("latin-1")
        assert head.startswith("HTTP/1.1 2"), f"{self.url}:\n{head}\n{body[:2000]!r}"
        fields = {key.lower(): value.strip() for key, _, value in (x.partition(":") for x in head.split("\r\n")[1:])}
        if fields.get("transfer-encoding") == "chunked":
            # Nothing follows on this connection, so the end of what came is the end of the answer.
            while not body.endswith(b"0\r\n\r\n"):
                body += self._more()
        else:
            while len(body) < int(fields.get("content-length", 0)):
                body += self._more()
        return head, body

    def _more(self) -> bytes:
        data = self._socket.recv(1 << 16)
        assert data, f"{self.url} closed the connection"
        return data

    def close(self) -> None:
        self._socket.close()

    def script(self, file: Path) -> list[str]:
        """The same call as options for wrk."""
        sent = {key: value for key, value in self.headers.items() if key != "Host"}
        lines = "\n".join(f"wrk.headers[{json.dumps(key)}] = {json.dumps(value)}" for key, value in sent.items())
        before, after = self.body.decode().split('"id": 7')
        file.write_text(_WRK % (lines, _lua(before + '"id": '), _lua(after)))
        return ["-s", str(file), self.url]


def _lua(text: str) -> str:
    assert "]=]" not in text
    return f"[=[{text}]=]"
