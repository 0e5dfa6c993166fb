"""The texts that are sent to sockets: JSON as the contract's examples have it, encoded once for all viewers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from json.encoder import encode_basestring as quoted
from typing import Any

from moorage.api import PreparedText, UserInfo


def encode(message: dict[str, Any]) -> str:
    """One message as compact JSON."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)


def timestamp(at: datetime | None = None) -> str:
    """An instant (now) as the contract writes it: UTC, milliseconds, Z."""
    at = datetime.now(UTC) if at is None else at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds")[:-6] + "Z"


def display_name(user: UserInfo) -> str:
    """What people call a user."""
    return user.name or user.username


def person(user: UserInfo) -> dict[str, str]:
    """Who did something, as messages name them."""
    return {"id": user.pid, "name": display_name(user)}


def output(session: str, pane: str, pane_id: str, data: str, seq: int, extra: str = "") -> PreparedText:
    """Terminal output. `seq` is the position after `data`; `extra` is more JSON members, each with a comma first."""
    return PreparedText(
        f'{{"type":"output","sessionId":{quoted(session)},"pane":{quoted(pane)},"paneId":"{pane_id}",'
        f'"seq":{seq},"timestamp":"{timestamp()}"{extra},"data":{quoted(data)}}}'
    )


def error(code: str, message: str, **details: Any) -> str:
    """An error on a socket; `details` are additive members."""
    return encode({"type": "error", "code": code, "message": message, **details})
