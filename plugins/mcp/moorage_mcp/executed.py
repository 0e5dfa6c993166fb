"""An MCP server that was started in a workload, as who talks with it has it in hand."""

from __future__ import annotations

import asyncio

from moorage.api import Exec, MoorageError, RuntimeView, TerminalSize

from moorage_mcp import programs

STDERR_BYTES = 2000
LOG_LINES = 200
"""The newest of a workload's log, in which is looked for what a program wrote."""
TELL_SECONDS = 5.0
"""In which it must be known how a program ended."""


class Program:
    """An MCP server that was started: a `moorage.api.Exec` that can also say how it ended, without its secrets.

    missing: what to say when there is no such program. before: the newest `LOG_LINES` of its workload's log when
    it began: what programs said that ended earlier is no reason why this one did.
    """

    def __init__(
        self, begun: Exec, view: RuntimeView, name: str, missing: str, secrets: tuple[str, ...], before: bytes = b""
    ) -> None:
        self._exec, self._view, self._name = begun, view, name
        self._missing, self._secrets, self._before = missing, secrets, before

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
                said = bytes(getattr(self._exec, "stderr", b"")) or since(
                    await self._view.logs(self._name, lines=LOG_LINES), self._before
                )
        except (MoorageError, TimeoutError):
            return "it ended"
        return programs.ending(code, said[-STDERR_BYTES:], self._missing, self._secrets)


def since(log: bytes, before: bytes) -> bytes:
    """What the newest lines of a log have that they had not before; all of them where that cannot be told."""
    lines = before.splitlines(keepends=True)
    for first in range(len(lines)):
        if log.startswith(known := b"".join(lines[first:])):
            said = log[len(known) :]
            # In a window full of the same lines new ones look like the old.
            return log if not said and len(lines) >= LOG_LINES else said
    return log
