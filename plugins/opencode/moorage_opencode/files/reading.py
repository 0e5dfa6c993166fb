"""Files as they are read: found, tagged, and given out piece by piece."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from mimetypes import MimeTypes

from moorage_opencode.files.confine import Cage, Fd, regular
from moorage_opencode.files.paths import Parts, shown
from moorage_opencode.files.pool import Held

PIECE = 256 * 1024
_TYPES = MimeTypes()
_MORE_TYPES = {
    ".md": "text/markdown",
    ".ts": "text/plain",
    ".tsx": "text/plain",
    ".rs": "text/plain",
    ".go": "text/plain",
    ".toml": "text/plain",
    ".yaml": "text/plain",
    ".yml": "text/plain",
    ".wasm": "application/octet-stream",
}


@dataclass(slots=True)
class Found:
    """A file, open for reading. `held` closes it."""

    name: bytes
    size: int
    modified: float
    tag: str
    held: Held[Fd]

    def read(self, start: int, length: int) -> bytes:
        """At most `length` bytes from there; fewer at the end."""
        with self.held.use() as fd:
            return os.pread(fd.number, length, start)


def find(cage: Cage, parts: Parts) -> Found:
    """Open a file. OSError; Forbidden for a link out."""
    with cage.open(parts) as fd:
        opened, about = regular(fd)
    return Found(parts[-1], about.st_size, about.st_mtime, tag(about), Held(opened))


def is_folder(cage: Cage, parts: Parts) -> bool:
    """Whether it is a folder, by a link too. OSError when nothing is there."""
    with cage.open(parts) as fd:
        return stat.S_ISDIR(os.fstat(fd.number).st_mode)


def tag(about: os.stat_result) -> str:
    """A strong entity tag, without its quotes: another after every change that the file system can tell."""
    return f"{about.st_ino:x}-{about.st_size:x}-{about.st_mtime_ns:x}"


def media_type(name: bytes) -> str:
    """A guess by the name. A script is plain text: no page of ours must be able to run one from a workspace."""
    text = shown(name).lower()
    kind = _MORE_TYPES.get(os.path.splitext(text)[1]) or _TYPES.guess_type(text, strict=False)[0]  # noqa: PTH122
    if _TYPES.guess_type(text, strict=False)[1] is not None:
        return "application/octet-stream"  # Compressed: the type is of what is in it.
    if kind is None:
        return "application/octet-stream"
    if "javascript" in kind or "ecmascript" in kind:
        return "text/plain; charset=utf-8"
    if kind.startswith("text/"):
        return f"{kind}; charset=utf-8"
    return kind
