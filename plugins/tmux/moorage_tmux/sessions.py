"""tmux's sessions and panes as values, and how a client's words for a pane are understood."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from moorage_tmux.client import is_id, shown
from moorage_tmux.protocol import Reply

COLS = range(20, 501)
ROWS = range(5, 301)
"""The sizes that windows may be given."""
LIST_SESSIONS = (
    "list-sessions -F '#{session_id} #{pid} #{session_created} #{session_windows} #{session_name}'"
    " ; list-clients -F '#{client_pid} #{session_id}'"
)
_NUMBERS = (
    "window_id",
    "window_index",
    "window_active",
    "window_zoomed_flag",
    "window_width",
    "window_height",
    "pane_id",
    "pane_index",
    "pane_active",
    "pane_left",
    "pane_top",
    "pane_width",
    "pane_height",
    "n:window_name",
)
_PANE = " ".join(f"#{{{name}}}" for name in (*_NUMBERS, "window_name", "pane_title"))
"""A name's length in bytes stands before it, since names and titles hold anything but a new line."""
_PANE_LINE = re.compile(rb"@\d+ \d+ [01] [01] \d+ \d+ %\d+ \d+ [01]( \d+){5} ")
_CELL = re.compile(r"(\d+)x(\d+),\d+,\d+,(\d+)", re.ASCII)
"""A pane in a layout; what holds others has a bracket instead of the number."""
_ESCAPED = re.compile(r"\\([\\$])")
_INDEX = re.compile(r"\d{1,9}\Z", re.ASCII)
_VERSION = re.compile(r"(?:next-)?(\d+)\.(\d+)")
_SPEC = re.compile(r"(?:(?P<id>%\d{1,9})|(?:(?P<window>\d{1,9})\.)?(?P<pane>\d{1,9}))\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session as it was when asked.

    key: the same for as long as the session lives, and never another's, also across tmux servers.
    attached: a client that is not one of ours is attached.
    """

    key: str
    id: str
    name: str
    windows: int
    created: datetime
    attached: bool


@dataclass(frozen=True, slots=True)
class PaneInfo:
    """A pane and where it is. `id` is tmux's `%N`; left, top, cols and rows count cells of its window.

    Of a zoomed window only the active pane is seen, and fills it; title is what its program last called it.
    """

    id: str
    index: int
    active: bool
    left: int
    top: int
    cols: int
    rows: int
    title: str
    window_id: str
    window_index: int
    window_active: bool
    window_name: str
    window_zoomed: bool
    window_cols: int
    window_rows: int


def parse_sessions(replies: Sequence[Reply], own_pids: Collection[int]) -> list[SessionInfo]:
    """The answer to LIST_SESSIONS; clients in `own_pids` do not count as attached."""
    attached = set()
    for line in shown(replies, 1):
        pid, _, session = line.partition(" ")
        if pid.isdigit() and int(pid) not in own_pids:
            attached.add(session)
    sessions = []
    for line in shown(replies, 0):
        session_id, server, created, windows, name = line.split(" ", 4)
        sessions.append(
            SessionInfo(
                key=f"{server}:{created}:{session_id}",
                id=session_id,
                name=name,
                windows=int(windows),
                created=datetime.fromtimestamp(int(created), UTC),
                attached=session_id in attached,
            )
        )
    return sessions


def find(sessions: Sequence[SessionInfo], name: str) -> SessionInfo | None:
    """The session of that name; else of that id (`$3`); else that tmux spells with a backslash (`\\$x` for `$x`)."""
    spellings: tuple[Callable[[SessionInfo], str], ...] = (
        lambda session: session.name,
        lambda session: session.id,
        lambda session: _ESCAPED.sub(r"\1", session.name),
    )
    for spelling in spellings:
        for session in sessions:
            if spelling(session) == name:
                return session
    return None


def server_version(text: str) -> tuple[int, int]:
    """What a tmux server says of its version: `3.3a`, `next-3.9`. Whatever has no number is the newest."""
    match = _VERSION.match(text)
    return (int(match[1]), int(match[2])) if match else (1000, 0)


def list_panes(session_id: str) -> str:
    """The command that lists all panes of a session."""
    if not is_id(session_id):
        raise ValueError(f"{session_id!r} is not a tmux id")
    return f"list-panes -s -t '{session_id}' -F '{_PANE}'"


def parse_panes(replies: Sequence[Reply]) -> list[PaneInfo]:
    """The answer to `list_panes`, in the order of windows and panes."""
    # What does not begin as a pane does is the rest of a name with a new line, which `new-window -n` lets through.
    return [_pane(line) for line in replies[0].lines if _PANE_LINE.match(line)]


def _pane(line: bytes) -> PaneInfo:
    *numbers, texts = line.split(b" ", len(_NUMBERS))
    window, window_index, window_active, zoomed, window_cols, window_rows, pane, index, active, *cells = numbers
    left, top, cols, rows, length = map(int, cells)
    return PaneInfo(
        id=pane.decode(),
        index=int(index),
        active=active == b"1",
        left=left,
        top=top,
        cols=cols,
        rows=rows,
        title=texts[length + 1 :].decode("utf-8", "replace"),
        window_id=window.decode(),
        window_index=int(window_index),
        window_active=window_active == b"1",
        window_name=texts[:length].decode("utf-8", "replace"),
        window_zoomed=zoomed == b"1",
        window_cols=int(window_cols),
        window_rows=int(window_rows),
    )


def find_window(panes: Sequence[PaneInfo], spec: str) -> PaneInfo | None:
    """The first pane of the window that a client means: `N`, or `@ID`. As with panes, 0 is the first in any case."""
    if spec.startswith("@"):
        return next((pane for pane in panes if pane.window_id == spec), None)
    if not _INDEX.match(spec):
        return None
    number = int(spec)
    exact = next((pane for pane in panes if pane.window_index == number), None)
    return exact or (panes[0] if panes and number == 0 else None)


def layout_sizes(text: str) -> dict[str, tuple[int, int]]:
    """The size (columns, rows) of each pane that is seen, from what `%layout-change` says; by id."""
    words = text.split(" ")
    visible = words[2] if len(words) > 2 else ""
    return {"%" + pane: (int(cols), int(rows)) for cols, rows, pane in _CELL.findall(visible)}


def window_size(panes: Sequence[PaneInfo]) -> tuple[int, int] | None:
    """The size (columns, rows) of the active window."""
    return next(((pane.window_cols, pane.window_rows) for pane in panes if pane.window_active), None)


def active_pane(panes: Sequence[PaneInfo]) -> PaneInfo | None:
    """The pane that somebody attached to the session would type into."""
    return next((pane for pane in panes if pane.window_active and pane.active), None)


def is_pane_spec(text: str) -> bool:
    """Whether a text can mean a pane at all, see `resolve`."""
    return _SPEC.match(text) is not None


def resolve(panes: Sequence[PaneInfo], spec: str | None) -> PaneInfo | None:
    """The pane that a client means.

    None = the active pane; `N` = a pane of the active window; `W.P` = a pane of window W; `%ID` = tmux's id, if it
    is in this session. Numbers are tmux's indexes; where a base index leaves no 0, 0 is the first.
    """
    if spec is None:
        return active_pane(panes)
    match = _SPEC.match(spec)
    if match is None:
        return None
    if match["id"]:
        return next((pane for pane in panes if pane.id == match["id"]), None)
    if match["window"] is None:
        window = [pane for pane in panes if pane.window_active]
    else:
        number = int(match["window"])
        window = [pane for pane in panes if pane.window_index == number]
        if not window and number == 0:
            window = [pane for pane in panes if pane.window_index == min(p.window_index for p in panes)]
    number = int(match["pane"])
    exact = next((pane for pane in window if pane.index == number), None)
    return exact or (window[0] if window and number == 0 else None)
