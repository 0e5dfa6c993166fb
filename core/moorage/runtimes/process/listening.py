"""Whose a listening port is. Source: proc(5), `/proc/net/tcp` and `/proc/PID/fd`.

Ports of loopback are everybody's: another workload, or another user of the machine, can take one in the moment between
its being given and its being opened, and would then be told what is meant for the workload, its password too.
"""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

from moorage.runtimes.keeper import tree
from moorage.runtimes.process.ports import HOST

LISTENING = b"0A"
_SOCKET = re.compile(r"socket:\[(\d+)\]")


def _hex(address: bytes) -> bytes:
    """An address as the kernel writes it: words of four bytes, as numbers of this machine."""
    words = (address[at : at + 4] for at in range(0, len(address), 4))
    return b"".join(b"%08X" % int.from_bytes(word, sys.byteorder) for word in words)


_LOOPBACK, _ANY = socket.inet_aton(HOST), bytes(4)
_TABLES = {
    "/proc/net/tcp": {_hex(_LOOPBACK), _hex(_ANY)},
    "/proc/net/tcp6": {_hex(bytes(16)), *(_hex(bytes(10) + b"\xff\xff" + address) for address in (_LOOPBACK, _ANY))},
}


def listens(root: int, port: int) -> bool:
    """Whether all that takes connections to that port of loopback is held by descendants of a process.

    False when nothing does, and when it cannot be found out. Blocks.
    """
    found = _listeners(port)
    return bool(found) and found <= _sockets(tree.descendants(root))


def _listeners(port: int) -> set[int]:
    """The sockets, by inode, that listen at the port on loopback, on all addresses too."""
    found: set[int] = set()
    for table, addresses in _TABLES.items():
        try:
            lines = Path(table).read_bytes().splitlines()[1:]
        except OSError:
            continue  # A machine without IPv6.
        for line in lines:
            parts = line.split()
            address, _, number = parts[1].partition(b":")
            if parts[3] == LISTENING and int(number, 16) == port and address in addresses:
                found.add(int(parts[9]))
    return found


def _sockets(pids: list[int]) -> set[int]:
    """The sockets, by inode, that processes hold."""
    found: set[int] = set()
    for pid in pids:
        try:
            files = list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            continue
        for file in files:
            try:
                held = _SOCKET.fullmatch(str(file.readlink()))
            except OSError:
                continue
            if held:
                found.add(int(held[1]))
    return found
