"""Listeners: addresses are bound before anything slow is done, and listened on when the server is ready."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from moorage.errors import StartError

BACKLOG = 1024
USER_TIMEOUT_MS = 30_000


def split_address(text: str) -> tuple[str, int]:
    """("127.0.0.1", 8000) of "127.0.0.1:8000" or "[::1]:8000"."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def with_mount_ports(listen: Sequence[str], ports: Iterable[int]) -> list[str]:
    """The addresses to bind: those configured, and for a mount like ":3000/" the same hosts on that port."""
    addresses = list(listen)
    tcp = [split_address(text) for text in listen if not text.startswith("unix:")]
    have = {port for _, port in tcp}
    hosts = list(dict.fromkeys(host for host, _ in tcp)) or ["127.0.0.1"]
    for port in sorted(set(ports) - have):
        addresses += [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in hosts]
    return addresses


def bind(addresses: Sequence[str]) -> list[socket.socket]:
    """Bound, not yet listening sockets. StartError (exit code 5) names the address and the mend."""
    bound: list[socket.socket] = []
    try:
        for address in addresses:
            bound.append(_bind_unix(address) if address.startswith("unix:") else _bind_tcp(address))
    except OSError as error:
        for sock in bound:
            sock.close()
        raise StartError(
            f"Cannot listen on {address}: {error.strerror or error}. "
            "End the program that holds it, or change [server] listen (or the plugin's mount) in the configuration.",
            exit_code=5,
        ) from None
    return bound


def _bind_tcp(address: str) -> socket.socket:
    host, port = split_address(address)
    family, kind, protocol, _, target = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError, AttributeError):
            # Accepted connections inherit it: a peer that vanished is noticed by its unanswered pings.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(target)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_unix(address: str) -> socket.socket:
    path = Path(address.removeprefix("unix:"))
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.stat().st_mode):
            _refuse_live(path)
            path.unlink()  # Of a server that is gone.
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        old = os.umask(0o117)
        try:
            sock.bind(str(path))
        finally:
            os.umask(old)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _refuse_live(path: Path) -> None:
    """OSError if somebody listens there: a server on another data folder, or another program."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(1.0)
        try:
            sock.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def urls(addresses: Sequence[str], *, tls: bool) -> list[str]:
    """The addresses as a person would type them."""
    scheme = "https" if tls else "http"
    shown = []
    for address in addresses:
        if address.startswith("unix:"):
            shown.append(address)
            continue
        host, port = split_address(address)
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
        shown.append(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}")
    return shown
