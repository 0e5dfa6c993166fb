"""One viewer's look at one session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from moorage_tmux.sessions import PaneInfo
from moorage_tmux.viewers import Viewer

if TYPE_CHECKING:
    from moorage_tmux.watch import SessionWatch


class Subscription:
    """One viewer's look at one session. With follow=True it goes along with the session's active pane.

    on_lost is called once when there is nothing more to see; the subscription is over then.
    """

    def __init__(
        self,
        watch: SessionWatch,
        viewer: Viewer,
        *,
        pane: PaneInfo,
        label: str,
        follow: bool,
        on_lost: Callable[[Subscription, str], None],
    ) -> None:
        self.watch, self.viewer = watch, viewer
        self.pane, self.label, self.follow = pane.id, label, follow
        self._on_lost = on_lost

    def show(self, since: int | None = None) -> None:
        """Send what is to be seen: from position `since` if possible, else a snapshot."""
        if self.watch.ended:
            self.lost("Session ended")
            return
        self.watch.feed(self.pane).join(self, since)

    def move(self, pane: PaneInfo) -> None:
        """Look at another pane."""
        self.watch.feed(self.pane).leave(self)
        self.pane, self.label = pane.id, str(pane.index)
        self.show()

    def lost(self, reason: str) -> None:
        """There is nothing more to see."""
        self.watch.remove(self)
        self._on_lost(self, reason)
