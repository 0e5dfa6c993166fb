"""A client of MCP's older era, line by line, over a program that was started in a workload."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from moorage.api import Exec
from waits import WAIT


class Lines:
    """One request at a time. A program that ends fails the test, with what it says of its end."""

    def __init__(self, program: Exec) -> None:
        self.program, self._data, self._number = program, b"", 0

    async def ask(self, method: str, **params: Any) -> Any:
        """A request's result; what comes besides is left out."""
        self._number += 1
        await self.send({"id": self._number, "method": method, "params": params})
        async with asyncio.timeout(WAIT):
            while True:
                line, newline, rest = self._data.partition(b"\n")
                if not newline:
                    more = await self.program.read()
                    assert more, f"the program ended with {await self.program.wait()}: {self._data!r}"
                    self._data += more
                    continue
                self._data = rest
                answer = json.loads(line)
                if answer.get("id") == self._number:
                    return answer["result"]

    async def send(self, message: dict[str, Any]) -> None:
        """Anything."""
        await self.program.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def open(self) -> Any:
        """Begin; what the server says of itself."""
        about = {"name": "test", "version": "1"}
        said = await self.ask("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=about)
        await self.send({"method": "notifications/initialized"})
        return said

    async def tool(self, name: str, **arguments: Any) -> Any:
        """A tool's structured result."""
        result = await self.ask("tools/call", name=name, arguments=arguments)
        assert not result.get("isError"), result
        return result["structuredContent"]
