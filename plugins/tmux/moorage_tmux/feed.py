"""One watched pane: its stream, who watches it, and the coherent way in for those who join."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from moorage_tmux import messages, snapshot
from moorage_tmux.filters import Clipboard
from moorage_tmux.guards import PaneFilter
from moorage_tmux.pane import PaneStream
from moorage_tmux.protocol import ProtocolError, Reply
from moorage_tmux.refusals import told
from moorage_tmux.tmux import TmuxError, TmuxGone, TmuxSilent
from moorage_tmux.viewers import Viewer

if TYPE_CHECKING:
    from moorage_tmux.client import ControlClient

CACHE_SECONDS = 1.0


class Member(Protocol):
    """Somebody who watches: their viewer, the label by which they know the pane, and what to do at its end."""

    viewer: Viewer
    label: str

    def lost(self, reason: str) -> None:
        """The pane cannot be shown any more."""
        ...


class Feed:
    """Fan-out of one pane. Members join at an exact position of the stream, so nothing is lost or shown twice.

    client: gives the control client of the moment. session: gives the session's present name.
    """

    def __init__(
        self,
        pane: str,
        *,
        client: Callable[[], ControlClient],
        session: Callable[[], str],
        lines: int,
        ring_bytes: int,
        clipboard: Clipboard,
        guard: Callable[[], PaneFilter | None] = lambda: None,
    ) -> None:
        self.pane = pane
        self.size: tuple[int, int] | None = None  # As the last snapshot had it.
        self.stream = PaneStream(
            self._emit, ring_bytes=ring_bytes, clipboard=clipboard, guard=guard, given_up=self.refresh
        )
        self._client, self._session = client, session
        self._lines = max(1, lines)
        self._members: dict[str, dict[Member, None]] = {}
        self._waiting: dict[Member, None] = {}
        self._capturing = False
        self._stale = False
        self._cached: tuple[int, float, snapshot.Snapshot] | None = None

    def __len__(self) -> int:
        return len(self._waiting) + sum(map(len, self._members.values()))

    def members(self) -> list[Member]:
        """All who watch, or wait for their snapshot."""
        return [*self._waiting, *(member for group in self._members.values() for member in group)]

    def join(self, member: Member, since: int | None = None) -> None:
        """Show the pane to a member: what came after position `since` if that is still known, else a snapshot."""
        self.leave(member)
        if since is not None:
            self.stream.flush()
            text = self.stream.since(since)
            if text is not None:
                self._show(member, text, ',"resumed":true')
                return
        self._waiting[member] = None
        self._capture()

    def leave(self, member: Member) -> None:
        """Show it no more. Harmless for one who is not here."""
        self._waiting.pop(member, None)
        group = self._members.get(member.label)
        if group is not None:
            group.pop(member, None)
            if not group:
                del self._members[member.label]

    def refresh(self) -> None:
        """What the members see is not what the pane shows (resized, output lost): a snapshot for everybody."""
        self._stale = self._capturing
        self._cached = None
        for group in self._members.values():
            self._waiting.update(group)
        self._members.clear()
        if self._waiting:
            self._capture()

    def filter_anew(self, *, forgive: bool) -> None:
        """Make the filter of other plugins anew (forgive: also one that failed), and show what it lets through."""
        if self.stream.filter_anew(forgive=forgive):
            self.refresh()

    def resized(self, cols: int, rows: int, *, again: bool = False) -> None:
        """tmux says that the pane has this size; again: and that it had another since the last snapshot."""
        if self.size is not None and (again or self.size != (cols, rows)):
            self.size = (cols, rows)
            self.refresh()

    def close(self, reason: str) -> None:
        """The pane is gone: tell everybody."""
        self.stream.flush()
        self.stream.close()
        members = self.members()
        self._members.clear()
        self._waiting.clear()
        for member in members:
            member.lost(reason)

    def _emit(self, text: str, seq: int) -> None:
        for label, group in list(self._members.items()):
            message = messages.output(self._session(), label, self.pane, text, seq)
            behind = [member for member in group if not member.viewer.post(message) or member.viewer.lagging]
            for member in behind:
                # Their viewer brings them back by a snapshot once its socket has drained.
                self.leave(member)

    def _show(self, member: Member, text: str, extra: str) -> None:
        message = messages.output(self._session(), member.label, self.pane, text, self.stream.seq, extra)
        self._deliver(member, message)

    def _deliver(self, member: Member, message: str) -> None:
        if member.viewer.post(message) and not member.viewer.lagging:
            self._members.setdefault(member.label, {})[member] = None

    def _capture(self) -> None:
        if self._capturing:
            return
        now = asyncio.get_running_loop().time()
        if self._cached is not None and self._cached[0] == self.stream.received and now < self._cached[1]:
            self._share(self._cached[2])
            return
        try:
            self._client().submit(
                snapshot.command(self.pane, self._lines),
                self._captured,
                blocks=snapshot.BLOCKS,
                rows=lambda replies: snapshot.rows_of_next(replies, self._lines),
            )
        except TmuxError as error:
            self._refuse(error)
        else:
            self._capturing = True

    def _capture_again(self) -> None:
        if self._waiting:
            self._capture()

    def _captured(self, result: list[Reply] | TmuxError) -> None:
        """tmux's answer, in its place in the stream: what was appended so far is in it, what comes is not."""
        self._capturing = False
        stale, self._stale = self._stale, False
        if isinstance(result, TmuxSilent):
            # Whether it hangs or is slow, who watches stays: it is asked again until the watch gives the client up.
            asyncio.get_running_loop().call_soon(self._capture_again)
            return
        if isinstance(result, TmuxError):
            self._refuse(result)
            return
        if stale:
            self._capture()
            return
        self.stream.give_all()
        stream = self.stream
        try:
            shot = snapshot.render(result, pen=stream.pen(), modes=stream.modes.sequence())
            stream.take_over(snapshot.pending(result))
        except (ValueError, ProtocolError) as error:
            self._refuse(TmuxError(f"tmux described the pane in an unknown way: {error}"))
            return
        # While nothing is written the screen stays, but for what tmux does by itself (a respawned pane).
        self.size = (shot.cols, shot.rows)
        shot = replace(shot, text=stream.drawn(shot.text))
        self._cached = (stream.received, asyncio.get_running_loop().time() + CACHE_SECONDS, shot)
        self._share(shot)

    def _share(self, shot: snapshot.Snapshot) -> None:
        waiting, self._waiting = self._waiting, {}
        extra = f',"snapshot":true,"cols":{shot.cols},"rows":{shot.rows}'
        by_label: dict[str, str] = {}
        for member in waiting:
            message = by_label.get(member.label)
            if message is None:
                message = by_label[member.label] = messages.output(
                    self._session(), member.label, self.pane, shot.text, self.stream.seq, extra
                )
            self._deliver(member, message)

    def _refuse(self, error: TmuxError) -> None:
        if isinstance(error, TmuxGone):
            return  # The watch learns of it too: it brings the members back, or tells them.
        waiting, self._waiting = self._waiting, {}
        text = told(error)
        for member in waiting:
            member.lost(text)
