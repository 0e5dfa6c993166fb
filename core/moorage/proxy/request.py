"""What is asked of an upstream: the request's target and head, byte for byte what the client asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

from moorage.proxy.targets import Target

if TYPE_CHECKING:
    from yarl import URL

_PATH_SAFE = "/%:@!$&'()*+,;=~-._[]{}|\\^`\"<>"
_QUERY_SAFE = _PATH_SAFE + "?#"
_NOT_IN_PATH = re.compile(r"[^\x21-\x7e]|[?#]")
_NOT_IN_QUERY = re.compile(r"[^\x21-\x7e]")


def origin_form(target: Target, query: str) -> str:
    """Path and query as they stand in a request's first line. What could not stand there is percent-encoded."""
    path = target.path
    if _NOT_IN_PATH.search(path):
        path = quote(path, safe=_PATH_SAFE)
    query = query if target.query is None else target.query
    if not query:
        return path
    return f"{path}?{quote(query, safe=_QUERY_SAFE) if _NOT_IN_QUERY.search(query) else query}"


def url(target: Target, query: str) -> URL:
    """The same as a URL, for aiohttp."""
    from yarl import URL

    scheme = "https" if target.upstream.tls else "http"
    return URL(f"{scheme}://{target.upstream.authority}{origin_form(target, query)}", encoded=True)


def head(method: str, target: Target, query: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A request's head. ValueError when it could be read as something else."""
    lines = [f"{method} {origin_form(target, query)} HTTP/1.1", f"host: {target.upstream.authority}"]
    lines += [f"{name}: {value}" for name, value in headers]
    made = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    ends = len(lines) + 1
    if made.count(b"\n") != ends or made.count(b"\r") != ends or b"\0" in made:
        raise ValueError("a header holds a line break")
    return made
