"""Paths as clients send them, and names as they are shown to them: bytes on this side, text on theirs."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

from moorage_opencode.files.refusals import invalid, traversal

Parts = tuple[bytes, ...]
"""A path below the workspace, name by name; () is the workspace itself."""

MAX_PATH = 4096
MAX_NAME = 255


def parse(path: bytes) -> Parts:
    """A client's path, decoded once. A leading slash is the workspace; any `..` is refused, wherever it leads."""
    if b"\0" in path:
        raise invalid("Invalid path: it holds a NUL")
    if len(path) > MAX_PATH:
        raise invalid(f"Invalid path: longer than {MAX_PATH} bytes")
    parts = tuple(part for part in path.split(b"/") if part not in (b"", b"."))
    if b".." in parts:
        raise traversal()
    if any(len(part) > MAX_NAME for part in parts):
        raise invalid(f"Invalid path: a name is longer than {MAX_NAME} bytes")
    return parts


def scope(directory: bytes, root: bytes) -> Parts:
    """The folder to which a request's paths are relative: below `root`, which an absolute one must name."""
    directory = directory.strip()
    if not directory.startswith(b"/"):
        return parse(directory)
    ours, theirs = parse(root), parse(directory)
    if theirs[: len(ours)] != ours:
        raise traversal()
    return theirs[len(ours) :]


def joined(parts: Parts) -> bytes:
    """For the kernel, relative to the workspace."""
    return b"/".join(parts) or b"."


def shown(name: bytes) -> str:
    """As text; what is no UTF-8 is replaced."""
    return name.decode("utf-8", "replace")


def shown_path(parts: Parts) -> str:
    """As text, with slashes; "" is the workspace."""
    return shown(b"/".join(parts))


def encoded(name: bytes) -> str | None:
    """What reaches a name that is no UTF-8 in a query, where its text does not; None for all others."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return quote_from_bytes(name)
    return None
