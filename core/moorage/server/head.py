"""The request's head: read once, checked, and turned into facts (address, scheme, host, credentials)."""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from moorage.errors import BadRequest, HeadersTooLarge, UriTooLong

_WANTED = {
    b"cookie": "cookie",
    b"authorization": "authorization",
    b"host": "host",
    b"origin": "origin",
    b"content-length": "content_length",
    b"transfer-encoding": "transfer_encoding",
    b"sec-fetch-site": "fetch_site",
    b"x-csrf-token": "csrf",
    b"x-forwarded-for": "forwarded_for",
    b"x-forwarded-proto": "forwarded_proto",
    b"x-forwarded-host": "forwarded_host",
    b"x-request-id": "request_id",
    b"user-agent": "user_agent",
    b"access-control-request-method": "preflight",
    b"access-control-request-headers": "preflight_headers",
}
_ONCE = {"authorization", "host", "origin", "content_length"}
_HOST = re.compile(r"^(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*)|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$")
MAX_HOST = 262
"""A domain name and a port."""
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")


class Head:
    """Headers that the gate cares for, as text; "" where absent.

    The class holds the "" of absent ones, so that a request pays for those that it has.
    """

    cookie: str = ""
    authorization: str = ""
    host: str = ""
    origin: str = ""
    content_length: str = ""
    transfer_encoding: str = ""
    fetch_site: str = ""
    csrf: str = ""
    forwarded_for: str = ""
    forwarded_proto: str = ""
    forwarded_host: str = ""
    request_id: str = ""
    user_agent: str = ""
    preflight: str = ""
    preflight_headers: str = ""
    ambient: bool = False
    """The credential that counts is one that a browser sends on its own."""
    framed: bool = False
    """HTTP/2 ends a body by a flag: one may come without any header that says so."""

    @property
    def from_browser(self) -> bool:
        """Whether a browser sent it, as far as it says so: it would ask its user for the password of a Basic."""
        return bool(self.fetch_site) or self.user_agent.startswith("Mozilla/")

    @property
    def has_body(self) -> bool:
        """True when a request body is announced, or may come."""
        return bool(self.transfer_encoding) or self.content_length not in ("", "0") or self.framed


def read_head(headers: Iterable[tuple[bytes, bytes]], max_bytes: int) -> Head:
    """One pass over the headers. HeadersTooLarge, or BadRequest for a repeated or malformed one."""
    head = Head()
    size = 0
    for name, value in headers:
        size += len(name) + len(value) + 4
        if name not in _WANTED:
            continue
        field = _WANTED[name]
        text = value.decode("latin-1")
        if earlier := getattr(head, field):
            if field in _ONCE:
                raise BadRequest(f"Header {name.decode()} was sent twice")
            text = f"{earlier}; {text}" if field == "cookie" else f"{earlier}, {text}"
        setattr(head, field, text)
    if size > max_bytes:
        raise HeadersTooLarge
    if head.host and not _is_host(head.host):
        raise BadRequest("Malformed Host header")
    if head.content_length and head.transfer_encoding:
        raise BadRequest("Content-Length and Transfer-Encoding exclude each other")
    if head.content_length and not head.content_length.isdecimal():
        raise BadRequest("Malformed Content-Length header")
    return head


@lru_cache(1024)
def _is_host(text: str) -> bool:
    return len(text) <= MAX_HOST and _HOST.match(text) is not None


def request_id(head: Head, fresh: str) -> str:
    """The caller's X-Request-ID where it is harmless, else `fresh`."""
    return head.request_id if head.request_id and _REQUEST_ID.match(head.request_id) else fresh


def raw_path(scope: MutableMapping[str, Any], max_bytes: int) -> str:
    """The undecoded path of a scope. UriTooLong, or BadRequest for bytes that no URL may hold."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    if len(raw) + len(scope.get("query_string", b"")) > max_bytes:
        raise UriTooLong
    if not raw.startswith(b"/") or not raw.isascii() or b"\x00" in raw or b"%00" in raw:
        raise BadRequest("Malformed request target")
    return raw.decode("ascii")


class TrustedProxies:
    """Whose forwarding headers count. Everybody else's are ignored."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(ip_network(n, strict=False) for n in networks)
        self._is_trusted = lru_cache(maxsize=1024)(self._lookup)

    def _lookup(self, address: str) -> bool:
        if address == "unix":
            return bool(self._networks)
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def resolve(self, peer: str, head: Head, scheme: str) -> tuple[str, str, str]:
        """(client address, scheme, host) behind the proxies that we trust.

        X-Forwarded-For is read from the right, and the first address that is not a trusted proxy wins,
        so a client cannot write its own.
        """
        if not self._networks or not self._is_trusted(peer):
            return peer, scheme, head.host
        address = peer
        for hop in reversed([part.strip() for part in head.forwarded_for.split(",") if part.strip()]):
            hop = _without_port(hop)
            try:
                ip_address(hop)
            except ValueError:
                break
            address = hop
            if not self._is_trusted(hop):
                break
        proto = head.forwarded_proto.rpartition(",")[2].strip().lower()
        host = head.forwarded_host.rpartition(",")[2].strip()
        return (
            address,
            proto if proto in ("http", "https") else scheme,
            host if host and _is_host(host) else head.host,
        )


def _without_port(hop: str) -> str:
    """The address of "192.0.2.1:4711" or "[2001:db8::1]:4711", as some proxies write it."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def cookie_value(header: str, name: str) -> str:
    """One cookie's value from a Cookie header, "" if absent. The first one wins."""
    if name not in header:
        return ""
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value.strip('"')
    return ""
