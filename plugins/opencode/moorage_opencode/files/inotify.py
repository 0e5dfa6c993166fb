"""Linux' inotify over ctypes, and what changed below a folder. Source: inotify(7).

Watches are set on open folders (`/proc/self/fd`), so that none can be led out of the workspace by a link.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from moorage_opencode.files.confine import Fd

IN_CLOSE_WRITE = 0x8
IN_ATTRIB = 0x4
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_MODIFY = 0x2
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x1000000
IN_ISDIR = 0x40000000
MASK = IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
_HEAD = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True, frozen=True)
class Happened:
    """One event: in which watched folder, what, and to which name in it."""

    watch: int
    mask: int
    name: bytes


class Inotify:
    """One inotify instance. OSError EMFILE where the user has too many of them."""

    def __init__(self) -> None:
        self.fd = Fd(_checked(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)))

    def add(self, folder: Fd) -> int:
        """Watch an open folder. OSError; ENOSPC when the user's watches are used up."""
        path = b"/proc/self/fd/%d" % folder.number
        return _checked(_libc.inotify_add_watch(self.fd.number, ctypes.c_char_p(path), ctypes.c_uint32(MASK)))

    def remove(self, watch: int) -> None:
        """No more events of that folder. One that is gone already: nothing."""
        _libc.inotify_rm_watch(self.fd.number, watch)

    def read(self) -> Iterator[Happened]:
        """What has happened since the last time; nothing if nothing did."""
        try:
            data = os.read(self.fd.number, 256 * 1024)
        except BlockingIOError:
            return
        at = 0
        while at + _HEAD.size <= len(data):
            watch, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            yield Happened(watch, mask, data[at : at + length].rstrip(b"\0"))
            at += length

    def close(self) -> None:
        """End all watches."""
        self.fd.close()


def _checked(number: int) -> int:
    if number < 0:
        code = ctypes.get_errno()
        raise OSError(code, "The user's inotify watches are used up" if code == errno.ENOSPC else os.strerror(code))
    return number
