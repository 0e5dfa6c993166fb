"""What tmux refuses, as the errors that clients are told."""

from __future__ import annotations

from moorage.api import BadRequest, Conflict, MoorageError, NotFound, Unavailable

from moorage_tmux.client import TmuxError, TmuxGone, TmuxRefused


def unavailable(error: TmuxError) -> Unavailable:
    """tmux cannot be asked: its words are for the operator and may be shown."""
    return Unavailable(f"tmux cannot be used: {error}", code="TMUX_ERROR")


def refused(error: TmuxError) -> MoorageError:
    """tmux did not do what it was told: NotFound, BadRequest, Conflict with its own words, Unavailable."""
    text = str(error)
    if isinstance(error, TmuxGone) or text.startswith("can't find session"):
        return NotFound("Session not found", details={"code": "SESSION_NOT_FOUND"})
    if not isinstance(error, TmuxRefused):
        return unavailable(error)
    if text.startswith("can't find"):
        return NotFound(text)
    return BadRequest(text) if text.startswith("invalid") else Conflict(text)
