"""Calls of Linux that Python does not have: openat2, renameat2. Source: their manual pages."""

from __future__ import annotations

import ctypes
import os
import platform

RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RENAME_NOREPLACE = 1
AT_FDCWD = -100

_OPENAT2 = 437  # The same on every architecture.
_RENAMEAT2 = {"x86_64": 316, "aarch64": 276, "riscv64": 276, "armv7l": 382, "ppc64le": 357, "s390x": 347}
_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def openat2(folder: int, path: bytes, flags: int, resolve: int) -> int:
    """Open an existing file with limits on how its path is resolved. OSError as the kernel says; ENOSYS before 5.6."""
    how = _How(flags | os.O_CLOEXEC, 0, resolve)
    number: int = _libc.syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_long(folder),
        ctypes.c_char_p(path),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if number < 0:
        _fail()
    return number


def rename_new(old_folder: int, old: bytes, new_folder: int, new: bytes) -> None:
    """Rename without ever replacing: FileExistsError. EINVAL or ENOSYS where the file system cannot promise that."""
    call = _RENAMEAT2.get(platform.machine())
    if call is None:
        raise OSError(38, "renameat2 is not known here")
    done = _libc.syscall(
        ctypes.c_long(call),
        ctypes.c_long(old_folder),
        ctypes.c_char_p(old),
        ctypes.c_long(new_folder),
        ctypes.c_char_p(new),
        ctypes.c_uint(RENAME_NOREPLACE),
    )
    if done < 0:
        _fail()


def _fail() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
