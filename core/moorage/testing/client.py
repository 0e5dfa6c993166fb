"""Clients of a server under test: HTTP by httpx and WebSockets by websockets, as one user or as nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from moorage.access import ANONYMOUS, Actor, UserInfo

if TYPE_CHECKING:
    from websockets.asyncio.client import connect

TIMEOUT = 20.0
"""Seconds that an answer or a handshake may take."""


class Client(httpx.AsyncClient):
    """An `httpx.AsyncClient` on the server, which proves who it is by an API key.

    actor: what views and services see of it; hand it to a service that a test calls itself.
    """

    def __init__(self, url: str, *, actor: Actor = ANONYMOUS, key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        super().__init__(base_url=url, headers=headers, timeout=TIMEOUT, trust_env=False)
        self.actor, self.key = actor, key

    @property
    def user(self) -> UserInfo:
        """The user behind it. LookupError for the anonymous client."""
        if self.actor.user is None:
            raise LookupError("the anonymous client has no user")
        return self.actor.user

    def connect(self, path: str, **options: Any) -> connect:
        """Open a WebSocket: `async with client.connect("/ws/x") as socket`. Options as `websockets` has them.

        A refused handshake raises `websockets.exceptions.InvalidStatus`.
        """
        from websockets.asyncio.client import connect

        headers = {"Authorization": f"Bearer {self.key}"} if self.key is not None else {}
        headers.update(options.pop("additional_headers", {}))
        url = str(self.base_url.join(path).copy_with(scheme="ws"))
        return connect(url, additional_headers=headers, proxy=None, open_timeout=TIMEOUT, **options)
