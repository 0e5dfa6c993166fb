"""The few calls of Linux that Python 3.11 does not know: prctl, setns, capset, and questions to namespaces."""

from __future__ import annotations

import ctypes
import fcntl
import os

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER = 1, 4, 24, 36
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
_NS_GET_USERNS = 0xB701
_CAPABILITY_VERSION_3 = 0x20080522
_MAX_CAPABILITY = 63


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _prctl(option: int, value: int = 0) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def become_subreaper() -> None:
    """Descendants whose parent ends become children of this process, not of init."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(signal: int) -> None:
    """Have this process sent a signal when the thread that forked it ends. Not inherited by fork."""
    _prctl(_PR_SET_PDEATHSIG, signal)


def hide_memory() -> None:
    """Nobody of the same user may look into this process until it execs."""
    _prctl(_PR_SET_DUMPABLE, 0)


def no_new_privileges() -> None:
    """Setuid programs give nothing any more, to this process and its descendants."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """All of them, for ever: also a root user's program gets none at exec."""
    for capability in range(_MAX_CAPABILITY + 1):
        try:
            _prctl(_PR_CAPBSET_DROP, capability)
        except OSError:
            break  # The kernel knows no more of them.
    _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()))


def setns(fd: int) -> None:
    """Enter the namespace that an open file of /proc/PID/ns stands for."""
    _check(_libc.setns(fd, 0))


def owner_of(fd: int) -> int:
    """The user namespace to which a namespace belongs, as an open file."""
    return fcntl.ioctl(fd, _NS_GET_USERNS)
