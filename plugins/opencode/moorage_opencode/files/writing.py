"""Files as they are written: beside the old one, to the disk, and then in its place in one step."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading
from collections.abc import Callable

from moorage_opencode.files import kernel
from moorage_opencode.files.confine import Cage, Fd, Place, about, listing, owner
from moorage_opencode.files.paths import Parts, shown_path
from moorage_opencode.files.pool import Stop
from moorage_opencode.files.reading import tag
from moorage_opencode.files.refusals import (
    IoError,
    PreconditionFailed,
    invalid,
    missing,
    no_file,
    no_folder,
    of_os,
    too_large,
    traversal,
)
from moorage_opencode.files.tree import TEMPORARY

Expect = Callable[[os.stat_result | None], bool]
"""Whether what is there (None: nothing) is what the client means."""

MODE = 0o644
_LOCKS = tuple(threading.Lock() for _ in range(64))
_NO_UNNAMED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
_DEPTH = 64
_PASSES = 100


class Upload:
    """A file that is being written. Nobody sees it before `commit`; forgotten, it is gone.

    follow: a link in its place is followed; else it is refused. limit: bytes. expect: asked before and at the end.
    """

    def __init__(
        self, cage: Cage, parts: Parts, *, follow: bool, make_folders: bool, limit: int, expect: Expect | None = None
    ) -> None:
        self.parts, self.limit, self.size, self._expect = parts, limit, 0, expect
        self._made: bytes | None = None
        if make_folders and len(parts) > 1:
            cage.make_folders(parts[:-1])
        try:
            self.place = cage.place(parts, follow=follow)
        except FileNotFoundError:
            raise missing(shown_path(parts[:-1])) from None
        there = about(self.place)
        self._check(there)
        if there is not None:
            if stat.S_ISLNK(there.st_mode):
                raise traversal("The target is a symbolic link")
            if not stat.S_ISREG(there.st_mode):
                raise no_file()
            _may_write(self.place)
        self.fd = self._begin()
        os.fchmod(self.fd.number, stat.S_IMODE(there.st_mode) & 0o777 if there else MODE)
        whose = (there.st_uid, there.st_gid) if there and os.geteuid() == 0 else owner(self.place.folder)
        if whose is not None:
            os.fchown(self.fd.number, *whose)

    def _begin(self) -> Fd:
        """A file without a name where the file system knows such: nothing to clean up after a crash."""
        folder = self.place.folder.number
        try:
            return Fd(os.open(b".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder))
        except OSError as error:
            if error.errno not in _NO_UNNAMED:
                raise
        self._made = _temporary()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return Fd(os.open(self._made, flags, 0o600, dir_fd=folder))

    def write(self, data: bytes) -> None:
        """Add to it. PayloadTooLarge past the limit."""
        self.size += len(data)
        if self.size > self.limit:
            raise too_large(self.size, self.limit)
        left = memoryview(data)
        while left:
            left = left[os.write(self.fd.number, left) :]

    def _check(self, there: os.stat_result | None) -> None:
        if self._expect is not None and not self._expect(there):
            raise PreconditionFailed

    def commit(self) -> tuple[str, bool]:
        """To the disk, then into its place. Returns its tag, and whether it is new. PreconditionFailed."""
        os.fsync(self.fd.number)
        folder, name = self.place.folder.number, self.place.name
        with _lock(self.place):
            there = about(self.place)
            self._check(there)
            if there is not None and stat.S_ISDIR(there.st_mode):
                raise no_file()
            if self._made is None:
                self._made = _temporary()
                try:
                    os.link(f"/proc/self/fd/{self.fd.number}", self._made, dst_dir_fd=folder)
                except OSError:
                    self._made = None
                    raise
            os.rename(self._made, name, src_dir_fd=folder, dst_dir_fd=folder)
            self._made = None
        with listing(self.place.folder) as above:
            os.fsync(above.number)
        return tag(os.fstat(self.fd.number)), there is None

    def close(self) -> None:
        """Let go of it; what was not committed never was."""
        made, self._made = self._made, None
        if made is not None:
            try:
                os.unlink(made, dir_fd=self.place.folder.number)
            except OSError:
                pass  # The folder is gone, or not ours any more: nothing can be done.
        self.fd.close()
        self.place.folder.close()


def _may_write(place: Place) -> None:
    """A file that may not be written is not replaced either, though its folder would allow it. PermissionError."""
    if not os.access(place.name, os.W_OK, dir_fd=place.folder.number, effective_ids=True, follow_symlinks=False):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _temporary() -> bytes:
    return TEMPORARY + secrets.token_hex(12).encode()


def _lock(place: Place) -> threading.Lock:
    """Of two that replace one file, the second sees what the first has made of it."""
    folder = os.fstat(place.folder.number)
    return _LOCKS[hash((folder.st_dev, folder.st_ino, place.name)) % len(_LOCKS)]


def make_folder(cage: Cage, parts: Parts) -> bool:
    """Make a folder, those above it too. Returns whether it was not there. IoError CREATE_DIR_FAILED."""
    if not parts:
        return False
    try:
        return cage.make_folders(parts) > 0
    except (FileNotFoundError, NotADirectoryError):
        raise no_folder() from None
    except OSError as error:
        known = of_os(error, shown_path(parts))
        if not isinstance(known, IoError):
            raise known from error
        message = f"Failed to create directory: {error.strerror}"
        raise IoError(message, code="CREATE_DIR_FAILED") from error


def rename(cage: Cage, old: Parts, new: Parts) -> None:
    """Move a file, folder or link. Nothing is ever replaced: BadRequest."""
    source, target = cage.place(old), cage.place(new)
    there = about(source)
    if there is None:
        raise missing(shown_path(old))
    if old == new[: len(old)]:
        raise invalid("Destination is the same, or inside of it")
    try:
        try:
            kernel.rename_new(source.folder.number, source.name, target.folder.number, target.name)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            _rename_looking(source, target)
    except FileExistsError:
        raise invalid(f"Destination already exists: {shown_path(new)}") from None


def _rename_looking(source: Place, target: Place) -> None:
    """Where the file system cannot do both at once: look first."""
    with _lock(target):
        if about(target) is not None:
            raise FileExistsError
        os.rename(source.name, target.name, src_dir_fd=source.folder.number, dst_dir_fd=target.folder.number)


def delete(cage: Cage, parts: Parts, stop: Stop, expect: Expect | None = None) -> bool:
    """Delete a file, a link (never its goal), or a folder with all that is in it. Returns whether it was a folder.

    A folder may go on in other names while it is deleted; one into which somebody writes all the time stays: OSError.
    """
    place = cage.place(parts)
    with _lock(place):
        there = about(place)
        if there is None:
            raise missing(shown_path(parts))
        if expect is not None and not expect(there):
            raise PreconditionFailed
        if not stat.S_ISDIR(there.st_mode):
            os.unlink(place.name, dir_fd=place.folder.number)
            return False
    _empty(_folder(place.folder.number, place.name), stop)
    os.rmdir(place.name, dir_fd=place.folder.number)
    return True


def _folder(above: int, name: bytes) -> Fd:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    return Fd(os.open(name, flags, dir_fd=above))


def _empty(top: Fd, stop: Stop) -> None:
    """Delete all that is in a folder, however deep, with a bounded number of folders open.

    What lies deeper than that is moved up to the top first, and is then not deep any more.
    """
    stack: list[tuple[Fd, bytes, int]] = [(top, b"", 0)]
    levels: list[list[bytes]] = [_delete_files(top, stop)]
    while stack:
        stop.check()
        fd, name, passes = stack[-1]
        if not levels[-1]:
            levels[-1] = _delete_files(fd, stop)
            if not levels[-1]:
                stack.pop()
                levels.pop()
                fd.close()
                if stack:
                    _remove_folder(stack[-1][0], name)
                continue
            if passes >= _PASSES:
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
            stack[-1] = (fd, name, passes + 1)
        inner = levels[-1].pop()
        if len(stack) >= _DEPTH:
            os.rename(inner, _temporary(), src_dir_fd=fd.number, dst_dir_fd=top.number)
            continue
        try:
            opened = _folder(fd.number, inner)
        except (FileNotFoundError, NotADirectoryError):
            continue  # Exchanged or gone: the next pass sees.
        stack.append((opened, inner, 0))
        levels.append(_delete_files(opened, stop))


def _remove_folder(above: Fd, name: bytes) -> None:
    try:
        os.rmdir(name, dir_fd=above.number)
    except (FileNotFoundError, NotADirectoryError):
        pass  # Somebody else was quicker; the next pass sees.
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise


def _delete_files(fd: Fd, stop: Stop) -> list[bytes]:
    """Delete what is no folder; returns the folders' names."""
    folders = []
    with os.scandir(fd.number) as found:
        for item in found:
            stop.check()
            name = os.fsencode(item.name)
            if item.is_dir(follow_symlinks=False):
                folders.append(name)
                continue
            try:
                os.unlink(name, dir_fd=fd.number)
            except FileNotFoundError:
                continue
            except IsADirectoryError:
                folders.append(name)
    return folders
