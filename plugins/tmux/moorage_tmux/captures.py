"""The text of a pane, history included, read by a short-lived tmux client of its own.

Not through a control client: what comes may be megabytes, which tmux hands to an ordinary client seven times faster,
and which neither the stream nor the list of sessions should wait behind.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from moorage_tmux.client import is_id
from moorage_tmux.tmux import Tmux, TmuxError, TmuxSilent, complaint

MAX_BYTES = 64 * 1024 * 1024
"""Bytes of one capture."""
MAX_PARALLEL = 4
LAST = 32_767
"""The largest number of a row that tmux takes."""
_CHUNK = 256 * 1024
_SIZES = "#{history_size} #{pane_height}"


@dataclass(slots=True)
class Rows:
    """Consecutive rows of a pane.

    history: how many rows the scrollback has. total: with those of the screen. first: the number of rows[0], where
    0 is the oldest row that tmux has.
    wrapped: of each row, whether it is full and its line goes on in the next one. Blanks at a row's end are kept
    only there, so that rows joined by it are the line as it was written.
    """

    history: int
    total: int
    first: int
    rows: list[str]
    wrapped: list[bool]

    def lines(self) -> list[tuple[int, int]]:
        """The lines as ranges of indexes into rows: [begin, end)."""
        found, begin = [], 0
        for index, more in enumerate(self.wrapped):
            if not more or index == len(self.rows) - 1:
                found.append((begin, index + 1))
                begin = index + 1
        return found


class Captures:
    """Reads panes. timeout: seconds for one capture, also those of waiting for its turn."""

    def __init__(self, tmux: Tmux, timeout: float) -> None:
        self._tmux, self._timeout = tmux, timeout
        self._turns = asyncio.Semaphore(MAX_PARALLEL)

    async def rows(self, pane: str, start: int, end: int) -> Rows:
        """The rows `start` to `end` as tmux counts: 0 is the screen's first, -1 the newest of the scrollback; at most
        LAST, which is beyond any screen.

        How much there is and the rows are of one instant, whatever the program goes on to write. TmuxError.
        """
        bounds = ("-t", pane, "-S", str(start), "-E", str(end))
        data = await self._run(
            ("display-message", "-p", "-t", pane, _SIZES),
            ("capture-pane", "-p", "-N", *bounds),
            ("capture-pane", "-p", "-J", *bounds),
        )
        return await asyncio.to_thread(_parse, data, start, end)

    async def _run(self, *commands: tuple[str, ...]) -> bytes:
        """One tmux client that runs all commands, without output in between. Ids and constants only."""
        argv: list[str] = []
        for command in commands:
            if not is_id(command[command.index("-t") + 1]):
                raise ValueError("only ids are targets")
            argv += [*([";"] if argv else []), *command]
        try:
            async with asyncio.timeout(self._timeout), self._turns:
                return await self._output(self._tmux.argv(*argv))
        except TimeoutError as error:
            raise TmuxSilent from error

    async def _output(self, argv: list[str]) -> bytes:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
                limit=_CHUNK,
                env=self._tmux.environment(),
            )
        except OSError as error:
            raise TmuxError(f"cannot run {self._tmux.binary}: {error.strerror}") from error
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            chunks, size = [], 0
            while chunk := await process.stdout.read(_CHUNK):
                size += len(chunk)
                if size > MAX_BYTES:
                    raise TmuxError("the pane's history is too large")
                chunks.append(chunk)
            errors = (await process.stderr.read(4096)).decode("utf-8", "replace").strip()
            if await process.wait():
                raise complaint(errors or "tmux refused the command")
            return b"".join(chunks)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def let_others_run(number: int) -> None:
    """For long loops of a thread, given the count of turns: else the event loop has its turn each 5 ms only."""
    if number % 256 == 0:
        time.sleep(0)


def _text(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").removesuffix("\n").split("\n")


def _parse(data: bytes, start: int, end: int) -> Rows:
    """The answers of `Captures.rows`: sizes, the rows, and the same with wrapped ones joined."""
    sizes, *lines = _text(data)
    history, height = map(int, sizes.split(" "))
    total = history + height
    first = min(max(0, history + start), total - 1)
    count = max(first, min(total - 1, history + end)) - first + 1
    rows = lines[:count]
    return Rows(history, total, first, rows, _wrapped(rows, lines[count:]))


def _wrapped(rows: list[str], joined: list[str]) -> list[bool]:
    """Which rows go on in the next one; blanks that only fill `rows` up are cut off.

    A row's line is the next of `joined`. Versions of tmux differ in how many blanks they put at ends, hence the care.
    """
    wrapped = [False] * len(rows)
    if len(joined) == len(rows):
        rows[:] = [row.rstrip(" ") for row in rows]
        return wrapped
    index = 0
    for number, line in enumerate(joined):
        let_others_run(number)
        # Where its rest begins, and where the blanks at its end do: a line may have megabytes, which are not copied.
        at, blank = 0, len(line.rstrip(" "))
        while index < len(rows):
            row = rows[index]
            bare = row.rstrip(" ")
            if len(line) - at <= len(row) and line[at:].rstrip(" ") == bare:
                break
            if at >= blank and bare:
                index -= 1  # Only blanks were left, and they are in no row: the row before was the last.
                break
            piece = row if line.startswith(row, at) else bare
            if not line.startswith(piece, at):
                break
            rows[index], wrapped[index], at = piece, True, at + len(piece)
            index += 1
            let_others_run(index)
        if index < len(rows):
            rows[index], wrapped[index] = rows[index].rstrip(" "), False
        index += 1
    rows[index:] = [row.rstrip(" ") for row in rows[index:]]
    return wrapped
