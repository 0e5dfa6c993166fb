"""Sessions, windows, panes and recordings as answers and messages show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moorage.api import UserInfo

from moorage_tmux import messages
from moorage_tmux.claims import Claim
from moorage_tmux.models import TmuxRecording, aware
from moorage_tmux.sessions import PaneInfo, SessionInfo


def entry(
    session: SessionInfo, viewers: Sequence[UserInfo], claim: Claim | None, recording: dict[str, Any] | None
) -> dict[str, Any]:
    """A session in a list."""
    return {
        "id": session.name,
        "name": session.name,
        "windows": session.windows,
        "created": messages.timestamp(session.created),
        "attached": session.attached,
        "viewers": [viewer(user) for user in viewers],
        "claim": claim.public() if claim else None,
        "recording": recording,
    }


def viewer(user: UserInfo) -> dict[str, str]:
    """Somebody who has a session open."""
    return {"userId": user.pid, "name": messages.display_name(user)}


def content(lines: Sequence[str]) -> str:
    """A screen as text, without the blank rest of rows and of the screen."""
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


def windows(panes: Sequence[PaneInfo], contents: Sequence[str]) -> list[dict[str, Any]]:
    """Windows with their panes and what stands in each."""
    texts = {pane.id: text for pane, text in zip(panes, contents, strict=True)}
    found = layout(panes)
    for window in found:
        for pane in window["panes"]:
            pane |= {"content": texts[pane["id"]], "width": pane.pop("cols"), "height": pane.pop("rows")}
    return found


def layout(panes: Sequence[PaneInfo]) -> list[dict[str, Any]]:
    """Windows and where their panes are."""
    found: dict[int, dict[str, Any]] = {}
    for pane in panes:
        window = found.setdefault(
            pane.window_index,  # Not by id: a window can be linked to a session twice.
            {
                "id": pane.window_id,
                "index": pane.window_index,
                "name": pane.window_name,
                "active": pane.window_active,
                "zoomed": pane.window_zoomed,
                "cols": pane.window_cols,
                "rows": pane.window_rows,
                "panes": [],
            },
        )
        window["panes"].append(
            {
                "id": pane.id,
                "index": pane.index,
                "active": pane.active,
                "left": pane.left,
                "top": pane.top,
                "cols": pane.cols,
                "rows": pane.rows,
                "title": pane.title,
            }
        )
    return list(found.values())


def recording(row: TmuxRecording, *, name: str, duration: float, size: int, live: bool) -> dict[str, Any]:
    """A recording. name, duration (seconds), size (bytes): of now, where it is live."""
    by = {"id": row.started_by_pid, "name": row.started_by_name} if row.started_by_pid is not None else None
    return {
        "id": row.pid,
        "sessionId": name,
        "startedAt": messages.timestamp(aware(row.started_at)),
        "endedAt": messages.timestamp(aware(row.ended_at)) if row.ended_at is not None else None,
        "endReason": row.end_reason,
        "startedBy": by,
        "cols": row.cols,
        "rows": row.rows,
        "duration": round(duration, 3),
        "size": size,
        "live": live,
    }


def layout_message(session: str, panes: Sequence[PaneInfo]) -> str:
    """The `layout` message of a session."""
    return messages.encode({"type": "layout", "sessionId": session, "windows": layout(panes)})
