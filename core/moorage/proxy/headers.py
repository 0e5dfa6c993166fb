"""What of a message's headers goes on, in each direction. Source: RFC 9110 section 7.6, RFC 9112 section 6."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from moorage.context import RequestInfo

Pairs = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_NOT_SENT = HOP_BY_HOP | {
    # Ours: credentials, and what the server itself says of the client.
    b"authorization",
    b"cookie",
    b"x-csrf-token",
    b"host",
    b"expect",
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-forwarded-port",
    b"x-forwarded-prefix",
    b"x-real-ip",
    b"x-request-id",
    b"content-length",
}
_NOT_RETURNED = HOP_BY_HOP | {
    # What counts for the whole origin, which others share, or is said by our own server.
    b"set-cookie",
    b"set-cookie2",
    b"set-login",
    b"sec-session-registration",
    b"clear-site-data",
    b"strict-transport-security",
    b"service-worker-allowed",
    b"alt-svc",
    b"nel",
    b"report-to",
    b"accept-ch",
    b"critical-ch",
    b"origin-agent-cluster",
    b"expect-ct",
    b"public-key-pins",
    b"x-content-type-options",
    b"server",
    b"date",
    b"x-request-id",
}
_PLACES = (b"location", b"content-location")
_NOT_IN_URL = re.compile(r"[^\x21-\x7e]|\\")
_UPWARDS = re.compile(r"(?:^|/)(?:\.|%2e){2}(?:/|$)", re.IGNORECASE)
"""As browsers read them (URL standard, section 4.4): an encoded dot is one, a backslash a slash, a tab nothing."""
_CORS = b"access-control-"
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HANDSHAKE = (b"sec-websocket-", b"http2-settings")


def named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The headers that `Connection` says are for this hop only, lower case."""
    names = [part.strip().lower() for name, value in headers if name == b"connection" for part in value.split(b",")]
    return frozenset(name for name in names if name)


def towards(
    headers: Iterable[tuple[bytes, bytes]], info: RequestInfo, prefix: str, own: Mapping[str, str]
) -> list[tuple[str, str]]:
    """The client's headers as the upstream gets them. `own` are set in place of the client's of that name.

    headers: names in lower case, as ASGI has them. `Content-Length` is left to who sends the body.
    """
    # Many servers take `_` for `-`: a client's X_Forwarded_For would stand for ours.
    given = list(headers)
    dropped = _NOT_SENT | named_by_connection(given) | {name.lower().replace("_", "-").encode() for name in own}
    sent = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in given
        if (plain := name.replace(b"_", b"-")) not in dropped and not plain.startswith(_HANDSHAKE)
    ]
    sent += [
        ("x-forwarded-for", info.address),
        ("x-forwarded-proto", info.scheme),
        ("x-forwarded-host", info.host),
        ("x-request-id", info.id),
    ]
    if prefix:
        sent.append(("x-forwarded-prefix", prefix))
    sent += own.items()
    return sent


def back(
    headers: Iterable[tuple[bytes, bytes]],
    *,
    authority: str,
    prefix: str,
    answer: Mapping[str, str],
    contained: bool = False,
) -> Pairs:
    """The upstream's headers as the client gets them. ValueError for one that no header may be.

    authority, prefix, answer, contained: as of the `Target` and its upstream.
    """
    given = [(name.lower(), value) for name, value in headers]
    dropped = _NOT_RETURNED | named_by_connection(given) | {name.lower().encode() for name in answer}
    returned = [(name, value) for name, value in given if name not in dropped and not name.startswith(_CORS)]
    for name, value in returned:
        if _CONTROL.search(value):
            raise ValueError(f"{name!r} holds control characters")
    if contained:
        returned = [
            (name, value)
            for name, value in returned
            if name != b"refresh" and (name not in _PLACES or _inside(value, authority))
        ]
    if prefix:
        returned = [
            (name, _relocated(value, authority, prefix)) if name in _PLACES else (name, value)
            for name, value in returned
        ]
    returned += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.items()]
    return returned


def _inside(value: bytes, authority: str) -> bool:
    """Whether a URL leads to the upstream itself, and there is no way to read it otherwise."""
    text = value.decode("latin-1")
    if _NOT_IN_URL.search(text) or text.startswith("//"):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    if (parts.scheme, parts.netloc) == ("", ""):
        return ":" not in parts.path.partition("/")[0] and not _UPWARDS.search(parts.path)
    return (parts.scheme, parts.netloc) == ("http", authority) and not _UPWARDS.search(parts.path)


def _relocated(value: bytes, authority: str, prefix: str) -> bytes:
    """A URL of the upstream's own, as it is in the client's eyes."""
    text = value.decode("latin-1")
    if text.startswith("/") and not text.startswith("//"):
        return (prefix + text).encode("latin-1")
    try:
        parts = urlsplit(text)
    except ValueError:
        return value
    if parts.scheme in ("http", "https") and parts.netloc == authority:
        rest = text.split(authority, 1)[1]
        return (prefix + (rest if rest.startswith("/") else f"/{rest}")).encode("latin-1")
    return value
