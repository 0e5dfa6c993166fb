"""What terminals and their clients say to each other: ttyd's protocol, and the contract's over the same address.

Source: the frames of ttyd 1.7.7 (server) and 1.0.3 (client), as recorded. A frame is one byte of command (ASCII) and
its payload. From the client: `{` the first of all, JSON with `AuthToken`, `columns` and `rows`; `0` input; `1` resize,
JSON with `columns` and `rows`; `2` pause; `3` resume. From the server: `0` output; `1` title; `2` preferences, JSON.

The contract's clients are spared the commands: what they send as text is typed, unless it is JSON with a size; what
they send as bytes is one of ttyd's frames if it begins with `0` to `3`, else typed. They are sent output alone.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from moorage.api import BadRequest, TerminalSize, parse_json

SUBPROTOCOL = "tty"
MAX_CELLS = 4096
"""Columns and rows beyond this are nobody's screen."""
OUTPUT, TITLE, PREFERENCES = b"0", b"1", b"2"


class Kind(enum.Enum):
    """What a frame asks for."""

    BEGIN = "begin"
    INPUT = "input"
    RESIZE = "resize"
    PAUSE = "pause"
    RESUME = "resume"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Frame:
    """A message of a client. data: of INPUT. size: of BEGIN and RESIZE, None where it names none that can be."""

    kind: Kind
    data: bytes = b""
    size: TerminalSize | None = None


_COMMANDS = {b"0": Kind.INPUT, b"1": Kind.RESIZE, b"2": Kind.PAUSE, b"3": Kind.RESUME, b"{": Kind.BEGIN}


def native(message: str | bytes) -> Frame:
    """A frame of ttyd's protocol; text counts as its bytes."""
    data = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
    kind = _COMMANDS.get(data[:1], Kind.UNKNOWN)
    if kind is Kind.INPUT:
        return Frame(kind, data[1:])
    if kind is Kind.RESIZE:
        return Frame(kind, size=_size(data[1:]))
    return Frame(kind, size=_size(data)) if kind is Kind.BEGIN else Frame(kind)


def plain(message: str | bytes) -> Frame:
    """A message of the contract's protocol."""
    if isinstance(message, bytes):
        return native(message) if message[:1] in (b"0", b"1", b"2", b"3") else Frame(Kind.INPUT, message)
    if message.startswith("{") and '"columns"' in message and (sizes := _object(message)) is not None:
        return Frame(Kind.RESIZE, size=_of(sizes))
    return Frame(Kind.INPUT, message.encode("utf-8", "surrogatepass"))


def _object(text: str | bytes) -> dict[str, object] | None:
    try:
        value = parse_json(text) if len(text) <= 4096 else None
    except BadRequest:
        return None
    return value if isinstance(value, dict) else None


def _size(text: bytes) -> TerminalSize | None:
    sizes = _object(text)
    return _of(sizes) if sizes is not None else None


def _of(sizes: dict[str, object]) -> TerminalSize | None:
    columns, rows = sizes.get("columns"), sizes.get("rows")
    if not (isinstance(columns, int) and isinstance(rows, int)) or isinstance(columns, bool) or isinstance(rows, bool):
        return None
    return TerminalSize(columns, rows) if 1 <= columns <= MAX_CELLS and 1 <= rows <= MAX_CELLS else None
