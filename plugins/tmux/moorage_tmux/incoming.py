"""What clients say on sockets, checked, and how refusals are told to them."""

from __future__ import annotations

import math
from typing import Any

from moorage.api import BadRequest, Forbidden, MoorageError, TooManyRequests, parse_json

from moorage_tmux import messages
from moorage_tmux.guards import InputRefused
from moorage_tmux.refusals import told
from moorage_tmux.sessions import COLS, ROWS
from moorage_tmux.tmux import TmuxError


class Refused(Exception):
    """What a client asked cannot be done; told on the socket, which stays open."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        self.code, self.message, self.details = code, message, details
        super().__init__(message)


def parse(message: str | bytes) -> dict[str, Any]:
    """A message as an object. Refused when it is none."""
    if isinstance(message, bytes):
        raise Refused("INVALID_MESSAGE", "Messages are text")
    try:
        data = parse_json(message) if message.strip() else None
    except BadRequest as error:
        raise Refused("INVALID_MESSAGE", "Invalid JSON", reason=error.message) from None
    if not isinstance(data, dict):
        raise Refused("INVALID_MESSAGE", "Invalid JSON", reason="Expected an object")
    return data


def too_fast(wait: float) -> Refused:
    """The refusal of a message that came `wait` seconds too early."""
    return Refused("RATE_LIMITED", "Too many messages: this one was dropped", retryAfter=math.ceil(wait * 100) / 100)


def session_name(data: dict[str, Any]) -> str:
    """The session that a message is about."""
    name = data.get("sessionId")
    if not isinstance(name, str) or not name:
        raise Refused("INVALID_MESSAGE", "sessionId must be a text that is not empty")
    return name


def user_id(data: dict[str, Any]) -> str:
    """The user that it is about."""
    user = data.get("userId")
    if not isinstance(user, str) or not user:
        raise Refused("INVALID_MESSAGE", "userId must be a text that is not empty")
    return user


def pane_spec(data: dict[str, Any]) -> str | None:
    """The pane that it is about, or None."""
    pane = data.get("pane")
    if isinstance(pane, int) and not isinstance(pane, bool):
        return str(pane)
    if pane is not None and not isinstance(pane, str):
        raise Refused("INVALID_MESSAGE", "pane must be a text")
    return pane or None


def position(value: Any) -> int | None:
    """A position in a stream, or None."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Refused("INVALID_MESSAGE", "since must be a number that an output message gave")
    return value


def size(data: dict[str, Any]) -> tuple[int, int]:
    """Columns and rows that a window may be given."""
    return _cells(data, "cols", COLS), _cells(data, "rows", ROWS)


def _cells(data: dict[str, Any], name: str, bounds: range) -> int:
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value not in bounds:
        raise Refused("INVALID_MESSAGE", f"{name} must be a number from {bounds[0]} to {bounds[-1]}")
    return value


def flag(data: dict[str, Any], name: str) -> bool:
    """A switch, off unless given."""
    value = data.get(name, False)
    if not isinstance(value, bool):
        raise Refused("INVALID_MESSAGE", f"{name} must be true or false")
    return value


def error_text(error: Refused | TmuxError | MoorageError, data: dict[str, Any]) -> str:
    """What the client is told; `data` is its message."""
    details: dict[str, Any] = {}
    if isinstance(error, Refused):
        code, text, details = error.code, error.message, dict(error.details)
    elif isinstance(error, MoorageError):
        code, text = _code(error), error.message
        details = {name: value for name, value in error.details.items() if name != "code"}
        if isinstance(error, TooManyRequests):
            details["retryAfter"] = error.retry_after
    else:
        code, text = "TMUX_ERROR", told(error)
    if isinstance(data.get("sessionId"), str):
        details.setdefault("sessionId", data["sessionId"])
    return messages.error(code, text, **details)


def _code(error: MoorageError) -> str:
    """Whatever is claimed by another is CLAIM_REQUIRED here; else the finer code, or the error's own."""
    if isinstance(error, InputRefused):
        return error.code
    if isinstance(error, Forbidden):
        return "CLAIM_REQUIRED" if error.details.get("code") in ("ALREADY_CLAIMED", "CLAIM_REQUIRED") else "FORBIDDEN"
    return str(error.details.get("code", error.error_code))
