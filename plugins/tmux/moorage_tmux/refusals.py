"""What tmux refuses, and what is not there, as the errors that clients are told."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import structlog
from moorage.api import BadRequest, Conflict, MoorageError, NotFound, Unavailable

from moorage_tmux.tmux import TmuxError, TmuxGone, TmuxRefused

LOG_SECONDS = 60.0
"""From one line in the log to the next that says the same."""
_log = structlog.get_logger("moorage.tmux")
_logged: dict[str, float] = {}


def told(error: TmuxError) -> str:
    """What users are told of an error. What is kept from them is in the log, once a minute."""
    text, public = str(error), error.public
    if text != public:
        now = time.monotonic()
        for known in [known for known, at in _logged.items() if now >= at + LOG_SECONDS]:
            del _logged[known]
        if text not in _logged:
            _logged[text] = now
            _log.warning("tmux cannot be used", reason=text)
    return public


def no_session() -> NotFound:
    """There is no such session, or not any more."""
    return NotFound("Session not found", details={"code": "SESSION_NOT_FOUND"})


def no_window(spec: str) -> NotFound:
    """The session has no such window. spec: as the client named it."""
    return NotFound("Window not found", details={"code": "WINDOW_NOT_FOUND", "window": spec})


def no_pane(spec: str | None = None) -> NotFound:
    """The session has no such pane. spec: as the client named it, if it did."""
    return NotFound("Pane not found", details={"code": "PANE_NOT_FOUND"} | ({"pane": spec} if spec else {}))


def unavailable(error: TmuxError) -> Unavailable:
    """tmux cannot be asked."""
    return Unavailable(f"tmux cannot be used: {told(error)}", code="TMUX_ERROR")


def unanswered(error: TmuxError) -> NotFound | Unavailable:
    """tmux could not say: what it was asked about has ended meanwhile, or as `unavailable`."""
    text = str(error)
    if isinstance(error, TmuxGone) or text.startswith("can't find session"):
        return no_session()
    if text.startswith("can't find pane"):
        return no_pane()
    if text.startswith("can't find"):
        return NotFound(told(error))
    return unavailable(error)


def refused(error: TmuxError) -> MoorageError:
    """tmux did not do what it was told: as `unanswered`; BadRequest or Conflict with its own words."""
    found = unanswered(error)
    if isinstance(found, NotFound) or not isinstance(error, TmuxRefused):
        return found
    text = str(error)
    return BadRequest(told(error)) if text.startswith("invalid") else Conflict(told(error))


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """tmux is asked inside: its errors as those of `unanswered`."""
    try:
        yield
    except TmuxError as error:
        raise unanswered(error) from error
