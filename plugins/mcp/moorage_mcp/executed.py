"""An MCP server that was started in a workload, as who talks with it has it in hand."""

from __future__ import annotations

import asyncio

from moorage.api import Exec, MoorageError, RuntimeView, TerminalSize

from moorage_mcp import programs

STDERR_LINES, STDERR_BYTES = 8, 2000
TELL_SECONDS = 5.0
"""In which it must be known how a program ended."""


class Program:
    """An MCP server that was started: a `moorage.api.Exec` that can also say how it ended, without its secrets.

    missing: what to say when there is no such program.
    """

    def __init__(self, begun: Exec, view: RuntimeView, name: str, missing: str, secrets: tuple[str, ...]) -> None:
        self._exec, self._view, self._name = begun, view, name
        self._missing, self._secrets = missing, secrets

    async def read(self, limit: int = 65536) -> bytes:
        """See `Exec.read`."""
        return await self._exec.read(limit)

    async def write(self, data: bytes) -> None:
        """See `Exec.write`."""
        await self._exec.write(data)

    async def close_input(self) -> None:
        """See `Exec.close_input`."""
        await self._exec.close_input()

    async def resize(self, size: TerminalSize) -> None:
        """See `Exec.resize`: there is no terminal."""
        await self._exec.resize(size)

    async def wait(self) -> int:
        """See `Exec.wait`."""
        return await self._exec.wait()

    async def close(self) -> None:
        """See `Exec.close`."""
        await self._exec.close()

    async def why(self) -> str:
        """For people, once its output has ended: the exit code and the last lines of its stderr."""
        try:
            async with asyncio.timeout(TELL_SECONDS):
                code = await self.wait()
                # In a container stderr comes with the output; a process writes it to its workload's log.
                said = bytes(getattr(self._exec, "stderr", b"")) or await self._view.logs(
                    self._name, lines=STDERR_LINES
                )
        except (MoorageError, TimeoutError):
            return "it ended"
        return programs.ending(code, said[-STDERR_BYTES:], self._missing, self._secrets)
