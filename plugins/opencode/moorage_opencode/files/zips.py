"""Folders and files as one ZIP archive, made while it is sent: memory for one piece and the list of names."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast

from moorage.api import MoorageError, PayloadTooLarge

from moorage_opencode.files.confine import Cage, Fd, listing, regular
from moorage_opencode.files.paths import Parts, shown
from moorage_opencode.files.pool import Held, Stop
from moorage_opencode.files.reading import PIECE
from moorage_opencode.files.refusals import IoError, invalid
from moorage_opencode.files.tree import TEMPORARY

MAX_ENTRIES = 100_000
MAX_DEPTH = 200
_COMPRESSED = (".zip", ".gz", ".xz", ".zst", ".bz2", ".7z", ".png", ".jpg", ".jpeg", ".webp", ".mp4", ".mp3", ".woff2")


class Archive:
    """An archive that is being made. `next_piece` in a thread; `close` whenever.

    Links to files inside the workspace are followed; those to folders, special files, what cannot be read and what
    vanishes meanwhile is left out. PayloadTooLarge for more than `MAX_ENTRIES`, Forbidden for a link out, OSError.
    """

    def __init__(self, cage: Cage, chosen: list[Parts], stop: Stop) -> None:
        self._cage, self._stop, self._entries = cage, stop, 0
        self.held = Held(cage.fd)
        self._count(chosen)
        self._sink = _Sink()
        self._pieces = self._make(chosen)

    def _count(self, chosen: list[Parts]) -> None:
        """What is not there, and what is too much, is said before anything is sent."""
        count = 0
        for parts in chosen:
            for _ in self._files(parts):
                count += 1
                if count > MAX_ENTRIES:
                    message = f"Zip has too many entries: exceeds limit of {MAX_ENTRIES}"
                    raise PayloadTooLarge(message, code="ZIP_TOO_MANY_ENTRIES")

    def next_piece(self) -> bytes:
        """Some bytes; b"" at the end. OSError; IoError when too many came since."""
        with self.held.use():
            return next(self._pieces, b"")

    def close(self) -> None:
        """Let go of it."""
        self._stop.set()
        self.held.close()

    def _make(self, chosen: list[Parts]) -> Iterator[bytes]:
        with zipfile.ZipFile(cast(BinaryIO, self._sink), "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
            for parts in chosen:
                above = parts[:-1]
                for one in self._files(parts):
                    yield from self._add(archive, one, one[len(above) :])
        yield self._sink.taken()

    def _files(self, start: Parts) -> Iterator[Parts]:
        """What goes in, in order: a folder before what is in it. The folders' names end with an empty one."""
        with self._cage.open(start) as fd:
            if not stat.S_ISDIR(os.fstat(fd.number).st_mode):
                yield start
                return
            top = listing(fd)
        below = Cage.at(top)  # A link may have led here: what is below is listed from the real place.
        unread: list[Parts] = [()]
        while unread:
            self._stop.check()
            inner = unread.pop()
            names = _names(below, inner)
            if names is None:
                yield (*start, *inner)
                continue
            if start or inner:
                yield (*start, *inner, b"")
            if len(inner) < MAX_DEPTH:
                unread += [(*inner, name) for name in sorted(names, reverse=True)]

    def _add(self, archive: zipfile.ZipFile, parts: Parts, name: Parts) -> Iterator[bytes]:
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise IoError("More files came while the archive was made")
        text = "/".join(shown(part).replace("\\", "_") for part in name)
        try:
            if parts[-1] == b"":
                with self._cage.open(parts[:-1]) as folder:
                    about = os.fstat(folder.number)
                opened = None
            else:
                with self._cage.open(parts) as fd:
                    if not stat.S_ISREG(os.fstat(fd.number).st_mode):
                        return
                    opened, about = regular(fd)
        except (MoorageError, OSError):
            return  # Gone, a link out, or not to be read.
        info = _info(text, about)
        if opened is None:
            archive.writestr(info, b"")
        else:
            with opened:
                yield from self._copy(archive, info, opened, about.st_size)
        if len(self._sink) >= PIECE:
            yield self._sink.taken()

    def _copy(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: Fd, size: int) -> Iterator[bytes]:
        """A file as it was when it was opened: not more than its size then, though it may grow."""
        at = 0
        with archive.open(info, "w", force_zip64=size >= 1 << 31) as entry:
            while at < size:
                self._stop.check()
                piece = os.pread(source.number, min(PIECE, size - at), at)
                if not piece:
                    break
                at += len(piece)
                entry.write(piece)
                if len(self._sink) >= PIECE:
                    yield self._sink.taken()


def _names(below: Cage, inner: Parts) -> list[bytes] | None:
    """The names in a folder; None for what is none."""
    try:
        with below.plain(inner) as fd:
            names = [os.fsencode(name) for name in os.listdir(fd.number)]  # noqa: PTH208
    except OSError:
        return None
    return [name for name in names if not name.startswith(TEMPORARY)]


def _info(name: str, about: os.stat_result) -> zipfile.ZipInfo:
    moment = datetime.fromtimestamp(min(max(about.st_mtime, 315532800 + 86400), 4354819198), UTC)
    info = zipfile.ZipInfo(name, moment.timetuple()[:6])
    info.external_attr = (about.st_mode & 0xFFFF) << 16
    if name.endswith("/"):
        info.external_attr |= 0x10
    elif not name.lower().endswith(_COMPRESSED):
        info.compress_type = zipfile.ZIP_DEFLATED
        info._compresslevel = zlib.Z_BEST_SPEED  # type: ignore[attr-defined]
    return info


class _Sink:
    """A file to `zipfile` that can only be written on: what was written is taken from it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        self._size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def taken(self) -> bytes:
        """All that was written since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return data


def chosen(paths: list[Parts]) -> list[Parts]:
    """Each path once, and none that lies in another. BadRequest for none at all, or too many."""
    if not paths:
        raise invalid("No paths were given")
    if len(paths) > 1000:
        raise invalid("More than 1000 paths were given")
    kept: list[Parts] = []
    for path in sorted(set(paths), key=len):
        if not any(path[: len(other)] == other for other in kept):
            kept.append(path)
    return kept
