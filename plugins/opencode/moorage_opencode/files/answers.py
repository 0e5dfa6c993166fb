"""Files as answers: types, names, entity tags, ranges, and never with the rights of our own pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from quart import Response, request
from werkzeug.http import http_date

from moorage_opencode.files.paths import shown
from moorage_opencode.files.reading import PIECE, Found, media_type
from moorage_opencode.files.refusals import PreconditionFailed, RangeNotSatisfiable, too_large
from moorage_opencode.files.service import Files, Scope
from moorage_opencode.files.writing import Expect

_PLAIN = re.compile(r"[^A-Za-z0-9._ -]+")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u2028-\u202e\u2066-\u2069\ufffd]+')
CONFINED = {
    # A page, a drawing or a script from a workspace is somebody's input: it runs nothing, and is nobody's page.
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "media-src 'self'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}


def disposition(name: str, kind: str) -> str:
    """Content-Disposition with a name for every browser (RFC 6266, 8187)."""
    plain = _PLAIN.sub("_", name)[-100:].strip(" ") or "file"
    exact = _UNSAFE.sub("_", name).strip() or "file"
    full = quote(exact.encode("utf-8", "replace"), safe="")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{full}"


async def answer(files: Files, where: Scope, found: Found, *, kind: str, limit: int | None) -> Response:
    """A file, or the part of it that is asked for; 304, 412, 416 as the request's conditions say.

    kind: "inline" or "attachment". limit: bytes that may be read at once.
    """
    try:
        response = _without_body(found, kind)
        if response.status_code != 200 or request.method == "HEAD":
            found.held.close()
            return response
        start, end = _part(found)
        if limit is not None and end - start > limit:
            raise too_large(end - start, limit)
    except BaseException:
        found.held.close()
        raise
    if end - start < found.size:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
    if end - start == found.size <= PIECE:
        body: Any = await files.whole(where, found)
        length = len(body)
    else:
        body, length = files.pieces(where, found, start, end), end - start
    return _with(response, body, length)


def _without_body(found: Found, kind: str) -> Response:
    response = Response(b"", content_type=media_type(found.name))
    headers = response.headers
    headers.update(CONFINED)
    headers["Content-Disposition"] = disposition(shown(found.name), kind)
    headers["Accept-Ranges"] = "bytes"
    headers["ETag"] = f'"{found.tag}"'
    headers["Last-Modified"] = http_date(found.modified)
    headers["Content-Length"] = str(found.size)
    if not _expected(found):
        raise PreconditionFailed
    if _known(found):
        del headers["Content-Length"], headers["Content-Type"], headers["Content-Disposition"]
        response.status_code = 304
    return response


def _with(response: Response, body: bytes | AsyncIterator[bytes], length: int) -> Response:
    """The same with a body."""
    made = Response(body, response.status_code, headers=dict(response.headers))
    made.headers["Content-Length"] = str(length)
    return made


def _expected(found: Found) -> bool:
    if "If-Match" in request.headers:
        return bool(request.if_match.star_tag or request.if_match.is_strong(found.tag))
    since = request.if_unmodified_since
    return since is None or int(found.modified) <= since.timestamp()


def _known(found: Found) -> bool:
    """Whether the client has it already."""
    if "If-None-Match" in request.headers:
        return bool(request.if_none_match.star_tag or request.if_none_match.contains_weak(found.tag))
    since = request.if_modified_since
    return since is not None and int(found.modified) <= since.timestamp()


def _part(found: Found) -> tuple[int, int]:
    """First byte and the one after the last. Several parts at once are not given: all of it. RangeNotSatisfiable."""
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1 or not _same(found):
        return 0, found.size
    part = wanted.range_for_length(found.size)
    if part is None or part[0] is None or part[1] is None or part[0] >= part[1]:
        raise RangeNotSatisfiable(details={"size": found.size}, headers={"Content-Range": f"bytes */{found.size}"})
    return part[0], part[1]


def _same(found: Found) -> bool:
    """Whether a part is of the file that the client knows (If-Range)."""
    if "If-Range" not in request.headers:
        return True
    known = request.if_range
    if known.etag is not None:
        return bool(known.etag == found.tag) and not request.headers["If-Range"].startswith("W/")
    return known.date is not None and datetime.fromtimestamp(int(found.modified), UTC) == known.date


def expectation(tag: Any) -> Expect | None:
    """What the client says of the file that it is about to replace; None for nothing. tag: makes a file's."""
    headers, match, none = request.headers, request.if_match, request.if_none_match
    since = request.if_unmodified_since if "If-Match" not in headers else None
    if "If-Match" not in headers and "If-None-Match" not in headers and since is None:
        return None
    wants, wants_none = "If-Match" in headers, "If-None-Match" in headers

    def expect(there: Any) -> bool:
        if wants and (there is None or not (match.star_tag or match.is_strong(tag(there)))):
            return False
        if wants_none and there is not None and (none.star_tag or none.contains_weak(tag(there))):
            return False
        return since is None or there is None or int(there.st_mtime) <= since.timestamp()

    return expect
