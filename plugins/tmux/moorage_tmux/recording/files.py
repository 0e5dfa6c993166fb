"""The files of recordings: made, written, mended after a crash, read in pieces, deleted. Everything here blocks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from moorage_tmux.recording.cast import AsVersion2, interval

CHUNK = 256 * 1024
SPARE_BYTES = 16 * 1024 * 1024
"""What a disk must have left for a recording to begin."""
_PID = re.compile(r"rec_[0-9A-Za-z]{8,28}\Z")
_IDENTITY = re.compile(r"[0-9a-f]{12}\Z")


def is_pid(text: str) -> bool:
    """Whether a text may be the id of a recording."""
    return _PID.match(text) is not None


def identity(path: Path) -> str:
    """Whose recordings the files beside `path` are, in a database that several servers share: made once. OSError."""
    try:
        known = path.read_text("ascii", "replace")
    except FileNotFoundError:
        known = ""
    if _IDENTITY.match(known):
        return known
    made, new = secrets.token_hex(6), path.with_suffix(".new")
    new.write_text(made)
    new.replace(path)
    return made


class StillWritten(Exception):
    """Somebody writes the recording."""


class CastFile:
    """A recording's file while it is written: always a number of whole lines. It is locked until it is closed."""

    def __init__(self, path: Path) -> None:
        """Make the file, for our user alone. OSError."""
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._size = 0

    def write(self, lines: Sequence[str]) -> int:
        """Add lines and return their bytes; all of them, or none with OSError."""
        data = memoryview("".join(lines).encode("utf-8", "replace"))
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
                os.lseek(self._fd, self._size, os.SEEK_SET)
            raise
        self._size += done
        return done

    def close(self) -> None:
        """Have it on the disk and close it. OSError when the disk did not take it; it is closed all the same."""
        try:
            os.fsync(self._fd)
        finally:
            os.close(self._fd)


class Folder:
    """The folder of all recordings; nothing else is in it, and nobody else may look into it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def path(self, pid: str) -> Path:
        """The file of a recording."""
        if not is_pid(pid):
            raise ValueError(f"{pid!r} is not the id of a recording")
        return self._path / f"{pid}.cast"

    def create(self, pid: str) -> CastFile:
        """A new file. OSError."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return CastFile(self.path(pid))

    def crowded(self) -> bool:
        """Whether the disk is as good as full. OSError."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return shutil.disk_usage(self._path).free < SPARE_BYTES

    def remove(self, pid: str) -> None:
        """Delete a file; harmless when it is gone. OSError."""
        self.path(pid).unlink(missing_ok=True)

    def open(self, pid: str) -> BinaryIO:
        """A file for reading. OSError."""
        return self.path(pid).open("rb")

    def mend(self, pid: str) -> tuple[float, int]:
        """Cut off what a crash left of a last line. The recording's seconds and bytes; 0 when there is no file.

        StillWritten where it was no crash: a reload starts the plugin anew before the old one has ended.
        """
        try:
            file = self.path(pid).open("r+b")
        except FileNotFoundError:
            return 0.0, 0
        size = milliseconds = 0
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StillWritten from None
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break
                try:
                    milliseconds += interval(line) if number else 0
                except ValueError:
                    break  # A block that the disk lost: what comes after it cannot be read.
                size += len(line)
            file.truncate(size)
        return milliseconds / 1000, size


def pieces(file: BinaryIO, size: int, *, version_2: bool) -> Iterator[bytes]:
    """The first `size` bytes of a recording in pieces, as version 2 if wanted. Closes the file."""
    with file:
        convert, rest = AsVersion2(), b""
        while size > 0 and (data := file.read(min(CHUNK, size))):
            size -= len(data)
            if not version_2:
                yield data
                continue
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            yield b"".join(convert.line(line + b"\n") for line in lines)
