"""Removes a folder whatever programs have made of it: as deep as they like, without permissions, with links in it."""

from __future__ import annotations

import os
import secrets
import stat

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(folder: int, name: bytes) -> None:
    """Remove the folder `name` in an open folder. OSError. Links are removed and never followed.

    Each folder within is moved up to the first one before it is emptied: neither Python's recursion nor the length of
    a path ends at some depth, and two files are open at most.
    """
    top = _enter(folder, name)
    try:
        mark, number = b".removed-" + secrets.token_hex(6).encode() + b"-", 0
        left = _empty_of_files(top)
        while left:
            one = left.pop()
            inner = _enter(top, one)
            try:
                for deeper in _empty_of_files(inner):
                    # Moving a folder changes its `..`, for which one must be allowed to write in it.
                    os.close(_enter(inner, deeper))
                    number += 1
                    fresh = mark + str(number).encode()
                    os.rename(deeper, fresh, src_dir_fd=inner, dst_dir_fd=top)
                    left.append(fresh)
            finally:
                os.close(inner)
            os.rmdir(one, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=folder)


def _enter(folder: int, name: bytes) -> int:
    """A folder, open, with all rights for its owner. OSError for a link, or anything else that is none."""
    seen = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if os.fstat(seen).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(f"/proc/self/fd/{seen}", 0o700)  # noqa: PTH101 - as it is named there it cannot be exchanged.
        return os.open(b".", _FOLDER, dir_fd=seen)
    finally:
        os.close(seen)


def _empty_of_files(folder: int) -> list[bytes]:
    """Unlink what is no folder; the names of the folders."""
    folders = []
    with os.scandir(folder) as found:
        names = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in found]
    for name, is_folder in names:
        if is_folder:
            folders.append(name)
        else:
            os.unlink(name, dir_fd=folder)
    return folders
