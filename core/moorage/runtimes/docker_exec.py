"""A program inside a running container, over a connection of its own to the engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from moorage.errors import MoorageError
from moorage.runtimes.base import TerminalSize
from moorage.runtimes.docker_calls import Calls, Refused
from moorage.runtimes.docker_events import Listener, Watcher
from moorage.runtimes.docker_stream import Answer, ask

MARK = "MOORAGE_EXEC"
"""A variable by which all that an exec started is found again, inside the container, whoever its parent is by then."""
STDOUT, STDERR = 1, 2
STDERR_KEPT = 64 * 1024
"""Bytes of the newest stderr of an exec without terminal."""
FIRST_LOOK, LONGEST_LOOK = 0.05, 30.0
"""Seconds between two looks at an exec whose end no event has told."""
END_SECONDS = 10.0
"""How long ending an exec may take; the script below needs three at most, twice that with whole-second sleeps."""

END = """
marked() {
  for folder in /proc/[0-9]*; do
    case $(cat "$folder/environ") in
      *"$2"*) ;;
      *"$1"*) echo "${folder#/proc/}" ;;
    esac
  done
}
found=$(marked "$1" "$2")
[ -n "$found" ] || exit 0
kill -"$3" $found
kill -CONT $found
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  found=$(marked "$1" "$2")
  [ -n "$found" ] || exit 0
  sleep 0.1 || sleep 1
done
kill -KILL $found
"""
"""Ends what bears the mark $1 and not the mark $2: with the signal $3, and after two seconds with SIGKILL."""
NOTHING = f"{MARK}=nothing at all"


class DockerExec:
    """See `Exec`. Made by `begin`. stderr: the newest bytes of it; with a terminal there is none."""

    def __init__(
        self,
        unit: str,
        mark: str,
        terminal: bool,
        answer: Answer,
        calls: Calls,
        listener: Listener,
        forget: Callable[[], Any],
        end: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._unit, self._mark, self._terminal = unit, mark, terminal
        self._answer, self._calls, self._listener, self._forget, self._end = answer, calls, listener, forget, end
        self.stderr = bytearray()
        self._left = 0
        self._exit_code: int | None = None
        self._input_open = True
        self._looking = asyncio.Lock()
        self._closing: asyncio.Task[None] | None = None

    async def read(self, limit: int = 65536) -> bytes:
        """See `Exec.read`."""
        try:
            if self._terminal:
                return await self._answer.reader.read(limit)
            return await self._read_stdout(limit)
        except (OSError, EOFError):
            return b""

    async def _read_stdout(self, limit: int) -> bytes:
        """Frames of eight bytes and a payload: the first byte is the stream, the last four are the length."""
        reader = self._answer.reader
        while not self._left:
            head = await reader.readexactly(8)
            size = int.from_bytes(head[4:])
            if head[0] != STDERR:
                self._left = size
                continue
            while size:
                part = await reader.read(min(size, 65536))
                if not part:
                    return b""
                size -= len(part)
                self.stderr += part
                del self.stderr[:-STDERR_KEPT]
        part = await reader.read(min(limit, self._left))
        self._left -= len(part)
        return part

    async def write(self, data: bytes) -> None:
        """See `Exec.write`."""
        if not self._input_open or self._exit_code is not None or self._listener.exit_code is not None:
            raise ConnectionError("The program has ended, or its input has")
        self._answer.writer.write(data)
        await self._answer.writer.drain()

    async def close_input(self) -> None:
        """See `Exec.close_input`."""
        if not self._terminal and self._input_open:
            self._input_open = False
            with contextlib.suppress(OSError):
                self._answer.writer.write_eof()

    async def resize(self, size: TerminalSize) -> None:
        """See `Exec.resize`. Harmless when it has ended."""
        if self._terminal and self._exit_code is None:
            with contextlib.suppress(Refused, MoorageError):
                await self._calls(lambda client: client.exec_resize(self._unit, height=size.rows, width=size.columns))

    async def wait(self) -> int:
        """See `Exec.wait`. -1 when the engine has forgotten it: its container was removed."""
        async with self._looking:
            seconds = FIRST_LOOK
            while self._exit_code is None:
                self._exit_code = self._listener.exit_code
                if self._exit_code is None:
                    self._exit_code = await self._look()
                if self._exit_code is None:
                    await self._listener.wait(seconds)
                    seconds = min(seconds * 2, LONGEST_LOOK)
        return self._exit_code

    async def _look(self) -> int | None:
        try:
            found = await self._calls(lambda client: client.exec_inspect(self._unit))
        except Refused as refused:
            return -1 if refused.status == 404 else None
        except MoorageError:
            return None
        if found.get("Running") or found.get("ExitCode") is None:
            return None
        return int(found["ExitCode"])

    async def close(self) -> None:
        """See `Exec.close`."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="docker exec end")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            with contextlib.suppress(MoorageError, Refused, TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await self._end(self._mark, "HUP" if self._terminal else "TERM")
        finally:
            self._input_open = False
            await self._answer.close()
            self._forget()


async def begin(
    url: str,
    calls: Calls,
    watcher: Watcher,
    container: str,
    command: tuple[str, ...],
    *,
    env: Mapping[str, str],
    workdir: str | None,
    terminal: TerminalSize | None,
    mark: str,
    end: Callable[[str, str], Awaitable[None]],
    timeout: float,
) -> DockerExec:
    """Start a program in a container. Refused, OSError, EOFError, BadAnswer, TimeoutError when it cannot be."""
    variables = [f"{key}={value}" for key, value in {**env, MARK: mark}.items()]
    made = await calls(
        lambda client: client.exec_create(
            container, list(command), stdin=True, tty=terminal is not None, environment=variables, workdir=workdir
        )
    )
    unit = str(made["Id"])
    hearing = watcher.listen(unit)
    listener = hearing.__enter__()
    try:
        async with asyncio.timeout(timeout):
            asked = {"Detach": False, "Tty": terminal is not None}
            answer = await ask(url, "POST", f"/exec/{unit}/start", asked, upgrade=True)
    except BaseException:
        hearing.__exit__(None, None, None)
        raise
    forget = lambda: hearing.__exit__(None, None, None)  # noqa: E731
    begun = DockerExec(unit, f"{MARK}={mark}", terminal is not None, answer, calls, listener, forget, end)
    if terminal is not None:
        await _first_size(calls, unit, terminal)
    return begun


async def _first_size(calls: Calls, unit: str, size: TerminalSize) -> None:
    """The engine takes no size with the start, and refuses one for a program that it has not quite begun."""
    for delay in (0.02, 0.05, 0.1, 0.2, 0.4):
        try:
            await calls(lambda client: client.exec_resize(unit, height=size.rows, width=size.columns))
        except Refused:
            await asyncio.sleep(delay)
        except MoorageError:
            return
        else:
            return


async def end_marked(calls: Calls, watcher: Watcher, container: str, mark: str, signal: str, spared: str) -> None:
    """End all in a container that bears `mark`, but not what bears `spared`; returns when that is done.

    Without a shell in the image nothing is ended. Refused and MoorageError as the calls.
    """
    command = ["sh", "-c", END, "end", mark, spared, signal]
    made = await calls(lambda client: client.exec_create(container, command, stdout=False, stderr=False))
    unit = str(made["Id"])
    with watcher.listen(unit) as listener:
        await calls(lambda client: client.exec_start(unit, detach=True))
        seconds = FIRST_LOOK
        while listener.exit_code is None:
            await listener.wait(seconds)
            seconds = min(seconds * 2, LONGEST_LOOK)
            if listener.exit_code is None:
                found = await calls(lambda client: client.exec_inspect(unit))
                if not found.get("Running") and found.get("ExitCode") is not None:
                    return
