"""The workspace's folder as a cage: every path is resolved and opened in one step, and the kernel holds it below.

A check of a path, or of where it leads, is worth nothing a moment later: who works in the workspace may put a link
there. So nothing is checked and then opened by name. On a kernel without openat2 links are not followed at all.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mcp.server.mcpserver.exceptions import ToolError

from moorage_mcp.provided import kernel, paths

GIT = b".git"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_WORDS = {
    errno.ENOENT: "there is no such file or folder",
    errno.ENOTDIR: "a part of it is a file, or a link, where a folder is needed",
    errno.EXDEV: "it leads out of the workspace",
    errno.ELOOP: "its links lead in a circle, or links are not followed here",
    errno.EACCES: "it may not be used: its permissions forbid it",
    errno.EPERM: "it may not be changed",
    errno.ENAMETOOLONG: "a name in it is too long",
    errno.EISDIR: "it is a folder",
    errno.EEXIST: "there is something already",
    errno.ENOTEMPTY: "the folder is not empty",
    errno.ENOSPC: "there is no room left on the disk",
    errno.EDQUOT: "there is no room left on the disk",
    errno.EROFS: "the workspace cannot be written to",
    errno.EINVAL: "that cannot be done with it",
    errno.EBUSY: "it is in use",
}


class Tree:
    """A folder, open for as long as the server runs. OSError when it cannot be opened."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._root = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._beneath = True
        try:
            os.close(kernel.openat2(self._root, b".", _FOLDER, kernel.BENEATH))
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.EPERM, errno.E2BIG):
                raise
            self._beneath = False

    @contextmanager
    def open(self, path: bytes, flags: int = os.O_PATH, *, links: bool = True) -> Iterator[int]:
        """What is there. links: whether links in the path are followed, as far as they stay inside. OSError."""
        fd = self._open(path, flags, links)
        try:
            yield fd
        finally:
            os.close(fd)

    def _open(self, path: bytes, flags: int, links: bool) -> int:
        if self._beneath:
            resolve = kernel.BENEATH | kernel.NO_MAGICLINKS | (0 if links else kernel.NO_SYMLINKS)
            return kernel.openat2(self._root, path, flags, resolve)
        here = os.dup(self._root)
        parts = path.split(b"/")
        try:
            for index, name in enumerate(parts):
                if name == b"..":
                    raise OSError(errno.EXDEV, "")
                last = index == len(parts) - 1
                more = flags if last else os.O_PATH | os.O_DIRECTORY
                above, here = here, os.open(name, more | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
                os.close(above)
            if stat.S_ISLNK(os.fstat(here).st_mode):
                raise OSError(errno.ELOOP, "")
        except BaseException:
            os.close(here)
            raise
        return here

    def find(self, path: str) -> bytes:
        """A client's path: as it is written if there is such a thing, else with its escapes resolved. ToolError."""
        wanted = paths.parse(path)
        if (other := paths.raw(wanted)) is not None:
            try:
                with self.open(wanted):
                    return wanted
            except OSError:
                return other
        return wanted

    @contextmanager
    def regular(self, path: bytes, flags: int = os.O_RDONLY, *, links: bool = True) -> Iterator[tuple[int, int]]:
        """A regular file, open, and its size. ToolError for a pipe, a device, a socket; IsADirectoryError; OSError.

        It is looked at before it is opened, and what was looked at is what is opened: a pipe would wait, a device act.
        """
        with self.open(path, links=links) as seen:
            about = os.fstat(seen)
            if stat.S_ISDIR(about.st_mode):
                raise IsADirectoryError(errno.EISDIR, "")
            if not stat.S_ISREG(about.st_mode):
                raise ToolError(f"{paths.shown(path)} is {kind(about.st_mode)}, not a file that can be read or written")
            fd = os.open(f"/proc/self/fd/{seen}", flags | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            yield fd, about.st_size
        finally:
            os.close(fd)

    @contextmanager
    def place(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """An open folder and a name in it, to be made, replaced or removed. ToolError, OSError.

        Nothing within `.git` is such a place: what lies there decides what git runs.
        """
        above, _, name = path.rpartition(b"/")
        if name in (b".", b"..", b""):
            raise ToolError("This is a folder as a whole: name a file or folder in it")
        with self.open(above or b".", _FOLDER) as folder:
            # As it is really called, whatever links led there.
            inside = _name(folder).removeprefix(_name(self._root)).split(b"/")
            if GIT in (part.lower() for part in (*inside, name)):
                raise ToolError("What lies in .git is changed by the git tools only")
            yield folder, name


def names(folder: int) -> list[bytes]:
    """What is in an open folder, in order."""
    with os.scandir(folder) as found:
        return sorted(os.fsencode(entry.name) for entry in found)


def _name(fd: int) -> bytes:
    return os.fsencode(Path("/proc/self/fd", str(fd)).readlink())


def kind(mode: int) -> str:
    """What something is, for a message."""
    for test, word in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISLNK, "a link"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return word
    return "a file"


@contextmanager
def told(path: str) -> Iterator[None]:
    """What the kernel refuses, in words that help: as ToolError."""
    try:
        yield
    except OSError as error:
        why = _WORDS.get(error.errno or 0) or os.strerror(error.errno or errno.EIO)
        name = path if len(path) <= 200 else path[:200] + "…"
        raise ToolError(f"{name!r}: {why}") from error
