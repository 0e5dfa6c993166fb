"""HTTP handed through: both bodies streamed, nothing buffered, nothing kept after either side has gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from moorage.context import RequestInfo
from moorage.errors import MoorageError, Unavailable, UpstreamError
from moorage.events.tasks import together
from moorage.proxy.headers import back, towards
from moorage.proxy.targets import ProxyRequest, Target, Upstream

if TYPE_CHECKING:
    import aiohttp

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]
Resolve = Callable[[ProxyRequest], Awaitable[Target]]

CONNECT_TIMEOUT = 5.0
KEEP_SECONDS = 4.0
"""How long an idle connection is kept: less than the five seconds after which many servers close theirs."""
MAX_CONNECTIONS = 4096
MAX_HEAD = 64 * 1024
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


class ClientGone(Exception):
    """The client left before its request was whole."""


class Proxy:
    """Hands requests to upstreams. One for the server; its connections are opened when first needed."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def http(
        self, scope: Message, receive: Receive, send: Send, *, request: ProxyRequest, target: Target
    ) -> None:
        """One exchange. Unavailable when the upstream cannot be reached, UpstreamError when it answers wrongly."""
        client = _Client(receive, scope["moorage.bodyless"])
        with target.upstream.use():
            await together(self._exchange(client, scope, send, request, target), client.gone())

    async def _exchange(
        self, client: _Client, scope: Message, send: Send, request: ProxyRequest, target: Target
    ) -> None:
        import aiohttp

        info: RequestInfo = scope["moorage.info"]
        headers = towards(scope["headers"], info, target.prefix, target.headers)
        if not client.bodyless and (length := _content_length(scope["headers"])) is not None:
            headers.append(("content-length", length))
        try:
            async with await self.request(
                request.method, target, request.query, headers, body=None if client.bodyless else client.body()
            ) as response:
                await self._answer(response, send, target)
        except (aiohttp.ClientError, ConnectionError, TimeoutError, ValueError) as error:
            if client.failure is not None:
                raise client.failure from error
            raise UpstreamError("The service behind this address broke off or answered what is no HTTP") from error

    async def _answer(self, response: aiohttp.ClientResponse, send: Send, target: Target) -> None:
        if not 200 <= response.status < 600:  # 101 would make the client speak to us in another protocol.
            raise UpstreamError(f"The service behind this address answered with status {response.status}")
        headers = back(
            response.raw_headers, authority=target.upstream.authority, prefix=target.prefix, answer=target.answer
        )
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        content = response.content
        while not content.at_eof():
            chunk = await content.readany()
            if chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def request(
        self,
        method: str,
        target: Target,
        query: str,
        headers: list[tuple[str, str]],
        *,
        body: AsyncIterator[bytes] | None = None,
    ) -> aiohttp.ClientResponse:
        """The upstream's answer, its body not read yet; close it. Connecting is tried again for `target.wait` seconds.

        Unavailable when nothing answers there. aiohttp's errors when the exchange fails after that.
        """
        import aiohttp

        url = self.url(target, query)
        session = self.session(target.upstream)

        async def once() -> aiohttp.ClientResponse:
            return await session.request(
                method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                skip_auto_headers=_AUTOMATIC,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            )

        response: aiohttp.ClientResponse = await self.connecting(once, target)
        return response

    async def connecting(self, once: Callable[[], Awaitable[Any]], target: Target) -> Any:
        """Call `once` until a connection is there. Before that nothing was sent, so that it may be done again."""
        import aiohttp

        loop = asyncio.get_running_loop()
        until, pause = loop.time() + target.wait, FIRST_PAUSE
        while True:
            try:
                return await once()
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                if loop.time() + pause > until:
                    raise Unavailable("The service behind this address cannot be reached") from error
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    def session(self, upstream: Upstream) -> aiohttp.ClientSession:
        """The client of an upstream: one for all addresses, one for each unix socket."""
        if upstream.path is not None:
            if upstream.client is None:
                upstream.client = _client(str(upstream.path))
            return upstream.client
        if self._session is None:
            self._session = _client(None)
        return self._session

    @staticmethod
    def url(target: Target, query: str) -> Any:
        """The address, byte for byte what was asked for."""
        from yarl import URL

        query = query if target.query is None else target.query
        path = quote(target.path, safe="/%:@!$&'()*+,;=~-._")
        return URL(f"http://{target.upstream.authority}{path}{'?' + query if query else ''}", encoded=True)


class _Client:
    """The client's side of one exchange: its body, and whether it is still there."""

    def __init__(self, receive: Receive, bodyless: bool) -> None:
        self._receive, self.bodyless = receive, bodyless
        self._complete = asyncio.Event()
        self.failure: Exception | None = None
        if bodyless:
            self._complete.set()

    async def body(self) -> AsyncIterator[bytes]:
        """The body as it comes. What goes wrong with it is kept in `failure`: the HTTP client would hide it."""
        try:
            more = True
            while more:
                message = await self._receive()
                if message["type"] != "http.request":
                    raise ClientGone
                more = message.get("more_body", False)
                if chunk := message.get("body", b""):
                    yield chunk
        except (MoorageError, ClientGone) as error:
            self.failure = error
            raise
        self._complete.set()

    async def gone(self) -> None:
        """Returns once the client has left."""
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


_AUTOMATIC = frozenset(("User-Agent", "Accept", "Accept-Encoding", "Content-Type"))


def _content_length(headers: list[tuple[bytes, bytes]]) -> str | None:
    return next((value.decode("latin-1") for name, value in headers if name == b"content-length"), None)


def _client(unix: str | None) -> aiohttp.ClientSession:
    import aiohttp

    options: dict[str, Any] = {"limit": MAX_CONNECTIONS, "keepalive_timeout": KEEP_SECONDS}
    connector: aiohttp.BaseConnector
    if unix is not None:
        connector = aiohttp.UnixConnector(unix, **options)
    else:
        connector = aiohttp.TCPConnector(ttl_dns_cache=60, **options)
    return aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        max_line_size=MAX_HEAD,
        max_field_size=MAX_HEAD,
        read_bufsize=128 * 1024,
    )
