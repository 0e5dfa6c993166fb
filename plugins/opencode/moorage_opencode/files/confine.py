"""The workspace as a cage: every path is resolved below one open folder, and the kernel holds it there.

A check of a path's text, or of where it leads, is worth nothing a moment later: who works in the workspace may put a
symbolic link in its place. So nothing is checked and then opened by name: `openat2` resolves and opens in one step
(`RESOLVE_BENEATH`), and where a kernel has no such call, or a link is absolute and may yet lead back inside, the path
is walked name by name over open folders that no link can exchange.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from moorage_opencode.files import kernel
from moorage_opencode.files.paths import Parts, joined, parse
from moorage_opencode.files.refusals import invalid, traversal

MAX_LINKS = 40
MAX_WALK = 200
"""Folders that a walk holds open; a deeper path needs openat2."""
_RETRIES = 16
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_ENTRY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_FORBIDDEN = (errno.ENOSYS, errno.EPERM, errno.E2BIG)


class Fd:
    """An open file's number, closed with its owner at the latest."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def close(self) -> None:
        """Close it, once."""
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Fd:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


@dataclass(slots=True)
class Place:
    """A name in an open folder, whether something is there or not."""

    folder: Fd
    name: bytes


class Cage:
    """One workspace, open. For one thread at a time; cheap to make, to be closed.

    path: the workspace's, absolute and free of links, as it was when the session was made.
    openat2: False does without the call, as on an older kernel.
    """

    def __init__(self, path: bytes, *, openat2: bool = True) -> None:
        self.path = path
        self._openat2 = openat2 and _Support.openat2
        self.fd = self._enter()

    @classmethod
    def at(cls, folder: Fd) -> Cage:
        """The same around a folder that is open already, and stays the caller's. Absolute links lead out of it."""
        cage = cls.__new__(cls)
        cage.path, cage.fd, cage._openat2 = b"", folder, _Support.openat2
        return cage

    def __enter__(self) -> Cage:
        return self

    def __exit__(self, *_: Any) -> None:
        self.fd.close()

    def _enter(self) -> Fd:
        """Open the workspace itself. A link in its path was put there since: NotADirectoryError, ELOOP."""
        if self._openat2:
            try:
                return Fd(kernel.openat2(kernel.AT_FDCWD, self.path, _FOLDER, kernel.RESOLVE_NO_SYMLINKS))
            except OSError as error:
                if error.errno not in _FORBIDDEN:
                    raise
                self._openat2 = _Support.openat2 = False
        here = Fd(os.open(b"/", _FOLDER))
        for name in parse(self.path):
            with here as above:
                here = Fd(os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above.number))
        return here

    def open(self, parts: Parts) -> Fd:
        """What is there, links that stay inside followed: as O_PATH, which touches nothing, not even a pipe.

        Forbidden PATH_TRAVERSAL for a link out; OSError.
        """
        if self._openat2:
            flags = kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_MAGICLINKS
            for _ in range(_RETRIES):
                try:
                    return Fd(kernel.openat2(self.fd.number, joined(parts), os.O_PATH, flags))
                except OSError as error:
                    if error.errno == errno.EXDEV:
                        break  # A link out, or an absolute one: the walk tells them apart.
                    if error.errno != errno.EAGAIN:  # Something was renamed while a link's `..` was resolved.
                        raise
        with self._walk(parts) as (folders, name):
            return folders.pop() if name is None else Fd(os.open(name, _ENTRY, dir_fd=folders[-1].number))

    def plain(self, parts: Parts) -> Fd:
        """A folder, open for listing, on whose path there is no link. OSError (ELOOP, ENOTDIR for one)."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        if self._openat2:
            resolve = kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_SYMLINKS
            return Fd(kernel.openat2(self.fd.number, joined(parts), flags, resolve))
        here = Fd(os.open(b".", flags, dir_fd=self.fd.number))
        for name in parts:
            with here as above:
                here = Fd(os.open(name, flags, dir_fd=above.number))
        return here

    def place(self, parts: Parts, *, follow: bool = False) -> Place:
        """Where a name stands, its folder open. follow: if it is a link, where the link's goal stands.

        Forbidden PATH_TRAVERSAL, BadRequest for the workspace itself, OSError where the folder is none.
        """
        if not parts:
            raise invalid("Invalid path: it is the root directory")
        if not follow:
            folder = self.open(parts[:-1])
            if not stat.S_ISDIR(os.fstat(folder.number).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            return Place(folder, parts[-1])
        with self._walk(parts) as (folders, name):
            if name is None:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            return Place(folders.pop(), name)

    def make_folders(self, parts: Parts) -> int:
        """Make a folder and those above it that are missing. Returns how many were made. OSError."""
        made = 0
        for depth in range(1, len(parts) + 1):
            place = self.place(parts[:depth])
            with place.folder:
                try:
                    os.mkdir(place.name, 0o755, dir_fd=place.folder.number)
                except FileExistsError:
                    continue
                made += 1
                _hand_over(place)
        with self.open(parts) as last:
            if not stat.S_ISDIR(os.fstat(last.number).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return made

    @contextmanager
    def _walk(self, parts: Parts) -> Iterator[tuple[list[Fd], bytes | None]]:
        """Resolve by hand. Gives the open folders on the way, innermost last, and the last name in it.

        The name is None when the path ends in a folder that is open already (by `..`, or the workspace itself).
        """
        folders = [Fd(os.dup(self.fd.number))]
        ahead, links, last = list(reversed(parts)), 0, None
        try:
            while ahead:
                name = ahead.pop()
                if name in (b"", b"."):
                    continue
                if name == b"..":
                    if len(folders) == 1:
                        raise traversal()
                    folders.pop().close()
                    continue
                goal = _goal(folders[-1], name)
                if goal is not None:
                    links += 1
                    if links > MAX_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                    if goal.startswith(b"/"):
                        goal = self._inside(goal)
                        while len(folders) > 1:
                            folders.pop().close()
                    ahead.extend(reversed(goal.split(b"/")))
                elif any(part not in (b"", b".") for part in ahead):
                    if len(folders) >= MAX_WALK:
                        raise invalid("Invalid path: too deep")
                    folders.append(Fd(os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folders[-1].number)))
                else:
                    last, ahead = name, []
            yield folders, last
        finally:
            for folder in folders:
                folder.close()

    def _inside(self, goal: bytes) -> bytes:
        """An absolute link's goal, relative to the workspace. It may hold `..`, which the walk watches."""
        if not self.path:
            raise traversal()
        ours = [part for part in self.path.split(b"/") if part]
        theirs = [part for part in goal.split(b"/") if part not in (b"", b".")]
        if theirs[: len(ours)] != ours:
            raise traversal()
        return b"/".join(theirs[len(ours) :])


class _Support:
    """What this kernel has, as found out by asking."""

    openat2 = True


def _goal(folder: Fd, name: bytes) -> bytes | None:
    """Where a link leads; None for what is none, or is not there."""
    try:
        return os.readlink(name, dir_fd=folder.number)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def regular(fd: Fd) -> tuple[Fd, os.stat_result]:
    """A regular file that is open as O_PATH, open for reading. IsADirectoryError for a folder or special file."""
    about = os.fstat(fd.number)
    if not stat.S_ISREG(about.st_mode):
        if stat.S_ISLNK(about.st_mode):
            raise traversal()  # It was put there after the walk had looked.
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return Fd(os.open(f"/proc/self/fd/{fd.number}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)), about


def listing(fd: Fd) -> Fd:
    """A folder that is open as O_PATH, open for listing. NotADirectoryError."""
    return Fd(os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd.number))


def about(place: Place) -> os.stat_result | None:
    """What stands there, a link as a link; None if nothing does."""
    try:
        return os.stat(place.name, dir_fd=place.folder.number, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _hand_over(place: Place) -> None:
    """Give a folder that root has made to whom the one above belongs, as `owner` says."""
    if (whose := owner(place.folder)) is not None:
        with plain_folder(place) as made:
            os.fchown(made.number, *whose)


def owner(folder: Fd) -> tuple[int, int] | None:
    """Whose what is made there should be: the session may be another user's than root. None: there is no choice."""
    if os.geteuid() != 0:
        return None
    about = os.fstat(folder.number)
    return about.st_uid, about.st_gid


def plain_folder(place: Place) -> Fd:
    """The folder that stands there, open for listing. OSError for a link, or anything else."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    return Fd(os.open(place.name, flags, dir_fd=place.folder.number))
