"""Redirect URIs of OAuth clients: where a code may be sent. Sources: RFC 6749, 3.1.2; RFC 8252, 7; OAuth 2.1, 2.3."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

MAX_URI = 1024
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+")
_NEVER = frozenset(
    {"javascript", "data", "vbscript", "file", "about", "blob", "filesystem", "view-source", "ws", "wss"}
)
"""Schemes that a browser runs or reads itself, whatever the configuration says."""


def redirect_problem(uri: object, schemes: Collection[str]) -> str | None:
    """What is wrong with a redirect URI, in words; None for a good one.

    Good are https, http on this machine (a program that listens there), and schemes of programs: those that are named
    by a domain of theirs (with a dot), and `schemes`.
    """
    if not isinstance(uri, str) or len(uri) > MAX_URI or not _URI.fullmatch(uri) or "\\" in uri:
        return "a redirect URI is an absolute URI"
    if "#" in uri:
        return "a redirect URI has no fragment"
    parts = _split(uri)
    if parts is None:
        return "a redirect URI is an absolute URI"
    if "@" in parts.netloc:
        return "a redirect URI names no user"
    if parts.scheme == "https":
        return None if parts.hostname else "a redirect URI has a host"
    if parts.scheme == "http":
        return (
            None if parts.hostname in LOOPBACK else "a redirect URI has https, or is on 127.0.0.1, [::1] or localhost"
        )
    if parts.scheme in _NEVER or not ("." in parts.scheme or parts.scheme in schemes):
        return "the scheme of a program's redirect URI is a domain of its own, backwards: com.example.app:/callback"
    return None


def redirect_matches(asked: str, known: str) -> bool:
    """Whether a client may be answered at `asked`, which must be a known one to the letter.

    But for the port on this machine: a program takes the one that it is given (RFC 8252, 7.3).
    """
    if asked == known:
        return True
    first, second = _split(asked), _split(known)
    if first is None or second is None or first.scheme != "http" or first.hostname not in LOOPBACK:
        return False
    return _without_port(asked, first) == _without_port(known, second) is not None


def is_loopback(uri: str) -> bool:
    """Whether a redirect URI leads to a program on the computer in front of which the person sits."""
    parts = _split(uri)
    return parts is not None and parts.scheme == "http"


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        _ = parts.port, parts.hostname
    except ValueError:
        return None
    return parts


def _without_port(uri: str, parts: SplitResult) -> str | None:
    """The text of a loopback URI without its port; None where its authority is not written plainly."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    written = host if parts.port is None else f"{host}:{parts.port}"
    start = "http://" + (written or "")
    return "http://" + str(host) + uri[len(start) :] if uri.startswith(start) and parts.netloc == written else None
