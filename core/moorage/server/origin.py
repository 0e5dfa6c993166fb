"""Cross-site rules: who may send an unsafe request or open a socket with somebody's cookie."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from moorage.context import RequestInfo
from moorage.errors import Forbidden
from moorage.server.head import Head

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
ORIGIN_REFUSED = "ORIGIN_REFUSED"


class OriginPolicy:
    """Same origin, the public URL, or one of `trusted_origins` (exact matches, never patterns)."""

    def __init__(self, public_url: str | None, trusted: Iterable[str]) -> None:
        self.trusted = frozenset(origin.rstrip("/").lower() for origin in trusted)
        self._own = origin_of(public_url) if public_url else None
        self._own_scheme, _, self._own_host = (self._own or "").partition("://")

    def allows(self, origin: str, info: RequestInfo) -> bool:
        """True if `origin` (a header's value) is ours or trusted."""
        origin = origin.lower()
        return origin in (f"{info.scheme}://{info.host}".lower(), self._own) or origin in self.trusted

    def scheme_of(self, host: str) -> str:
        """How clients reach us under this host where the connection is in clear text: a proxy may stand before us."""
        return self._own_scheme if self._own_host and host.lower() == self._own_host else "http"

    def said(self, head: Head) -> tuple[tuple[bytes, bytes], ...]:
        """What lets a page of a trusted origin read the answer."""
        if not head.origin or head.origin.lower() not in self.trusted:
            return ()
        return (
            (b"access-control-allow-origin", head.origin.encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        )

    def check(self, method: str, head: Head, info: RequestInfo, csrf: str | None) -> None:
        """Refuse an unsafe cookie request that another site may have caused.

        A browser always sends Origin or Sec-Fetch-Site with one; where both are absent no browser is behind
        it, and nothing was caused by a page. A token that is sent must be right. Source: Fetch metadata,
        and the rule that Go 1.25's CrossOriginProtection describes.
        """
        if method in SAFE:
            return
        if head.csrf and csrf is not None:
            if not hmac.compare_digest(head.csrf.encode(), csrf.encode()):
                raise Forbidden("The CSRF token does not match this session", code="CSRF_INVALID")
            return
        if head.origin:
            if not self.allows(head.origin, info):
                raise Forbidden("Cross-site request refused", code="CSRF_INVALID")
        elif head.fetch_site not in ("", "same-origin", "none"):
            raise Forbidden("Cross-site request refused", code="CSRF_INVALID")

    def check_socket(self, head: Head, info: RequestInfo) -> None:
        """Refuse a WebSocket that a page of another site opens; programs send no Origin."""
        if head.origin and not self.allows(head.origin, info):
            raise Forbidden("WebSocket from another origin refused", code=ORIGIN_REFUSED)

    def check_page(self, head: Head, info: RequestInfo) -> None:
        """Refuse what a page of another site asks, whatever it shows; programs send no Origin.

        That a page and we share a name which is no address and was never configured proves nothing: whoever has a
        domain can let its name lead here (DNS rebinding). Where we are asked on loopback, a page that comes from there
        is no stranger's, whatever its port.
        """
        if not head.origin or (origin := head.origin.lower()) == self._own or origin in self.trusted:
            return
        host = _name(f"//{info.host}")
        same = origin == f"{info.scheme}://{info.host}".lower() and (_is_loopback(host) or _is_address(host))
        if not same and not (_is_loopback(host) and _is_loopback(_name(origin))):
            raise Forbidden("Request of a page of another origin refused", code=ORIGIN_REFUSED)


@lru_cache(256)
def _name(url: str) -> str:
    """The host in a URL, "" for none."""
    try:
        return (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost") or (_is_address(name) and ip_address(name).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def origin_of(url: str) -> str:
    """Scheme and authority of a URL, lower case."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
