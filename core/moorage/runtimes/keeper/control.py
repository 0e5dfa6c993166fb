"""The keeper's way to the server: a unix socket with one JSON object a line, and files handed over beside them."""

from __future__ import annotations

import array
import json
import os
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "control"
MAX_REQUEST = 4 * 1024 * 1024
MAX_PROGRAMS = 256
MAX_CLIENTS = 2 * MAX_PROGRAMS
"""However many programs run, there is room for who watches the workload, measures it, and ends it."""
BACKLOG = 256


def listen(folder: str) -> socket.socket:
    """Listen in the folder. By way of /proc: the path of a unix socket has room for 107 bytes only."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        path = f"/proc/self/fd/{fd}/{NAME}"
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        return listener
    finally:
        os.close(fd)


def allowed(peer: socket.socket) -> bool:
    """Whether who connected is the same user, or root."""
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid in (0, os.geteuid())


class Client:
    """A connection of the server."""

    def __init__(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        self.peer = peer
        self.watches = False
        self.program = 0
        """The process that was started by it, which ends with it; also the number of its session."""
        self.size: list[int] | None = None
        """Of that program's terminal."""
        self._data = b""

    def requests(self) -> list[dict[str, Any]] | None:
        """What has come; None when the connection is over."""
        found: list[dict[str, Any]] = []
        try:
            data = self.peer.recv(65536)
        except BlockingIOError:
            return found
        except OSError:
            return None
        if not data or len(self._data) > MAX_REQUEST:
            return None
        *lines, self._data = (self._data + data).split(b"\n")
        for line in lines:
            try:
                request = json.loads(line)
            except ValueError:
                return None
            if isinstance(request, dict):
                found.append(request)
        return found

    def send(self, answer: dict[str, Any], fds: list[int] | None = None) -> None:
        """Answer; small, so that a buffer that cannot take it belongs to a client that is gone."""
        data = json.dumps(answer, separators=(",", ":")).encode() + b"\n"
        try:
            if fds:
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                self.peer.sendmsg([data], rights)
            else:
                self.peer.sendall(data)
        except OSError:
            pass

    def close(self) -> None:
        """End the connection."""
        self.peer.close()
