"""The lane of proxied requests: what the gate let through, put into the words of the proxy."""

from __future__ import annotations

from collections.abc import Iterable

from moorage.context import RequestInfo
from moorage.errors import NotFound
from moorage.proxy import Proxy, ProxyRequest, Redirect
from moorage.proxy.sockets import bridge
from moorage.routes import ProxyRoute
from moorage.server.router import Entry
from moorage.server.socket import Message, Receive, Send, Socket

_HIDDEN = (b"cookie", b"authorization")


async def serve(
    proxy: Proxy, entry: Entry, route: ProxyRoute, params: dict[str, str], scope: Message, receive: Receive, send: Send
) -> None:
    """Resolve a request and hand it on."""
    info: RequestInfo = scope["moorage.info"]
    request = _request(entry, info, params, info.method, scope["query_string"].decode("latin-1"), scope["headers"])
    target = await route.resolve(request)
    if isinstance(target, Redirect):
        headers = [(b"location", target.location.encode("latin-1")), (b"content-length", b"0")]
        headers += [(b"referrer-policy", b"no-referrer"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    await proxy.http(scope, receive, send, request=request, target=target)


async def connect(proxy: Proxy, entry: Entry, route: ProxyRoute, socket: Socket, max_frame: int) -> None:
    """Resolve a WebSocket and hand it on."""
    request = _request(entry, socket.info, socket.params, "GET", socket.raw_query, socket.raw_headers)
    target = await route.resolve(request)
    if isinstance(target, Redirect):
        raise NotFound
    await bridge(proxy, socket, target, query=request.query, max_frame=max_frame)


def _request(
    entry: Entry,
    info: RequestInfo,
    params: dict[str, str],
    method: str,
    query: str,
    headers: Iterable[tuple[bytes, bytes]],
) -> ProxyRequest:
    shown = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers if name not in _HIDDEN}
    return ProxyRequest(
        method=method, params=params, rest=_rest(entry, info), query=query, headers=shown, actor=info.actor
    )


def _rest(entry: Entry, info: RequestInfo) -> str:
    """What stood in the place of `{name:path}`, as it was sent."""
    if not entry.template.endswith(":path}"):
        return ""
    before = entry.template.count("/") - 1
    return "/".join(info.path[1:].split("/")[before:])
