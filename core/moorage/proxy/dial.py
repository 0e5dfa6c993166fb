"""WebSocket connections to upstreams, over aiohttp's client, which is imported when the first is asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from moorage.errors import Unavailable
from moorage.proxy.connection import MAX_HEAD
from moorage.proxy.pool import CONNECT_TIMEOUT, FIRST_PAUSE, KEEP_SECONDS, LONGEST_PAUSE, MAX_CONNECTIONS
from moorage.proxy.request import url
from moorage.proxy.targets import Target, Upstream

if TYPE_CHECKING:
    import aiohttp


class Dialer:
    """Opens WebSockets to upstreams."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def open(
        self, target: Target, query: str, headers: list[tuple[str, str]], subprotocols: list[str], max_frame: int
    ) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket. Connecting is tried again for `target.wait` seconds; Unavailable when nothing answers there.

        aiohttp's errors when the handshake fails.
        """
        import aiohttp

        session, loop = self._client(target.upstream), asyncio.get_running_loop()
        until, pause = loop.time() + target.wait, FIRST_PAUSE
        while True:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT * 2):
                    return await session.ws_connect(
                        url(target, query),
                        protocols=subprotocols,
                        headers=headers,
                        autoclose=False,
                        compress=0,
                        max_msg_size=max_frame,
                        timeout=aiohttp.ClientWSTimeout(ws_close=CONNECT_TIMEOUT),
                    )
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                if loop.time() + pause > until:
                    raise Unavailable("The service behind this address cannot be reached") from error
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    def _client(self, upstream: Upstream) -> aiohttp.ClientSession:
        """One for all addresses, one for each unix socket."""
        if upstream.path is not None:
            if upstream.client is None:
                upstream.client = client_session(str(upstream.path))
            return upstream.client
        if self._session is None:
            self._session = client_session(None)
        return self._session


def client_session(unix: str | None) -> aiohttp.ClientSession:
    """A client that does only what it is told: no cookies, no redirects, no proxies from the environment."""
    import aiohttp

    options: dict[str, Any] = {"limit": MAX_CONNECTIONS, "keepalive_timeout": KEEP_SECONDS}
    connector: aiohttp.BaseConnector
    if unix is not None:
        connector = aiohttp.UnixConnector(unix, **options)
    else:
        connector = aiohttp.TCPConnector(ttl_dns_cache=60, **options)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        trace_configs=[_no_redirects()],
        max_line_size=MAX_HEAD,
        max_field_size=MAX_HEAD,
    )


def _no_redirects() -> aiohttp.TraceConfig:
    """A redirect ends a handshake. aiohttp would follow it, to wherever a workload says, and has no switch for that."""
    import aiohttp

    async def refuse(_: aiohttp.ClientSession, __: object, params: aiohttp.TraceRequestRedirectParams) -> None:
        answer = params.response
        raise aiohttp.WSServerHandshakeError(answer.request_info, (), status=answer.status, message="a redirect")

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace
