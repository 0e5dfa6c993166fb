"""openat2, which Python does not have: open a path that the kernel keeps below a folder. Source: its manual page.

Nothing of the core or of another plugin is imported: this part runs alone, in images of workspaces.
"""

from __future__ import annotations

import ctypes
import errno
import os

NO_MAGICLINKS = 0x02
NO_SYMLINKS = 0x04
BENEATH = 0x08
_OPENAT2 = 437  # The same on every architecture.
_TRIES = 16
_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def openat2(folder: int, path: bytes, flags: int, resolve: int) -> int:
    """Open what exists. OSError as the kernel says: EXDEV for a path that leads out, ENOSYS before Linux 5.6.

    EAGAIN, which a rename elsewhere on the machine causes while `..` is resolved, is tried again.
    """
    how = _How(flags | os.O_CLOEXEC, 0, resolve)
    for _ in range(_TRIES):
        number: int = _libc.syscall(
            ctypes.c_long(_OPENAT2),
            ctypes.c_long(folder),
            ctypes.c_char_p(path),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if number >= 0:
            return number
        code = ctypes.get_errno()
        if code != errno.EAGAIN:
            break
    raise OSError(code, os.strerror(code))
