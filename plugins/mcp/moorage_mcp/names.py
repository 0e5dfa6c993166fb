"""Names: of workspaces, of their servers, and what stands before the names of a server's tools."""

from __future__ import annotations

import re
import secrets

from moorage.api import BadRequest, ValidationFailed

PID = "ws_"
PURGING = "!"
RESERVED = frozenset({"terminal", ".", ".."})
"""`/ws/terminal/…` is another contract's, and no client leaves `.` and `..` in a path."""
_WORKSPACE = re.compile(r"[A-Za-z0-9._-]{1,128}")
_UPSTREAM = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def workspace_name(text: str | None) -> str:
    """A name that a workspace may have. BadRequest in the contract's words. Source: `api/octoprox.md`, Workspaces."""
    if not text:
        raise BadRequest("Workspace name is required")
    if _WORKSPACE.fullmatch(text) is None:
        raise BadRequest("Invalid workspace name format")
    if text.lower() in RESERVED or text.startswith(PID):
        raise BadRequest(f'The workspace name "{text}" is reserved')
    return text


def key_of(name: str) -> str:
    """What is unique of a user's workspaces."""
    return name


def key_of_deleted(pid: str, *, purging: bool = False) -> str:
    """The same of one that was deleted: no name can be it. purging: it cannot be restored any more."""
    return f"{PURGING if purging else '/'}{pid}"


def upstream_name(text: str) -> str:
    """A name that a workspace's server may have. ValidationFailed."""
    if _UPSTREAM.fullmatch(text) is None:
        raise wrong("name", "must be small letters, digits, - and _, begin with a letter or digit, 1 to 32 long")
    return text


def prefix_of(text: str) -> str:
    """What may stand before names of tools; "": nothing. ValidationFailed."""
    if text and _PREFIX.fullmatch(text) is None:
        raise wrong("prefix", "must be letters, digits, _, - and ., begin with a letter or digit, at most 40 long")
    return text


def new_pid(kind: str) -> str:
    """A public id: the kind, and 95 random bits."""
    return f"{kind}_{''.join(secrets.choice(_LETTERS) for _ in range(16))}"


def wrong(field: str, message: str) -> ValidationFailed:
    """A field that cannot be so."""
    return ValidationFailed(f"{field}: {message}", problems=[{"field": field, "message": message}])
