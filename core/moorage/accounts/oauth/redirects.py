"""Where a browser may be sent after a login: a path here, or an origin that is trusted. Everything else is `/`."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

MAX_TARGET = 2048
_PATH = "/?#[]@!$&'()*+,;=:%-._~"


def local_path(text: str | None) -> str | None:
    """A path (with query and fragment) of this origin as it may stand in a Location header, or None.

    Browsers take a backslash for a slash and drop tabs and line ends; what lies in between may decode once more.
    """
    if text is None or not 1 <= len(text) <= MAX_TARGET:
        return None
    decoded = text
    for _ in range(4):
        path = decoded.partition("?")[0].partition("#")[0]
        if not decoded.startswith("/") or "//" in path or "\\" in decoded or not decoded.isprintable():
            return None
        before, decoded = decoded, unquote(decoded, errors="strict") if "%" in decoded else decoded
        if before == decoded:
            break
    else:
        return None
    try:
        return quote(text, safe=_PATH)
    except UnicodeEncodeError:
        return None


def target(text: str | None, own: str, trusted: Iterable[str]) -> str | None:
    """A path of this origin, or a URL at `own` (our origin) or at a trusted one, as it may be sent; else None."""
    if text is None or text.startswith("/"):
        return _decodable(text)
    if len(text) > MAX_TARGET or not text.isprintable() or "\\" in text or not text.isascii() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")
    if origin not in {one.rstrip("/").lower() for one in (own, *trusted)}:
        return None
    path = _decodable(urlunsplit(("", "", parts.path or "/", parts.query, parts.fragment)))
    return None if path is None else origin + path


def _decodable(text: str | None) -> str | None:
    try:
        return local_path(text)
    except UnicodeDecodeError:
        return None


def with_error(location: str, code: str) -> str:
    """The location with `error=CODE` in its query."""
    parts = urlsplit(location)
    query = "&".join(filter(None, [parts.query, urlencode({"error": code})]))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, parts.fragment))
