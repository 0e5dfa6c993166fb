"""Sessions, windows and panes as answers and messages show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moorage.api import UserInfo

from moorage_tmux import messages
from moorage_tmux.claims import Claim
from moorage_tmux.sessions import PaneInfo, SessionInfo


def entry(session: SessionInfo, viewers: Sequence[UserInfo], claim: Claim | None) -> dict[str, Any]:
    """A session in a list."""
    return {
        "id": session.name,
        "name": session.name,
        "windows": session.windows,
        "created": messages.timestamp(session.created),
        "attached": session.attached,
        "viewers": [viewer(user) for user in viewers],
        "claim": claim.public() if claim else None,
    }


def viewer(user: UserInfo) -> dict[str, str]:
    """Somebody who has a session open."""
    return {"userId": user.pid, "name": user.name or user.username}


def content(lines: Sequence[str]) -> str:
    """A screen as text, without the blank rest of rows and of the screen."""
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


def windows(panes: Sequence[PaneInfo], contents: Sequence[str]) -> list[dict[str, Any]]:
    """Windows with their panes and what stands in each."""
    found: dict[str, dict[str, Any]] = {}
    for pane, text in zip(panes, contents, strict=True):
        window = found.setdefault(
            pane.window_id,
            {
                "id": pane.window_id,
                "index": pane.window_index,
                "name": pane.window_name,
                "active": pane.window_active,
                "panes": [],
            },
        )
        window["panes"].append(
            {
                "id": pane.id,
                "index": pane.index,
                "active": pane.active,
                "content": text,
                "width": pane.cols,
                "height": pane.rows,
            }
        )
    return list(found.values())
