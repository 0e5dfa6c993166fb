"""Which addresses upstreams may have: those that the config names, and public ones; checked where the connection goes.

A name is resolved once, by the connector itself, and the address that comes of it is what is looked at just before a
socket is made for it: a name that is public when it is looked up and private when it is used (DNS rebinding) does not
pass.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from moorage.api import AddressInfo, Forbidden, ValidationFailed, is_public

MAX_URL = 2048
_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)", re.ASCII)


class NotPublic(OSError):
    """The address is none that may be reached without the operator's naming it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A URL's parts that decide: host in lower case, without brackets and without a dot at its end; path as sent."""

    scheme: str
    host: str
    port: int
    path: str
    query: str


def place(url: str) -> Place:
    """A URL's parts. ValueError, for people, when it is none that can be an upstream's."""
    if len(url) > MAX_URL:
        raise ValueError(f"a URL has at most {MAX_URL} characters")
    if not url.isascii() or any(c <= " " or c in '\\"<>^`{|}\x7f' for c in url):
        raise ValueError("a URL has no spaces, no backslashes and only ASCII (write a host's name as xn--…)")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise ValueError("this is no URL") from None
    if parts.scheme not in _PORTS:
        raise ValueError("a URL begins with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("a URL carries no user and no password; use headers")
    if "#" in url:
        raise ValueError("a URL ends before its #")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("the port is missing")
    host = host.removesuffix(".")
    host = _host(host, bracketed=parts.netloc.startswith("["))
    _check_path(parts.path)
    return Place(parts.scheme, host, port or _PORTS[parts.scheme], parts.path or "/", parts.query)


def _host(host: str, *, bracketed: bool) -> str:
    if bracketed:
        if "%" in host:
            raise ValueError("an address has no zone")
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise ValueError("this is no IPv6 address") from None
    if not _NAME.fullmatch(host) or len(host) > 253:
        raise ValueError("this is no name of a host")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        # What ends in a number is an IPv4 address, and there are many ways to write one: only the plain one counts.
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError("an IPv4 address has four decimal numbers") from None
    return host


def _check_path(path: str) -> None:
    decoded = unquote_to_bytes(path)
    # Servers of Java drop what follows a `;` before they look at the dots.
    if any(part.partition(b";")[0] in (b".", b"..") for part in re.split(rb"[/\\]", decoded)):
        raise ValueError("a path has no . and .. in it")


class Targets:
    """The policy. named: beginnings of URLs that anybody may use, whatever their addresses are."""

    def __init__(self, named: Iterable[str]) -> None:
        self._named = [place(url) for url in named]
        for one in self._named:
            if one.query:
                raise ValueError("a target has no query")

    def named(self, url: str) -> bool:
        """Whether the config names it: same scheme, host and port, and a path that begins with the target's parts."""
        try:
            wanted = place(url)
        except ValueError:
            return False
        return any(_within(wanted, one) for one in self._named)

    def check(self, url: str, *, remote: bool) -> None:
        """Whether somebody may have this as an upstream. remote: they may name any public address.

        ValidationFailed for what is no URL; Forbidden. What a name resolves to is looked at when it is connected to.
        """
        try:
            wanted = place(url)
        except ValueError as error:
            raise ValidationFailed(problems=[{"field": "url", "message": str(error)}]) from None
        if any(_within(wanted, one) for one in self._named):
            return
        if not remote:
            raise Forbidden("This address is none of the MCP servers that may be used here")
        try:
            address = ipaddress.ip_address(wanted.host)
        except ValueError:
            return
        if not is_public(address):
            raise Forbidden("This address is not public, and the operator does not name it")


def _within(wanted: Place, target: Place) -> bool:
    if (wanted.scheme, wanted.host, wanted.port) != (target.scheme, target.host, target.port):
        return False
    base = target.path.rstrip("/")
    return wanted.path == target.path or wanted.path == base or wanted.path.startswith(base + "/")


def public_socket(info: AddressInfo) -> socket.socket:
    """A socket for an address (as of `getaddrinfo`) that is about to be connected to. NotPublic."""
    family, kind, protocol, _, address = info
    host = str(address[0]).partition("%")[0]
    if not is_public(ipaddress.ip_address(host)):
        raise NotPublic("the address is not public")
    return socket.socket(family, kind, protocol)
