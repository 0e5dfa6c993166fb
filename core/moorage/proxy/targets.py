"""Where a proxied request goes: an upstream that was registered, and nothing else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.access import Actor
from moorage.errors import Unavailable

if TYPE_CHECKING:
    import aiohttp

    from moorage.proxy.connection import Connection

MAX_AT_ONCE = 1024
"""Exchanges with one upstream at once. All upstreams share the pool's connections: one that answers nobody, and whoever
asks it on and on, must leave some to the others."""
_closing: set[asyncio.Task[None]] = set()
"""Clients that are being closed; the loop alone would not keep their tasks."""


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """What a route's `resolve` is told of a request.

    params: the template's parameters, decoded. rest: what stood in the place of `{name:path}`, still percent-encoded
    as the client sent it, without a slash at its beginning; "" for a template that has none. query: without the `?`,
    as sent. headers: names in lower case, without credentials; of a repeated one the last.
    """

    method: str
    params: Mapping[str, str]
    rest: str
    query: str
    headers: Mapping[str, str]
    actor: Actor


class Upstream:
    """A server behind ours, by address and port or by the path of a unix socket. Made by `Upstreams`."""

    def __init__(
        self, name: str, *, host: str = "", port: int = 0, path: Path | None = None, tls: bool = False
    ) -> None:
        self.name, self.host, self.port, self.path, self.tls = name, host, port, path, tls
        self.closed = False
        self.idle: deque[Connection] = deque()
        """Connections that wait for a request; the server's pool looks after them."""
        self.client: aiohttp.ClientSession | None = None
        """The WebSocket client of a unix socket; those of addresses share one."""
        self._running: set[asyncio.Task[object]] = set()

    @property
    def authority(self) -> str:
        """What its `Host` header says."""
        if self.path is not None:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def in_use(self) -> bool:
        """Whether anything runs through it right now: a request, a stream, a WebSocket."""
        return bool(self._running)

    @contextmanager
    def use(self) -> Iterator[None]:
        """Around an exchange: it is broken off when the upstream is closed.

        Unavailable when that has happened, or too many are under way.
        """
        if self.closed:
            raise Unavailable("The service has ended")
        task = asyncio.current_task()
        assert task is not None
        before, within = task.cancelling(), task in self._running
        if not within and len(self._running) >= MAX_AT_ONCE:
            raise Unavailable("Too much is asked of this service at once", headers={"Retry-After": "1"})
        self._running.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if self.closed and task.cancelling() > before and task.uncancel() <= before:
                raise Unavailable("The service has ended") from None
            raise
        finally:
            if not within:  # Else the exchange around this one goes on.
                self._running.discard(task)

    def close(self) -> None:
        """It is gone: what runs through it is broken off, and nothing more reaches it."""
        if not self.closed:
            self.closed = True
            for task in self._running:
                task.cancel()
            self.close_idle()
            if self.client is not None:
                closing = asyncio.get_running_loop().create_task(self.client.close())
                _closing.add(closing)
                closing.add_done_callback(_closing.discard)

    def close_idle(self) -> None:
        """Close the connections that wait for a request."""
        while self.idle:
            self.idle.popleft().abort()


@dataclass(frozen=True, slots=True)
class Target:
    """One request's way: `path` (percent-encoded, with its slash) at an upstream.

    query: without the `?`; None takes the request's own. headers: set on what is sent, in place of the client's of that
    name: the upstream's credentials, for one. wait: seconds in which a connection that is refused is tried again,
    because the workload is starting. prefix: where the upstream's "/" is in the client's eyes, without a slash at its
    end: sent as `X-Forwarded-Prefix`, and put before the `Location` of redirects.
    answer: headers set on what comes back.
    contained: a redirect to anywhere but below `prefix` comes back without its `Location`: clients follow one with the
    credentials that they have for this server, so an upstream that is not trusted could use these for itself.
    """

    upstream: Upstream
    path: str
    query: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    prefix: str = ""
    answer: Mapping[str, str] = field(default_factory=dict)
    contained: bool = False


@dataclass(frozen=True, slots=True)
class Redirect:
    """Instead of a target: the client is sent elsewhere, by a GET (status 303). location: an address, in ASCII."""

    location: str


class Upstreams:
    """The registered upstreams of one plugin. No request can reach what is not in here."""

    def __init__(self) -> None:
        self._all: dict[str, Upstream] = {}

    def __len__(self) -> int:
        return len(self._all)

    def get(self, name: str) -> Upstream | None:
        """The upstream of that name."""
        return self._all.get(name)

    def register(
        self, name: str, *, host: str = "127.0.0.1", port: int = 0, path: Path | None = None, tls: bool = False
    ) -> Upstream:
        """Add an upstream, in the place of an earlier one of that name, which is closed.

        Either a port, with a host name or address, or the path of a unix socket. ValueError for neither or both.
        tls: it is spoken to by TLS, and its certificate must be good for `host`.
        """
        if (path is None) == (port == 0) or not 0 <= port < 65536:
            raise ValueError("an upstream has either a port or the path of a unix socket")
        if tls and path is not None:
            raise ValueError("there is no TLS over a unix socket")
        if path is None and (not host or any(c in host for c in "/@?# \t\r\n")):
            raise ValueError(f"{host!r} is no host")
        self.remove(name)
        upstream = self._all[name] = Upstream(name, host=host, port=port, path=path, tls=tls)
        return upstream

    def remove(self, name: str) -> None:
        """Forget an upstream and break off what runs through it. Harmless for an unknown one."""
        known = self._all.pop(name, None)
        if known is not None:
            known.close()

    def close(self) -> None:
        """Forget all of them."""
        for name in list(self._all):
            self.remove(name)
