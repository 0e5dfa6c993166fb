"""What a head shows to prove who asks, and how it is asked for. Sources: RFC 6750, RFC 7617."""

from __future__ import annotations

import binascii
from base64 import b64decode

from moorage.errors import MoorageError, Unauthorized
from moorage.routes import SocketRoute
from moorage.server.head import Head
from moorage.server.router import Entry

CHALLENGE = 'Bearer, Basic realm="Moorage", charset="UTF-8"'


def shown_token(head: Head, entry: Entry | None) -> str:
    """The token of `Authorization`: a Bearer's, or the password of a Basic where the route takes that, else ""."""
    scheme, _, text = head.authorization.partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    if scheme.lower() == "basic" and takes_basic(entry):
        # A browser that was told a password once sends it on its own, also for a page of another site.
        head.ambient = True
        return _password(text.strip())
    return ""


def takes_basic(entry: Entry | None) -> bool:
    """Whether the route says so."""
    return entry is not None and not isinstance(entry.route, SocketRoute) and entry.route.basic


def challenged(error: MoorageError, entry: Entry | None, head: Head) -> None:
    """Say that a Basic would do, where it would. Not to a browser, which opens a dialog of its own over the page."""
    if isinstance(error, Unauthorized) and takes_basic(entry) and not head.from_browser:
        error.headers.setdefault("WWW-Authenticate", CHALLENGE)


def _password(text: str) -> str:
    """What comes after the first colon; "" when it is not as RFC 7617 has it."""
    try:
        return b64decode(text, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
