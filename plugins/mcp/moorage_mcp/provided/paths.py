"""Paths as clients write them: relative to the workspace, in UTF-8; bytes that are none are written `\\xNN`."""

from __future__ import annotations

import re

from mcp.server.mcpserver.exceptions import ToolError

MAX_PATH = 4000
"""Bytes: Linux takes no more than 4095."""
MAX_DEPTH = 128
"""Folders: `write_file` makes those that are missing, and every one costs."""
_ESCAPE = re.compile(rb"\\x([89a-fA-F][0-9a-fA-F])")
"""Only what can be no text: ASCII is never written so, and is not read so."""


def parse(path: str) -> bytes:
    """A client's path as the kernel takes it; "." is the workspace itself. ToolError."""
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        raise ToolError("The path is no text: write bytes that are not UTF-8 as \\xNN") from None
    if b"\0" in raw:
        raise ToolError("A path cannot have a NUL in it")
    if raw.startswith(b"/"):
        raise ToolError(f"{shown(raw)} is absolute: give the path relative to the workspace, for example src/main.py")
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    if len(raw) > MAX_PATH or len(parts) > MAX_DEPTH:
        raise ToolError("The path is too long")
    return b"/".join(parts) or b"."


def raw(path: bytes) -> bytes | None:
    """The same path with its `\\xNN` as bytes; None when there are none."""
    found = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), path)
    return found if found != path else None


def text(path: bytes) -> str:
    """A name as clients see it; what they write back finds it again."""
    return path.decode("utf-8", "backslashreplace")


def shown(path: bytes) -> str:
    """For a message: on one line, not too long."""
    found = text(path)
    return repr(found if len(found) <= 200 else found[:200] + "…")
