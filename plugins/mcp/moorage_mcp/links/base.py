"""What a link is: one connection to one MCP server, and who stands at its other end while a request is under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import INTERNAL_ERROR, Params, RpcError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What a server said of itself: by `initialize` or by `server/discover`.

    version: of the protocol, as agreed. info: name, version, title …; extra: what else was in the answer.
    """

    era: Era
    version: str
    info: Mapping[str, Any] = field(default_factory=dict)
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    instructions: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Need:
    """What a server wants to know of the client before it goes on: `sampling/createMessage`, `elicitation/create`,
    `roots/list`.
    """

    method: str
    params: Params


class Asker(Protocol):
    """Who asked for what is under way, as a link sees them. One for each request.

    capabilities, client_info: as the client said them, in the shape of `initialize`.
    log_level: below it no log messages are wanted; None: none at all (modern), or the server's own choice (legacy).
    keeps_state: it takes `input_required` results as they are, and comes back with another request. A modern server's
    go through to it untouched; nobody waits.
    """

    capabilities: Mapping[str, Any]
    client_info: Mapping[str, Any]
    log_level: str | None
    keeps_state: bool

    async def notify(self, method: str, params: Params) -> None:
        """Hand on what belongs to the request: `notifications/progress`, `notifications/message`.

        Progress comes with the token that the client gave. Returns at once or slowly (back-pressure), never fails.
        """
        ...

    async def ask(self, needs: Mapping[str, Need]) -> Mapping[str, Params]:
        """Have the client answer, and wait for it: results by the same keys.

        RpcError when the client refuses or cannot; TimeoutError when it takes too long.
        """
        ...


Listener = Callable[[str, Params], None]
"""Told what belongs to no request: `(method, params)` of `notifications/…/list_changed`, `…/resources/updated`, and of
log messages of a legacy server outside requests. Must not block."""


class Link(Protocol):
    """A connection that is up. Requests of several askers may be under way at once.

    Errors of every call: RpcError (what the server said), LinkClosed (it has gone; the request may have been carried
    out), TimeoutError.
    """

    server: ServerInfo

    async def request(self, method: str, params: Params, asker: Asker, *, timeout: float) -> dict[str, Any]:
        """Ask the server and wait for its result, in the words of the server's own era.

        params: without what an era adds to `_meta` by itself; with `_meta.progressToken` if the client wants progress.
        timeout: seconds in which nothing at all may have come. When the caller is cancelled or the time is over, the
        server is told that the request is cancelled.
        """
        ...

    async def listen(self, wanted: Mapping[str, Any], listener: Listener) -> Callable[[], None]:
        """Begin to hear what belongs to no request; the answer ends that.

        wanted: as the params of `subscriptions/listen` name it: `toolsListChanged`, `promptsListChanged`,
        `resourcesListChanged` (true), `resourceSubscriptions` (URIs). On a legacy server the URIs are subscribed to,
        once however many listen.
        """
        ...

    async def tell(self, method: str, params: Params) -> None:
        """Send what wants no answer: `notifications/roots/list_changed`. A modern server is told nothing."""
        ...

    async def wait_closed(self) -> None:
        """Returns once the connection has ended, for whatever reason: who listens hears nothing more by it."""
        ...

    async def close(self) -> None:
        """End it. What is under way ends with LinkClosed. Safe to repeat."""
        ...


class LinkClosed(Exception):
    """The connection with the server has ended, or could not be made. Its text is for people, without secrets."""


def refusal(reason: str, message: str, code: int = INTERNAL_ERROR) -> RpcError:
    """An error of the gateway's own, told apart from a server's by its data: `{"gateway": true, "reason": …}`."""
    return RpcError(code, message, {"gateway": True, "reason": reason}, gateway=True)
